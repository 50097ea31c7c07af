using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary><c>on_exhausted: suspend</c>: an answer of the hub's own engine waits for more budget, and goes on at the exact token.</summary>
public sealed class SuspendedBudgetTests : IDisposable
{
    private const string Chat = "/v1/chat/completions";
    private const string Forced = """,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\",\"schema\":{\"type\":\"object\",\"properties\":{\"answer\":{\"const\":\"one two three\"}},\"required\":[\"answer\"],\"additionalProperties\":false}}}""";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-suspend-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string LedgerPath => Path.Combine(_folder, "ledger.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<TestHub> StartAsync(params (string Key, long Tokens)[] keys)
    {
        var hub = await TestHub.StartScriptedAsync(new TestHubOptions
        {
            StorePath = Path.Combine(_folder, "store.db"),
            Configure = options => options with
            {
                Keys =
                [
                    .. keys.Select(static key => new KeyOptions(key.Key, key.Key)
                    {
                        OnExhausted = ExhaustedPolicy.Suspend,
                        Limits = new LimitOptions { Budgets = [new BudgetOptions(BudgetUnit.Tokens, key.Tokens, BudgetPeriod.Day)] },
                    }),
                ],
                Ledger = new LedgerOptions { Path = LedgerPath },
            },
        });
        var sampled = new Script();
        for (var i = 0; i < 40; i++) sampled.Mix((" one", 0.5f), (" two", 0.5f));
        hub.Scripts["sampled"] = sampled;
        hub.Scripts["json"] = new Script().Say("{\"answer\":\"one two three\"}");
        return hub;
    }

    private static string Ask(string message, string more = "", bool stream = true) =>
        $$"""{"model":"scripted","seed":7,"stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"{{message}}"}]{{more.Replace("\\\"", "\"", StringComparison.Ordinal)}}}""";

    private static async Task<(HttpStatusCode Status, string Body, string Id)> SendAsync(
        TestHub hub, string key, string body, string path = Chat, string? disconnect = null, HttpMethod? method = null)
    {
        using var http = new HttpClient { BaseAddress = hub.Address };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var request = new HttpRequestMessage(method ?? HttpMethod.Post, path);
        if (method is null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
            request.Headers.Add("Idempotency-Key", "again");
        }
        if (disconnect is not null) request.Headers.Add("Sluice-On-Disconnect", disconnect);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        var text = new StringBuilder();
        try
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            while (await reader.ReadLineAsync(Cancellation) is { } line) text.Append(line).Append('\n');
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            // The body of a stream that fails is aborted behind its error.
        }
        return (response.StatusCode, text.ToString(), response.Headers.TryGetValues("Sluice-Stream-Id", out var ids) ? ids.Single() : "");
    }

    private static string TextOf(string body) => string.Concat(
        body.Split('\n').Where(static line => line.StartsWith("data: {\"id\"", StringComparison.Ordinal))
            .Select(static line => JsonDocument.Parse(line[6..]).RootElement)
            .SelectMany(static chunk => chunk.GetProperty("choices").EnumerateArray())
            .Select(static choice => choice.GetProperty("delta").TryGetProperty("content", out var content) ? content.GetString() : ""));

    private async Task TopUpAsync(TestHub hub, string key, long tokens)
    {
        using (var file = new LedgerFile(LedgerPath))
            file.AddGrant(new GrantRow("key", key, BudgetUnit.Tokens, tokens, 1, long.MaxValue), new AuditRow(1, "test", "budget.add", key, null, null));
        // Taken over within half a second.
        var limit = hub.Services.GetRequiredService<Sluice.Server.Metering.Limiter>();
        for (var i = 0; i < 200; i++)
        {
            lock (limit.Lock) if (limit.Scopes.Any(scope => scope.Id == key && scope.Meters[0].Granted > 0)) return;
            await Task.Delay(20, Cancellation);
        }
        Assert.Fail("The top-up was not taken over.");
    }

    private async Task<UsageSum> UsedAsync(TestHub hub, string key)
    {
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
        using var ledger = new LedgerFile(LedgerPath);
        Assert.Null(ledger.FindDifference());
        return ledger.ReadUsage(0, long.MaxValue / 2, ["key"]).Single(sum => sum.Keys[0] == key);
    }

    // T80: at every place where a budget can end.
    [Theory]
    [InlineData("sampled", "")]
    [InlineData("json", Forced)]
    public async Task The_whole_is_that_of_an_answer_that_was_not_cut(string message, string more)
    {
        var keys = Enumerable.Range(0, 45).Select(static i => ($"k{i}", 6L + i)).Append(("rich", 100_000L)).ToArray();
        await using var hub = await StartAsync(keys);
        var (_, uncut, _) = await SendAsync(hub, "rich", Ask(message, more));
        var whole = TextOf(uncut);
        var needed = await UsedAsync(hub, "rich");
        var cutCount = 0;
        foreach (var (key, tokens) in keys[..^1])
        {
            var (status, body, _) = await SendAsync(hub, key, Ask(message, more));
            if (tokens >= needed.Prompt + needed.Output)
            {
                Assert.Equal(whole, TextOf(body));
                continue;
            }
            // Too little for the prompt and a token is refused before anything is made.
            if (status != HttpStatusCode.OK) continue;
            cutCount++;
            Assert.Contains("\"code\":\"insufficient_quota\"", body, StringComparison.Ordinal);
            Assert.DoesNotContain("[DONE]", body, StringComparison.Ordinal);
            Assert.StartsWith(TextOf(body), whole, StringComparison.Ordinal);
            await TopUpAsync(hub, key, 1000);
            var (again, rest, _) = await SendAsync(hub, key, Ask(message, more));
            Assert.Equal((HttpStatusCode.OK, whole), (again, TextOf(rest)));
            Assert.Contains("[DONE]", rest, StringComparison.Ordinal);
            var used = await UsedAsync(hub, key);
            Assert.Equal((1, needed.Prompt), (used.Requests, used.Prompt));
            if (more.Length == 0) Assert.Equal(needed.Output, used.Output);
        }
        Assert.True(cutCount >= 5, $"{cutCount} were cut");
    }

    [Fact]
    public async Task Without_more_budget_it_stays_suspended_and_nothing_is_exceeded()
    {
        await using var hub = await StartAsync(("k", 30));
        var (_, body, id) = await SendAsync(hub, "k", Ask("sampled"), disconnect: "cancel");
        Assert.Contains("\"resets_at\":", body, StringComparison.Ordinal);
        for (var i = 0; i < 3; i++)
        {
            var (status, refused, _) = await SendAsync(hub, "k", Ask("sampled"));
            Assert.Equal(HttpStatusCode.TooManyRequests, status);
            Assert.Contains("insufficient_quota", refused, StringComparison.Ordinal);
        }
        var (_, state, _) = await SendAsync(hub, "k", "", $"{Chat}/{id}", method: HttpMethod.Get);
        Assert.Contains("\"state\":\"suspended\"", state, StringComparison.Ordinal);
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
        using var ledger = new LedgerFile(LedgerPath);
        Assert.Equal(30, ledger.Count("key", "k", 0, isMoney: false));
        Assert.Null(ledger.FindDifference());
    }

    [Theory]
    [InlineData(Chat, """{"model":"scripted","seed":7,"messages":[{"role":"user","content":"sampled"}]}""", HttpStatusCode.TooManyRequests, "insufficient_quota")]
    [InlineData("/v1/responses", """{"model":"scripted","stream":true,"input":"sampled"}""", HttpStatusCode.OK, "insufficient_quota")]
    [InlineData("/v1/messages", """{"model":"scripted","stream":true,"max_tokens":1000,"messages":[{"role":"user","content":"sampled"}]}""", HttpStatusCode.OK, "event: error")]
    public async Task Each_door_sends_its_readers_away_with_its_own_error_and_goes_on(string path, string body, HttpStatusCode expected, string error)
    {
        await using var hub = await StartAsync(("k", 45));
        var (status, cut, _) = await SendAsync(hub, "k", body, path);
        Assert.Equal(expected, status);
        Assert.Contains(error, cut, StringComparison.Ordinal);
        await TopUpAsync(hub, "k", 1000);
        var (again, whole, _) = await SendAsync(hub, "k", body, path);
        Assert.Equal(HttpStatusCode.OK, again);
        Assert.DoesNotContain(error, whole, StringComparison.Ordinal);
        var used = await UsedAsync(hub, "k");
        Assert.Equal((1, 41), (used.Requests, used.Output));
    }

    [Fact]
    public async Task Over_a_restart_it_goes_on_too_and_every_token_counts_once()
    {
        string id;
        await using (var hub = await StartAsync(("k", 45))) (_, _, id) = await SendAsync(hub, "k", Ask("sampled"));
        await using (var hub = await StartAsync(("k", 55)))
        {
            var (_, more, same) = await SendAsync(hub, "k", Ask("sampled"));
            Assert.Equal(id, same);
            Assert.Contains("insufficient_quota", more, StringComparison.Ordinal);
        }
        await using (var hub = await StartAsync(("k", 1000)))
        {
            var (_, whole, same) = await SendAsync(hub, "k", Ask("sampled"));
            Assert.Equal(id, same);
            Assert.Equal(40, TextOf(whole).Split(' ').Length - 1);
            var used = await UsedAsync(hub, "k");
            Assert.Equal((1, 41), (used.Requests, used.Output));
        }
    }

    [Fact]
    public async Task What_must_not_be_kept_ends_with_the_error()
    {
        await using var hub = await StartAsync(("k", 45));
        var (_, body, id) = await SendAsync(hub, "k", Ask("sampled", ",\"store\":false"), path: Chat, disconnect: "continue");
        Assert.Contains("insufficient_quota", body, StringComparison.Ordinal);
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        var (_, state, _) = await SendAsync(hub, "k", "", $"{Chat}/{id}", method: HttpMethod.Get);
        Assert.Contains("\"state\":\"failed\"", state, StringComparison.Ordinal);
    }
}
