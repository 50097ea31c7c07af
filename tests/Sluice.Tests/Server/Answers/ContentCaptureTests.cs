using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Sluice.Tests.Server.Telemetry;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>Texts in spans: nowhere by default, and where they are asked for as OpenTelemetry's conventions have them.</summary>
[Collection(nameof(TracingTests))]
public sealed class ContentCaptureTests : IDisposable
{
    private const string Canary = "canary-in-a-prompt";
    private const string Projects = "projects: [{id: search}, {id: other}]\n";

    private readonly ConcurrentQueue<Activity> _spans = new();
    private readonly ActivityListener _listener;

    public ContentCaptureTests()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == SluiceTelemetry.SourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _spans.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _listener.Dispose();

    private static Task<UpstreamHub> StartAsync(ScriptedUpstream upstream, string content, string keys)
    {
        var options = ConfigurationFile.Parse($"{Projects}{content}keys: [{keys}]\n", "sluice.yaml", _ => null);
        return UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: parsed => parsed with { Keys = options.Keys, Projects = options.Projects, Content = options.Content });
    }

    private async Task<Activity> AskAsync(UpstreamHub hub, string path, string body, params (string Name, string Value)[] headers)
    {
        _spans.Clear();
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("Authorization", "Bearer k1");
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var response = await hub.Http.SendAsync(request, Cancellation);
        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(Cancellation));
        await response.Content.ReadAsStringAsync(Cancellation);
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        for (var i = 0; i < 200 && !_spans.Any(static span => span.Kind == ActivityKind.Server); i++) await Task.Delay(10, Cancellation);
        return Assert.Single(_spans, static span => span.Kind == ActivityKind.Server);
    }

    private static JsonElement Read(Activity span, string name) => JsonDocument.Parse((string)span.GetTagItem(name)!).RootElement;

    private static string Chat(bool stream) =>
        $$$$"""
        {"model":"m","stream":{{{{(stream ? "true" : "false")}}}},"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"{{{{Canary}}}}"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aGVsbG8="}}]},
        {"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"result"}],
        "tools":[{"type":"function","function":{"name":"f","description":"definition","parameters":{"type":"object"}}}]}
        """;

    private static Task<ScriptedUpstream> AnswersAsync() => ScriptedUpstream.StartAsync(async reply =>
    {
        await reply.EventAsync(ScriptedUpstream.Text("so "));
        await reply.EventAsync(ScriptedUpstream.Text("it is"));
        await reply.EventAsync(ScriptedUpstream.Finish());
        await reply.EventAsync(ScriptedUpstream.Usage(7, 2));
        await reply.EventAsync("[DONE]");
    });

    // T72, T74: prompts, calls, definitions and results of tools are nowhere, and neither are answers.
    [Theory]
    [InlineData("", "{name: k1, key: k1, project: search}")]
    [InlineData("content: {projects: [other]}\n", "{name: k1, key: k1, project: search}")]
    [InlineData("content: {projects: [search]}\n", "{name: k1, key: k1}")]
    [InlineData("content: {projects: [search]}\n", "{name: k1, key: k1, project: search, content: never}")]
    [InlineData("content: {projects: [search]}\n", "{name: k1, key: k1, project: search}", "Sluice-Content", "off")]
    [InlineData("content: {projects: [search]}\n", "{name: k1, key: k1, project: search}", "Sluice-Store", "off")]
    public async Task Without_everybodys_consent_no_text_is_in_any_span(string content, string key, string? header = null, string value = "")
    {
        await using var upstream = await AnswersAsync();
        await using var hub = await StartAsync(upstream, content, key);
        await AskAsync(hub, "/v1/chat/completions", Chat(stream: true), header is null ? [] : [(header, value)]);
        foreach (var span in _spans)
        {
            var all = string.Join('\n', span.TagObjects.Select(static tag => $"{tag.Key}={tag.Value}").Concat(span.Events.SelectMany(static one => one.Tags).Select(static tag => $"{tag.Value}")));
            foreach (var text in (string[])[Canary, "be brief", "result", "definition", "it is", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"]) Assert.DoesNotContain(text, all, StringComparison.Ordinal);
        }
    }

    // T73: a stream and an object are the same; media is left out, and that is said.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_conversation_is_on_the_requests_span_in_the_words_of_the_conventions(bool stream)
    {
        await using var upstream = await AnswersAsync();
        await using var hub = await StartAsync(upstream, "content: {projects: [search]}\n", "{name: k1, key: k1, project: search}");
        var span = await AskAsync(hub, "/v1/chat/completions", Chat(stream));
        Assert.Equal("""[{"type":"text","content":"be brief"}]""", (string)span.GetTagItem("gen_ai.system_instructions")!);
        Assert.Equal(
            $$$"""[{"role":"user","parts":[{"type":"text","content":"{{{Canary}}}"},{"type":"image_url"}]},{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"f","arguments":"{\"a\":1}"}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"result"}]}]""",
            (string)span.GetTagItem("gen_ai.input.messages")!);
        Assert.Equal("""[{"role":"assistant","parts":[{"type":"text","content":"so it is"}],"finish_reason":"stop"}]""", (string)span.GetTagItem("gen_ai.output.messages")!);
        Assert.Equal("f", Read(span, "gen_ai.tool.definitions")[0].GetProperty("function").GetProperty("name").GetString());
        Assert.Equal(true, span.GetTagItem("sluice.content.truncated"));
        Assert.All(_spans.Where(static other => other.Kind == ActivityKind.Client), static other => Assert.Null(other.GetTagItem("gen_ai.input.messages")));
    }

    [Theory]
    [InlineData("/v1/responses", "\"input\":\"Hi\"")]
    [InlineData("/v1/messages", "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]")]
    [InlineData("/api/chat", "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]")]
    [InlineData("/v1/completions", "\"prompt\":\"Hi\"")]
    public async Task Every_door_says_the_same(string path, string body)
    {
        await using var upstream = path == "/v1/completions" ? await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync("""{"id":"up-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"so it is","finish_reason":"stop"}]}""");
            await reply.EventAsync("[DONE]");
        }) : await AnswersAsync();
        await using var hub = await StartAsync(upstream, "content: {projects: [search]}\n", "{name: k1, key: k1, project: search}");
        foreach (var stream in (string[])["true", "false"])
        {
            var span = await AskAsync(hub, path, $"{{\"model\":\"m\",\"stream\":{stream},{body}}}");
            Assert.Equal("Hi", Read(span, "gen_ai.input.messages")[0].GetProperty("parts")[0].GetProperty("content").GetString());
            Assert.Equal("so it is", Read(span, "gen_ai.output.messages")[0].GetProperty("parts")[0].GetProperty("content").GetString());
            Assert.Null(span.GetTagItem("sluice.content.truncated"));
        }
    }

    // Some editors cut a character in two; what is captured of it must not keep the answer, or its hold, from ending.
    [Fact]
    public async Task Half_a_character_in_a_prompt_is_answered_and_shown_as_a_replacement()
    {
        await using var upstream = await AnswersAsync();
        await using var hub = await StartAsync(upstream, "content: {projects: [search]}\n", "{name: k1, key: k1, project: search, parallel: 1}");
        for (var i = 0; i < 2; i++)
        {
            var span = await AskAsync(hub, "/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":"so \ud83d"}]}""");
            Assert.Equal("so \uFFFD", Read(span, "gen_ai.input.messages")[0].GetProperty("parts")[0].GetProperty("content").GetString());
        }
    }

    // T73: cut in the middle of a character of two places, and still JSON.
    [Fact]
    public async Task What_is_too_long_is_cut_within_its_text_and_stays_json()
    {
        var prompt = string.Concat(Enumerable.Repeat("\U0001F600ü\\\"", 4000));
        await using var upstream = await AnswersAsync();
        await using var hub = await StartAsync(upstream, "content: {projects: [search], max_bytes: 1KiB}\n", "{name: k1, key: k1, project: search}");
        var body = $"{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{JsonEncodedText.Encode(prompt)}\"}},{{\"role\":\"user\",\"content\":\"more\"}}]}}";
        var span = await AskAsync(hub, "/v1/chat/completions", body);
        var text = Read(span, "gen_ai.input.messages")[0].GetProperty("parts")[0].GetProperty("content").GetString()!;
        Assert.StartsWith(text, prompt, StringComparison.Ordinal);
        Assert.InRange(Encoding.UTF8.GetByteCount(text), 900, 1024);
        Assert.Equal(true, span.GetTagItem("sluice.content.truncated"));
        Assert.Equal("so it is", Read(span, "gen_ai.output.messages")[0].GetProperty("parts")[0].GetProperty("content").GetString());
    }

    [Fact]
    public void A_sample_is_a_share_of_requests_and_the_variable_only_says_no()
    {
        using var activity = new Activity("a") { IsAllDataRequested = true };
        var account = new Account("k", "", "search", []);
        var options = new ContentOptions(["search"]) { Sample = 0.1 };
        var random = new RandomSource(1);
        var taken = Enumerable.Range(0, 5000).Count(_ => Decide(options, null) is not null);
        Assert.InRange(taken, 400, 600);
        foreach (var no in (string[])["NO_CONTENT", "false"]) Assert.Null(Decide(options with { Sample = 1 }, no));
        foreach (var yes in (string?[])[null, "", "SPAN_ONLY", "true"])
        {
            Assert.NotNull(Decide(options with { Sample = 1 }, yes));
            Assert.Null(Decide(null, yes));
        }

        ContentCapture? Decide(ContentOptions? content, string? variable) =>
            ContentCapture.Decide(content, account, Retention.Memory, ResumeWish.None, activity, random, variable);
    }

    [Theory]
    [InlineData("content: {projects: [serch]}", "there is no project 'serch'; did you mean 'search'?")]
    [InlineData("content: {}", "'content' needs 'projects'")]
    [InlineData("content: {projects: [search], sample: 0%}", "'0%' is not a valid value of 'sample'")]
    [InlineData("content: {projects: [search], max_bytes: 2GiB}", "'2GiB' is not a valid value of 'max_bytes'")]
    [InlineData("keys: [{name: a, key: b, content: always}]", "'always' is not a valid value of 'content'; allowed here: default, never")]
    public void What_is_misspelt_is_an_error(string yaml, string error)
    {
        var exception = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse(Projects + yaml, "sluice.yaml", _ => null));
        Assert.Contains(error, exception.Message, StringComparison.Ordinal);
    }
}
