using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary>What the hub counts of an upstream's stream while it runs, and what it learns when nobody reads any more.</summary>
public sealed class UpstreamCountTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-count-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string LedgerPath => Path.Combine(_folder, "ledger.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(string models, string keys)
    {
        File.WriteAllText(Path.Combine(_folder, "prices.yaml"), "version: 1\nmodels: {m: {input: 1000, output: 1000}}");
        var options = ConfigurationFile.Parse($"prices: {Path.Combine(_folder, "prices.yaml")}\nmodels:\n{models}ledger: {{path: {LedgerPath}}}\nkeys:\n{keys}", "sluice.yaml", _ => null);
        return UpstreamHub.StartAsync(models, configure: parsed => parsed with { Keys = options.Keys, Ledger = options.Ledger, Prices = options.Prices });
    }

    private static string Piece(string text, string more = "") =>
        $$$"""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"{{{text}}}"},"finish_reason":null}]{{{more}}}}""";

    private static async Task<int> CountPiecesAsync(UpstreamHub hub)
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask("m", true, ""), Cancellation, [("Authorization", "Bearer k1")]);
        var events = await UpstreamHub.EventsAsync(response);
        Assert.Contains(events, line => line.Contains("\"limit\":\"budget\"", StringComparison.Ordinal));
        return events.Count(line => line.Contains("\"content\":\"x", StringComparison.Ordinal));
    }

    // T23: forty bytes are ten tokens, although they come in one event.
    [Fact]
    public async Task Many_tokens_in_an_event_are_cut_in_time()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 0; i < 50; i++) await reply.EventAsync(Piece(new string('x', 40)));
            await reply.StallAsync();
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, budget: {tokens: 106, per: day}}\n");
        Assert.InRange(await CountPiecesAsync(hub), 9, 10);
    }

    [Fact]
    public async Task Usage_that_is_stated_in_a_chunk_counts_at_once()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 1; i <= 50; i++)
                await reply.EventAsync(Piece("x", $",\"usage\":{{\"prompt_tokens\":6,\"completion_tokens\":{i * 20},\"total_tokens\":{6 + i * 20}}}"));
            await reply.StallAsync();
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, budget: {tokens: 106, per: day}}\n");
        Assert.InRange(await CountPiecesAsync(hub), 4, 5);
    }

    [Fact]
    public async Task A_prompt_that_turns_out_longer_than_reckoned_cuts_too()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 1; i <= 5; i++)
                await reply.EventAsync(Piece("x", $",\"usage\":{{\"prompt_tokens\":900,\"completion_tokens\":{i},\"total_tokens\":{900 + i}}}"));
            await reply.StallAsync();
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, budget: {tokens: 106, per: day}}\n");
        Assert.Equal(0, await CountPiecesAsync(hub));
    }

    // T32: it is paid, and the key chose it.
    [Fact]
    public async Task A_drained_answer_is_charged_as_a_whole_when_its_usage_is_known()
    {
        using var left = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 0; i < 5; i++) await reply.EventAsync(Piece("x"));
            await left.WaitAsync(TimeSpan.FromSeconds(20), CancellationToken.None);
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync("""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":30,"completion_tokens":70,"total_tokens":100}}""");
            await reply.EventAsync("[DONE]");
        });
        await using var hub = await StartAsync(
            $"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\", on_abort: drain}}]\n", "  - {name: k1, key: k1, budget: [{tokens: 1000, per: day}, {usd: 10, per: day}]}\n");
        using (var response = await hub.PostAsync(UpstreamHub.Ask("m", true, ""), Cancellation, [("Authorization", "Bearer k1")]))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            for (var i = 0; i < 5; i++) await reader.ReadLineAsync(Cancellation);
        }
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        var early = await SumAsync(hub);
        Assert.True(early is { Requests: 1, Output: < 10 }, $"{early}");
        left.Release();
        UsageSum late;
        for (var i = 0; (late = await SumAsync(hub)).Output < 70 && i < 200; i++) await Task.Delay(20, Cancellation);
        Assert.Equal((1, 30, 70, 100_000_000L, 100_000_000L), (late.Requests, late.Prompt, late.Output, late.ChargeNanoUsd, late.CostNanoUsd));
        var limiter = hub.Services.GetRequiredService<Limiter>();
        lock (limiter.Lock)
            Assert.Equal([100L, 100_000_000L], limiter.Scopes.Single(scope => scope.Id == "k1").Meters.Select(meter => meter.Settled));
    }

    private async Task<UsageSum> SumAsync(UpstreamHub hub)
    {
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
        using var file = new LedgerFile(LedgerPath);
        Assert.Null(file.FindDifference());
        return file.ReadUsage(0, long.MaxValue / 2, []).Single();
    }

    // T41: definitions and images are a part of the prompt.
    [Theory]
    [InlineData(""","tools":[{"type":"function","function":{"name":"f","description":"DDDD","parameters":{}}}]""", "DDDD", 300)]
    [InlineData(""","functions":[{"name":"f","description":"DDDD","parameters":{}}]""", "DDDD", 300)]
    public void Tools_count_in_the_estimate(string more, string mark, int length)
    {
        var (small, large) = (BytesOf(more), BytesOf(more.Replace(mark, new string('D', length), StringComparison.Ordinal)));
        Assert.Equal(length - mark.Length, large - small);
        Assert.True(small > BytesOf("") + 30);

        static long BytesOf(string more) => OutlineOf($$"""{"model":"m","messages":[{"role":"user","content":"hi"}]{{more}}}""");
    }

    [Theory]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}""")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}]}""")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}""")]
    public void An_image_counts_about_a_thousand_tokens(string body) => Assert.InRange(OutlineOf(body), 4000, 4100);

    private static long OutlineOf(string body)
    {
        Assert.True(Sluice.Protocol.Chat.ChatDialect.Instance.TryReadOutline(System.Text.Encoding.UTF8.GetBytes(body), out var outline, out _));
        return outline.PromptBytes;
    }
}
