using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>The exact cache of a model: who gets an answer again, and which answers are never kept.</summary>
public sealed class AnswerCacheTests : IDisposable
{
    private const string Cold = ",\"temperature\":0";
    private const string Keys = "  - {name: a1, key: a1, project: a, rpm: 100, budget: {tokens: 100, per: day}}\n  - {name: a2, key: a2, project: a}\n  - {name: b1, key: b1}\n  - {name: b2, key: b2}\n";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-cache-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string LedgerPath => Path.Combine(_folder, "ledger.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream, string cache = "    cache: 10m\n", TimeProvider? time = null)
    {
        var models = UpstreamHub.Model("m", upstream) + cache;
        var options = ConfigurationFile.Parse($"models:\n{models}ledger: {{path: {LedgerPath}}}\nprojects: [{{id: a}}]\nkeys:\n{Keys}", "sluice.yaml", _ => null);
        return UpstreamHub.StartAsync(models, time, configure: parsed => parsed with { Keys = options.Keys, Projects = options.Projects, Ledger = options.Ledger });
    }

    private static Func<UpstreamReply, Task> Says(string text, string finish = "stop", bool usage = true) => async reply =>
    {
        await reply.EventAsync($$$"""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"{{{text}}}"},"finish_reason":null}]}""");
        await reply.EventAsync($$$"""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"{{{finish}}}"}]}""");
        if (usage) await reply.EventAsync("""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":3,"total_tokens":23}}""");
        await reply.EventAsync("[DONE]");
    };

    private static async Task<(string Cache, string Body, string Id)> AskAsync(
        UpstreamHub hub, string key, string more = Cold, bool stream = true, string? control = null)
    {
        using var response = await hub.PostAsync(
            UpstreamHub.Ask("m", stream, more), Cancellation, [("Authorization", $"Bearer {key}"), .. control is null ? [] : new[] { ("Cache-Control", control) }]);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var body = await response.Content.ReadAsStringAsync(Cancellation);
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        return (
            response.Headers.TryGetValues("Sluice-Cache", out var cache) ? cache.Single() : "", body,
            response.Headers.GetValues("Sluice-Stream-Id").Single());
    }

    // T70, T71
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_project_gets_its_answer_again_under_a_new_id_and_nobody_else_does(bool stream)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello"));
        await using var hub = await StartAsync(upstream);
        var first = await AskAsync(hub, "a1", stream: stream);
        var again = await AskAsync(hub, "a2", Cold + ",\"user\":\"alice\",\"metadata\":{\"a\":\"b\"}", stream);
        Assert.Equal(("miss", "hit"), (first.Cache, again.Cache));
        Assert.NotEqual(first.Id, again.Id);
        Assert.DoesNotContain(first.Id, again.Body, StringComparison.Ordinal);
        Assert.Equal(first.Body.Replace(first.Id, again.Id, StringComparison.Ordinal), again.Body);
        Assert.Single(upstream.Calls);
        Assert.Equal("miss", (await AskAsync(hub, "b1", stream: stream)).Cache);
        // Without a project a key is alone.
        Assert.Equal("miss", (await AskAsync(hub, "b2", stream: stream)).Cache);
        Assert.Equal(3, upstream.Calls.Count);
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
        using var file = new LedgerFile(LedgerPath);
        Assert.Null(file.FindDifference());
        Assert.Equal((4, 3), file.CountRows());
        var row = file.FindAnswer(again.Id)!;
        Assert.Equal(("cache", 0L, 20), (row.Source, row.ChargeNanoUsd, row.Usage.PromptTokens));
        Assert.Equal(23, file.Count("project", "a", 0, isMoney: false));
    }

    [Fact]
    public async Task A_hit_is_served_by_a_spent_budget_and_counts_as_a_request()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello"));
        await using var hub = await StartAsync(upstream);
        for (var i = 0; i < 4; i++) await AskAsync(hub, "a1", $"{Cold},\"seed\":{i}");
        Assert.Equal("miss", (await AskAsync(hub, "a1", $"{Cold},\"seed\":8")).Cache);
        using var refused = await hub.PostAsync(UpstreamHub.Ask("m", true, $"{Cold},\"seed\":9"), Cancellation, [("Authorization", "Bearer a1")]);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        for (var i = 0; i < 10; i++) Assert.Equal("hit", (await AskAsync(hub, "a1", $"{Cold},\"seed\":1")).Cache);
        using var response = await hub.PostAsync(UpstreamHub.Ask("m", true, $"{Cold},\"seed\":1"), Cancellation, [("Authorization", "Bearer a1")]);
        Assert.Equal("hit", response.Headers.GetValues("Sluice-Cache").Single());
        Assert.InRange(int.Parse(response.Headers.GetValues("x-ratelimit-remaining-requests").Single(), System.Globalization.CultureInfo.InvariantCulture), 80, 86);
    }

    [Theory]
    [InlineData("stop", true, "", "bypass")]
    [InlineData("stop", true, ",\"temperature\":0.5", "bypass")]
    [InlineData("length", true, Cold, "miss")]
    [InlineData("content_filter", true, Cold, "miss")]
    [InlineData("stop", false, Cold, "miss")]
    [InlineData("stop", true, Cold, "hit")]
    public async Task Only_whole_answers_of_no_chance_with_stated_usage_are_kept(string finish, bool usage, string more, string second)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello", finish, usage));
        await using var hub = await StartAsync(upstream);
        await AskAsync(hub, "a1", more);
        Assert.Equal(second, (await AskAsync(hub, "a1", more)).Cache);
        Assert.Equal(second == "hit" ? 1 : 2, upstream.Calls.Count);
    }

    [Fact]
    public async Task A_request_can_have_a_new_answer_or_stay_out_of_the_cache()
    {
        var count = 0;
        await using var upstream = await ScriptedUpstream.StartAsync(reply => Says($"hello {Interlocked.Increment(ref count)}")(reply));
        await using var hub = await StartAsync(upstream);
        Assert.Equal("bypass", (await AskAsync(hub, "a1", control: "no-store")).Cache);
        Assert.Equal("miss", (await AskAsync(hub, "a1")).Cache);
        Assert.Equal("miss", (await AskAsync(hub, "a1", control: "no-cache")).Cache);
        Assert.Contains("hello 3", (await AskAsync(hub, "a1")).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_becomes_too_old()
    {
        var time = new ManualTimeProvider();
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello"));
        await using var hub = await StartAsync(upstream, time: time);
        await AskAsync(hub, "a1");
        time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal("hit", (await AskAsync(hub, "a1")).Cache);
        time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("miss", (await AskAsync(hub, "a1")).Cache);
    }

    [Fact]
    public async Task A_long_answer_is_not_kept()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says(new string('x', 600_000)));
        await using var hub = await StartAsync(upstream);
        await AskAsync(hub, "b1");
        Assert.Equal("miss", (await AskAsync(hub, "b1")).Cache);
    }

    // T72
    [Fact]
    public async Task Without_the_option_there_is_no_cache()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello"));
        await using var hub = await StartAsync(upstream, "");
        await AskAsync(hub, "a1");
        Assert.Equal("", (await AskAsync(hub, "a1")).Cache);
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Theory]
    [InlineData("    cache: 10m\n    cache_scope: key\n", Cold, "miss")]
    [InlineData("    cache: 10m\n    cache_sampled: true\n", ",\"temperature\":0.9", "hit")]
    public async Task The_scope_may_be_a_key_and_chance_may_be_kept(string cache, string more, string second)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello"));
        await using var hub = await StartAsync(upstream, cache);
        await AskAsync(hub, "a1", more);
        Assert.Equal(second, (await AskAsync(hub, "a2", more)).Cache);
    }

    // A person who is forgotten leaves nothing here either.
    [Fact]
    public async Task What_was_made_for_a_person_goes_with_the_person()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello"));
        await using var hub = await StartAsync(upstream);
        await AskAsync(hub, "a1", Cold + ",\"user\":\"alice\"");
        Assert.Equal("hit", (await AskAsync(hub, "a1")).Cache);
        hub.Services.GetRequiredService<AnswerCache>().Forget(hub.Services.GetRequiredService<AnswerAccounting>().SubjectOf("alice")!);
        Assert.Equal("miss", (await AskAsync(hub, "a1")).Cache);
    }

    [Theory]
    [InlineData("/v1/responses", "{\"model\":\"m\",\"stream\":true,\"temperature\":0,\"input\":\"hi\"}")]
    [InlineData("/v1/messages", "{\"model\":\"m\",\"stream\":true,\"temperature\":0,\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}")]
    public async Task Other_doors_have_caches_of_their_own(string path, string body)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("hello"));
        await using var hub = await StartAsync(upstream);
        var (ids, bodies, ways) = (new List<string>(), new List<string>(), new List<string>());
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Add("Authorization", "Bearer a1");
            using var response = await hub.Http.SendAsync(request, Cancellation);
            ways.Add(response.Headers.GetValues("Sluice-Cache").Single());
            ids.Add(response.Headers.GetValues("Sluice-Stream-Id").Single().Split('_', '-')[^1]);
            bodies.Add(await response.Content.ReadAsStringAsync(Cancellation));
            await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        }
        Assert.Equal(["miss", "hit"], ways);
        Assert.Equal(bodies[0].Replace(ids[0], ids[1], StringComparison.Ordinal), bodies[1]);
        Assert.Single(upstream.Calls);
    }

    [Theory]
    [InlineData("models: [{id: a, gguf: a, cache: never}]", "'never' is not a valid duration")]
    [InlineData("models: [{id: a, gguf: a, cache_scope: key}]", "'cache_scope' applies to a cache, and this model has none; add 'cache: 10m'")]
    [InlineData("models: [{id: a, gguf: a, cache: 1m, cache_scope: all}]", "'all' is not a valid value of 'cache_scope'; allowed here: project, key")]
    public void What_is_misspelt_is_an_error(string yaml, string error)
    {
        var exception = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Parse(yaml, "sluice.yaml", _ => null));
        Assert.Contains(error, exception.Message, StringComparison.Ordinal);
    }
}
