using System.Text;
using System.Text.Json;
using Sluice.Inference.Sampling;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>What holds for a request to the local engine that leaves a parameter out, and how an answer ends that only repeats.</summary>
public sealed class ModelDefaultsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", "aaaaaaaaaaaaaaaaaaaa", 20)]
    [InlineData(",\"temperature\":null", "aaaaaaaaaaaaaaaaaaaa", 20)]
    [InlineData(",\"max_tokens\":3", "aaa", 3)]
    public async Task What_a_request_leaves_out_is_the_models_default(string more, string text, int tokens)
    {
        await using var hub = await StartAsync(new SamplingDefaults { Temperature = 0, MaxTokens = 20 });
        var json = await AskAsync(hub, more);
        Assert.Equal((text, "length", tokens), (TextOf(json), ReasonOf(json), json.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
    }

    [Theory]
    [InlineData("\"temperature\":1", "{}")]
    [InlineData("\"top_k\":0", """{"top_k":1}""")]
    [InlineData("\"top_k\":-1", """{"top_k":1}""")]
    [InlineData("\"top_p\":1", """{"top_p":0.1}""")]
    [InlineData("\"min_p\":0", """{"min_p":1}""")]
    public async Task What_a_request_says_counts(string more, string defaults)
    {
        using var json = JsonDocument.Parse(defaults);
        double? Value(string name) => json.RootElement.TryGetProperty(name, out var value) ? value.GetDouble() : null;
        var model = new SamplingDefaults
        {
            Temperature = defaults == "{}" ? 0 : 1,
            TopK = (int?)Value("top_k"),
            TopP = Value("top_p"),
            MinP = Value("min_p"),
        };
        await using var hub = await StartAsync(model);
        Assert.Equal(new string('a', 60), TextOf(await AskAsync(hub, ",\"max_tokens\":60")));
        // Sixty tokens that are all the likelier one have a probability of 1e-13.
        Assert.Contains('b', TextOf(await AskAsync(hub, $",\"max_tokens\":60,{more}")));
    }

    [Fact]
    public async Task An_answer_that_only_repeats_ends_and_says_so()
    {
        await using var hub = await StartAsync(new SamplingDefaults { Temperature = 0 }, endsRepetition: true);
        var json = await AskAsync(hub, "");
        Assert.Equal(("length", Limits.RepetitionWindow), (ReasonOf(json), json.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
        Assert.True(json.GetProperty("sluice").GetProperty("repetition").GetBoolean());

        using var http = new HttpClient { BaseAddress = hub.Address };
        using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), Body(",\"stream\":true"), Cancellation);
        var events = (await response.Content.ReadAsStringAsync(Cancellation)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains("\"finish_reason\":\"length\"", events[^2], StringComparison.Ordinal);
        Assert.EndsWith(",\"sluice\":{\"repetition\":true}}", events[^2], StringComparison.Ordinal);
        Assert.Equal("data: [DONE]", events[^1]);
    }

    [Fact]
    public async Task Without_the_guard_an_answer_may_repeat_to_its_limit()
    {
        await using var hub = await StartAsync(new SamplingDefaults { Temperature = 0, MaxTokens = 2000 });
        var json = await AskAsync(hub, "");
        Assert.Equal(("length", 2000), (ReasonOf(json), json.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
        Assert.False(json.TryGetProperty("sluice", out _));
    }

    private static async Task<TestHub> StartAsync(SamplingDefaults defaults, bool endsRepetition = false)
    {
        var hub = await TestHub.StartScriptedAsync(new TestHubOptions { Defaults = defaults, EndsRepetition = endsRepetition });
        hub.Scripts["mixed"] = new Script().Mix(("a", 0.6f), ("b", 0.4f)).Forever();
        return hub;
    }

    private static StringContent Body(string more) =>
        new($$"""{"model":"scripted","messages":[{"role":"user","content":"mixed"}]{{more}}}""", Encoding.UTF8, "application/json");

    private static async Task<JsonElement> AskAsync(TestHub hub, string more)
    {
        using var http = new HttpClient { BaseAddress = hub.Address };
        using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), Body(more), Cancellation);
        using var json = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(Cancellation));
        return json.RootElement.Clone();
    }

    private static string TextOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    private static string ReasonOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString()!;
}
