using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary>Whole hubs with keys, budgets and a ledger, before a scripted server: what clients get, and what is written down.</summary>
public sealed class MeteredHubTests : IDisposable
{
    private const string Prices = "version: 1\nmodels: {m: {input: 1000, output: 1000}, cheap: {input: 1, output: 1}, dear: {input: 100000, output: 100000}}";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-metered-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string LedgerPath => Path.Combine(_folder, "ledger.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(
        string models, string keys, string more = "", TimeProvider? time = null, Func<SluiceOptions, SluiceOptions>? configure = null, LogLines? log = null)
    {
        File.WriteAllText(Path.Combine(_folder, "prices.yaml"), Prices);
        var options = ConfigurationFile.Parse($"prices: {Path.Combine(_folder, "prices.yaml")}\nmodels:\n{models}ledger: {{path: {LedgerPath}}}\n{more}keys:\n{keys}", "sluice.yaml", _ => null);
        return UpstreamHub.StartAsync(models, time, log: log, configure: parsed =>
        {
            var metered = parsed with
            {
                Keys = options.Keys,
                Projects = options.Projects,
                Hub = options.Hub,
                Ledger = options.Ledger,
                Prices = options.Prices,
            };
            return configure?.Invoke(metered) ?? metered;
        });
    }

    private static Task<HttpResponseMessage> AskAsync(UpstreamHub hub, string key = "k1", string more = "", string model = "m", bool stream = true, string? idempotency = null) =>
        hub.PostAsync(UpstreamHub.Ask(model, stream, more), Cancellation, [("Authorization", $"Bearer {key}"), .. idempotency is null ? [] : new[] { ("Idempotency-Key", idempotency) }]);

    private static async Task<(int Status, JsonElement Error, HttpResponseMessage Response)> RefusalAsync(Task<HttpResponseMessage> asking)
    {
        var response = await asking;
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation));
        return ((int)response.StatusCode, document.RootElement.GetProperty("error").Clone(), response);
    }

    private async Task<T> ReadLedgerAsync<T>(UpstreamHub hub, Func<LedgerFile, T> read)
    {
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
        using var file = new LedgerFile(LedgerPath);
        return read(file);
    }

    private static Func<UpstreamReply, Task> Usage(int prompt, int output, params string[] pieces) => async reply =>
    {
        foreach (var piece in pieces) await reply.EventAsync($$$"""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"{{{piece}}}"},"finish_reason":null}]}""");
        await reply.EventAsync("""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""");
        await reply.EventAsync($$$"""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":{{{prompt}}},"completion_tokens":{{{output}}},"total_tokens":{{{prompt + output}}}}}""");
        await reply.EventAsync("[DONE]");
    };

    [Fact]
    public async Task A_plain_answer_is_one_row_and_one_attempt_and_both_sides_have_its_price()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Usage(20, 3, "a", "b", "c"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, tags: {team: a}}\n");
        using (var response = await AskAsync(hub, more: ",\"user\":\"alice@example.com\"")) await UpstreamHub.EventsAsync(response);
        await AnswersEndAsync(hub);
        var (row, attempts) = await ReadLedgerAsync(hub, static file => (file.ReadUsage(0, long.MaxValue / 2, ["key", "model"]).Single(), file.CountRows().Attempts));
        Assert.Equal((1L, 20L, 3L, 23_000_000L, 23_000_000L, 1L), (row.Requests, row.Prompt, row.Output, row.ChargeNanoUsd, row.CostNanoUsd, attempts));
        Assert.DoesNotContain("alice", Encoding.Latin1.GetString(await File.ReadAllBytesAsync(LedgerPath, Cancellation)), StringComparison.Ordinal);
        Assert.Null(await ReadLedgerAsync(hub, static file => file.FindDifference()));
    }

    private static async Task AnswersEndAsync(UpstreamHub hub) => await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);

    // T23, T78, T79: cut before the event that there is no room for, with a regular end.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_budget_that_ends_cuts_the_stream_in_order(bool stream)
    {
        // It would go on for ever.
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 0; i < 100; i++) await reply.EventAsync(ScriptedUpstream.Text($"w{i} "));
            await reply.StallAsync();
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, budget: {tokens: 60, per: day}}\n");
        var words = 0;
        using var response = await AskAsync(hub, more: stream ? ",\"stream_options\":{\"include_usage\":true}" : "", stream: stream);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.EndsWith(" tokens;scope=key", response.Headers.GetValues("Sluice-Budget-Remaining").Single(), StringComparison.Ordinal);
        if (stream)
        {
            var events = await UpstreamHub.EventsAsync(response);
            Assert.Equal("[DONE]", events[^1]);
            var finish = JsonDocument.Parse(events[^3]).RootElement;
            Assert.Equal("length", finish.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
            Assert.Equal(("budget", "key"), (finish.GetProperty("sluice").GetProperty("limit").GetString(), finish.GetProperty("sluice").GetProperty("scope").GetString()));
            var text = string.Concat(events[..^3].Select(line => JsonDocument.Parse(line).RootElement.GetProperty("choices")[0].GetProperty("delta")).Select(delta => delta.TryGetProperty("content", out var content) ? content.GetString() : ""));
            Assert.StartsWith(text, string.Concat(Enumerable.Range(0, 100).Select(i => $"w{i} ")), StringComparison.Ordinal);
            words = text.Count(letter => letter == ' ');
            Assert.InRange(words, 20, 60);
        }
        else
        {
            var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation)).RootElement;
            Assert.Equal("length", body.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
            Assert.Equal("budget", body.GetProperty("sluice").GetProperty("limit").GetString());
            Assert.StartsWith("w0 w1 ", body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), StringComparison.Ordinal);
        }
        await AnswersEndAsync(hub);
        var sum = await ReadLedgerAsync(hub, static file => file.ReadUsage(0, long.MaxValue / 2, []).Single());
        Assert.InRange(sum.Prompt + sum.Output, 20, 61);
        // The prompt is reckoned with 6 tokens. The event behind the last one that there is room for was made, and not delivered.
        if (stream) Assert.Equal(60 - 6, words);
        var (status, error, refused) = await RefusalAsync(AskAsync(hub));
        Assert.Equal((429, "insufficient_quota"), (status, error.GetProperty("code").GetString()));
        Assert.Equal("false", refused.Headers.GetValues("x-should-retry").Single());
        Assert.Null(refused.Headers.RetryAfter);
        Assert.True(error.GetProperty("sluice").GetProperty("resets_at").GetInt64() > 0);
        await upstream.Calls[0].Aborted.WaitAsync(TimeSpan.FromSeconds(10), Cancellation);
    }

    [Fact]
    public async Task A_key_may_have_its_cuts_as_errors()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says([.. Enumerable.Range(0, 100).Select(i => $"w{i} ")]));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, on_exhausted: error, budget: {tokens: 60, per: day}}\n");
        using var response = await AskAsync(hub);
        var (events, _) = await UpstreamHub.ReadAsync(response);
        Assert.Contains(events, line => line.Contains("\"code\":\"insufficient_quota\"", StringComparison.Ordinal));
        Assert.DoesNotContain("[DONE]", events);
    }

    // T34, T36, T95: whoever comes back for an answer has paid for it, also at its limit.
    [Fact]
    public async Task An_answer_is_charged_once_however_often_it_is_read()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Usage(20, 3, "a", "b", "c"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, rpm: 1, parallel: 1}\n");
        string id;
        using (var first = await AskAsync(hub, idempotency: "i"))
        {
            id = first.Headers.GetValues("Sluice-Stream-Id").Single();
            await UpstreamHub.EventsAsync(first);
        }
        for (var i = 0; i < 5; i++)
        {
            using var again = await AskAsync(hub, idempotency: "i");
            Assert.Equal((HttpStatusCode.OK, "replayed"), (again.StatusCode, again.Headers.GetValues("Sluice-Stream-Attempt").Single()));
            await UpstreamHub.EventsAsync(again);
            using var get = new HttpRequestMessage(HttpMethod.Get, $"/v1/chat/completions/{id}");
            get.Headers.Add("Authorization", "Bearer k1");
            using var got = await hub.Http.SendAsync(get, Cancellation);
            Assert.Equal(HttpStatusCode.OK, got.StatusCode);
        }
        var (status, error, refused) = await RefusalAsync(AskAsync(hub));
        Assert.Equal((429, "rate_limit_exceeded"), (status, error.GetProperty("code").GetString()));
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        Assert.Equal("1", refused.Headers.GetValues("x-ratelimit-limit-requests").Single());
        Assert.Equal("0", refused.Headers.GetValues("x-ratelimit-remaining-requests").Single());
        Assert.Matches("^(\\d+ms|[\\d.]+s|\\d+m\\d+s)$", refused.Headers.GetValues("x-ratelimit-reset-requests").Single());
        Assert.Equal(1, (await ReadLedgerAsync(hub, static file => file.CountRows())).Answers);
    }

    // T30: nobody reads, and the row is there.
    [Fact]
    public async Task An_answer_whose_client_leaves_is_charged_for_what_was_made()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            for (var i = 0; i < 5; i++) await reply.EventAsync($$$"""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"w{{{i}}}"},"finish_reason":null}]}""");
            await reply.StallAsync();
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n");
        using (var response = await AskAsync(hub))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            for (var i = 0; i < 5; i++) await reader.ReadLineAsync(Cancellation);
        }
        await AnswersEndAsync(hub);
        var sum = await ReadLedgerAsync(hub, static file => file.ReadUsage(0, long.MaxValue / 2, []).Single());
        Assert.True(sum is { Requests: 1, Prompt: > 0, Output: > 0 }, $"{sum}");
    }

    // T37: retries and fallbacks are the hub's; T81: one that is too dear is passed over.
    [Fact]
    public async Task A_key_is_charged_for_the_model_that_answered_and_the_hub_for_all()
    {
        await using var broken = await ScriptedUpstream.StartAsync(reply =>
        {
            reply.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        await using var dear = await ScriptedUpstream.StartAsync(Usage(20, 3, "a"));
        await using var cheap = await ScriptedUpstream.StartAsync(Usage(20, 3, "a", "b", "c"));
        var models = UpstreamHub.Model("m", broken) + "    retries: 0\n    fallbacks: [dear, cheap]\n" + UpstreamHub.Model("dear", dear) + UpstreamHub.Model("cheap", cheap);
        await using var hub = await StartAsync(models, "  - {name: k1, key: k1, budget: {usd: 0.5, per: day}}\n", "");
        using (var response = await AskAsync(hub)) await UpstreamHub.EventsAsync(response);
        await AnswersEndAsync(hub);
        Assert.Empty(dear.Calls);
        var sums = await ReadLedgerAsync(hub, static file => file.ReadUsage(0, long.MaxValue / 2, ["model"]));
        var sum = Assert.Single(sums, static row => row.Requests > 0);
        Assert.Equal(("cheap", 23_000L), (sum.Keys[0], sum.ChargeNanoUsd));
    }

    // T54, T62: what was used outlives the process.
    [Fact]
    public async Task A_budget_knows_after_a_restart_what_was_used_before()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Usage(20, 20, "a", "b"));
        const string Key = "  - {name: k1, key: k1, budget: {tokens: 50, per: month}}\n";
        await using (var hub = await StartAsync(UpstreamHub.Model("m", upstream), Key))
        {
            using var response = await AskAsync(hub);
            await UpstreamHub.EventsAsync(response);
            await AnswersEndAsync(hub);
            await hub.StopAsync();
        }
        await using (var hub = await StartAsync(UpstreamHub.Model("m", upstream), Key))
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/key");
            request.Headers.Add("Authorization", "Bearer k1");
            using var response = await hub.Http.SendAsync(request, Cancellation);
            Assert.Equal("no-store", response.Headers.CacheControl!.ToString());
            var key = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation)).RootElement;
            Assert.Equal((50, 40, 10), (key.GetProperty("budgets")[0].GetProperty("limit").GetInt32(), key.GetProperty("budgets")[0].GetProperty("used").GetInt32(), key.GetProperty("budgets")[0].GetProperty("remaining").GetInt32()));
            Assert.Equal(40, key.GetProperty("usage").GetProperty("month").GetProperty("tokens").GetInt32());
        }
    }

    [Fact]
    public async Task Keys_that_commands_make_open_the_hub_at_once_and_close_it_when_they_are_revoked()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync("""{"id":"up-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}""");
            await reply.StallAsync();
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n");
        var id = IssuedKey.CreateId();
        var (secret, other) = (IssuedKey.Create(id), IssuedKey.Create(id));
        using var command = new LedgerFile(LedgerPath);
        var row = new KeyRow(id, "ci") { Hash = IssuedKey.HashOf(secret), LastFour = secret[^4..], Created = 1, Limits = new StoredLimits { Models = ["m"] } };
        Put(row);
        await UntilAsync(async () => (await AskAndDropAsync(secret)) == HttpStatusCode.OK);
        Put(row with { Hash = IssuedKey.HashOf(other), FormerHash = row.Hash, FormerUntil = long.MaxValue });
        await UntilAsync(async () => (await AskAndDropAsync(other)) == HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.OK, await AskAndDropAsync(secret));
        using var running = await AskAsync(hub, other);
        Put(row with { Hash = IssuedKey.HashOf(other), Revoked = 2 });
        var (events, _) = await UpstreamHub.ReadAsync(running).WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
        Assert.NotEmpty(events);
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAndDropAsync(other));

        void Put(KeyRow key) => command.PutKey(key, new AuditRow(1, "test", "key", id, null, null));

        async Task<HttpStatusCode> AskAndDropAsync(string key)
        {
            using var response = await AskAsync(hub, key);
            return response.StatusCode;
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        for (var i = 0; i < 200 && !await condition(); i++) await Task.Delay(50, Cancellation);
        Assert.True(await condition());
    }

    [Theory]
    [InlineData("-1000000000")]
    [InlineData("9223372036854775807")]
    public async Task A_bound_that_is_none_takes_nothing_from_others(string bound)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Usage(20, 3, "a"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, tpm: 5000, budget: {tokens: 100000, per: day}}\n");
        for (var i = 0; i < 3; i++)
        {
            using var response = await AskAsync(hub, more: $",\"n\":2,\"max_tokens\":{bound}");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await UpstreamHub.EventsAsync(response);
            await AnswersEndAsync(hub);
        }
        Assert.Equal(69, (await ReadLedgerAsync(hub, static file => file.ReadUsage(0, long.MaxValue / 2, []).Single())) is var sum ? sum.Prompt + sum.Output : 0);
    }

    // T66, T67
    [Fact]
    public async Task Old_rows_go_while_the_hub_runs()
    {
        using (var file = new LedgerFile(LedgerPath))
        {
            file.Commit(
            [
                new LedgerEntry(
                    new AnswerRow("old", 1) { Began = 1000, Ended = 2000, Key = "k1", Model = "m", Door = "chat", EndedBy = "completed", PriceVersion = "1" },
                    [new AttemptRow("old", 0) { Began = 1000, Ended = 2000, Key = "k1", Model = "m", Upstream = "u", Role = "answer" }]),
            ]);
        }
        await using var upstream = await ScriptedUpstream.StartAsync(Usage(1, 1, "a"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n");
        await UntilAsync(async () => await ReadLedgerAsync(hub, static file => file.CountRows()) == (0, 0));
    }

    [Fact]
    public async Task Two_hubs_do_not_share_a_ledger()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Usage(1, 1, "a"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n");
        var error = await Assert.ThrowsAsync<LedgerException>(() => StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n"));
        Assert.Contains("in use by another hub", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_sees_and_asks_its_own_models_only()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Usage(1, 1, "a"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream) + UpstreamHub.Model("cheap", upstream), "  - {name: k1, key: k1, models: [\"ch*\"]}\n  - {name: k2, key: k2, expires: 2020-01-01}\n");
        var (status, error, _) = await RefusalAsync(AskAsync(hub));
        Assert.Equal((404, "model_not_found"), (status, error.GetProperty("code").GetString()));
        using (var fine = await AskAsync(hub, model: "cheap")) Assert.Equal(HttpStatusCode.OK, fine.StatusCode);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Add("Authorization", "Bearer k1");
        using var list = await hub.Http.SendAsync(request, Cancellation);
        Assert.Equal("cheap", JsonDocument.Parse(await list.Content.ReadAsStringAsync(Cancellation)).RootElement.GetProperty("data").EnumerateArray().Single().GetProperty("id").GetString());
        var (expired, why, _) = await RefusalAsync(AskAsync(hub, "k2"));
        Assert.Equal((401, "key_expired"), (expired, why.GetProperty("code").GetString()));
        Assert.DoesNotContain("k2", why.GetProperty("message").GetString(), StringComparison.Ordinal);
    }
}
