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

/// <summary>The hub's own engine under budgets: it asks before each token, so nothing is ever exceeded.</summary>
public sealed class EngineBudgetTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-engine-budget-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private async Task<TestHub> StartAsync(long tokens, BudgetPeriod per = BudgetPeriod.Day)
    {
        var hub = await TestHub.StartScriptedAsync(new TestHubOptions
        {
            Configure = options => options with
            {
                Keys = [new KeyOptions("k1", "k1") { Limits = new LimitOptions { Budgets = [new BudgetOptions(BudgetUnit.Tokens, tokens, per)] } }],
                Ledger = new LedgerOptions { Path = Path.Combine(_folder, "ledger.db") },
            },
        });
        hub.Scripts["forever"] = new Script().Say(" one two three").Forever();
        return hub;
    }

    private static async Task<(HttpStatusCode Status, string Body)> AskAsync(TestHub hub, string more = "", string path = "/v1/chat/completions", string? body = null)
    {
        using var http = new HttpClient { BaseAddress = hub.Address };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "k1");
        body ??= $$"""{"model":"scripted","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"forever"}]{{more}}}""";
        using var response = await http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Cancellation));
    }

    private async Task<UsageSum> UsedAsync(TestHub hub)
    {
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
        using var ledger = new LedgerFile(Path.Combine(_folder, "ledger.db"));
        Assert.Null(ledger.FindDifference());
        return ledger.ReadUsage(0, long.MaxValue / 2, []).Single();
    }

    // T22
    [Fact]
    public async Task Many_streams_share_a_budget_to_the_token_and_none_exceeds_it()
    {
        await using var hub = await StartAsync(3000);
        var replies = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => AskAsync(hub)));
        var used = await UsedAsync(hub);
        Assert.InRange(used.Prompt + used.Output, 2900, 3000);
        foreach (var (status, body) in replies.Where(reply => reply.Status == HttpStatusCode.OK))
        {
            Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
            Assert.Contains("\"finish_reason\":\"length\"", body, StringComparison.Ordinal);
            Assert.Contains("\"sluice\":{\"limit\":\"budget\",\"scope\":\"key\",\"resets_at\":", body, StringComparison.Ordinal);
        }
        Assert.All(replies.Where(reply => reply.Status != HttpStatusCode.OK), reply => Assert.Equal(HttpStatusCode.TooManyRequests, reply.Status));
    }

    // T78: usage is that of the cut answer, and the text is as long as it says.
    [Fact]
    public async Task A_cut_answer_states_the_tokens_that_it_has()
    {
        await using var hub = await StartAsync(60);
        var (_, body) = await AskAsync(hub);
        var usage = body.Split("\n\n").Select(line => line.Length > 6 && line[6] == '{' ? JsonDocument.Parse(line[6..]).RootElement : default)
            .Single(chunk => chunk.ValueKind == JsonValueKind.Object && chunk.GetProperty("choices").GetArrayLength() == 0).GetProperty("usage");
        var used = await UsedAsync(hub);
        Assert.Equal((used.Prompt, used.Output), (usage.GetProperty("prompt_tokens").GetInt64(), usage.GetProperty("completion_tokens").GetInt64()));
        Assert.Equal(60, used.Prompt + used.Output);
    }

    // T79
    [Theory]
    [InlineData(",\"n\":3")]
    [InlineData(",\"logprobs\":true,\"top_logprobs\":2")]
    public async Task All_choices_end_at_once_and_log_probabilities_with_their_text(string more)
    {
        await using var hub = await StartAsync(90);
        var (status, body) = await AskAsync(hub, more);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(more.Contains('3', StringComparison.Ordinal) ? 3 : 1, body.Split("\"finish_reason\":\"length\"").Length - 1);
        var used = await UsedAsync(hub);
        Assert.InRange(used.Prompt + used.Output, 80, 90);
    }

    [Theory]
    [InlineData("/v1/responses", "{\"model\":\"scripted\",\"stream\":true,\"input\":\"forever\"}", "\"incomplete_details\":{\"reason\":\"max_output_tokens\",\"sluice\":{\"limit\":\"budget\"")]
    [InlineData("/v1/messages", "{\"model\":\"scripted\",\"stream\":true,\"max_tokens\":1000,\"messages\":[{\"role\":\"user\",\"content\":\"forever\"}]}", "\"stop_reason\":\"max_tokens\"")]
    [InlineData("/v1/responses", "{\"model\":\"scripted\",\"input\":\"forever\"}", "\"status\":\"incomplete\"")]
    public async Task Each_door_says_it_in_its_own_words(string path, string request, string expected)
    {
        await using var hub = await StartAsync(80);
        var (status, body) = await AskAsync(hub, path: path, body: request);
        Assert.Empty(hub.Complaints);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Contains(expected, body, StringComparison.Ordinal);
        var used = await UsedAsync(hub);
        Assert.InRange(used.Prompt + used.Output, 70, 80);
    }

    [Fact]
    public async Task A_prompt_that_the_budget_has_no_room_for_is_refused_before_it_is_computed()
    {
        await using var hub = await StartAsync(10);
        var (status, body) = await AskAsync(hub);
        Assert.Equal(HttpStatusCode.TooManyRequests, status);
        Assert.Contains("insufficient_quota", body, StringComparison.Ordinal);
        Assert.Equal(0, hub.ComputedTokenCount);
    }
}
