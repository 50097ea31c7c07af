using System.ClientModel;
using OpenAI;
using OpenAI.Chat;
using Sluice.ConformanceTests.Harness;
using Sluice.Server.Configuration;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Official SDKs at a cut, and at every refusal of a limit.</summary>
public sealed class BudgetSdkTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-budget-sdk-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static KeyOptions Key(string name, LimitOptions limits) => new(name, name) { Limits = limits };

    private static LimitOptions Tokens(long amount) => new() { Budgets = [new BudgetOptions(BudgetUnit.Tokens, amount, BudgetPeriod.Month)] };

    private async Task<TestHub> StartAsync()
    {
        var hub = await TestHub.StartScriptedAsync(new TestHubOptions
        {
            Configure = options => options with
            {
                Ledger = new LedgerOptions { Path = Path.Combine(_folder, "ledger.db") },
                Keys =
                [
                    Key("cut", Tokens(60)), Key("whole", Tokens(60)), Key("responses", Tokens(60)), Key("node", Tokens(60)), Key("ai", Tokens(60)),
                    Key("suspend", Tokens(60)) with { OnExhausted = ExhaustedPolicy.Suspend }, Key("net", Tokens(60)), Key("tiny", Tokens(1)),
                    Key("rate", new LimitOptions { RequestsPerMinute = 1 }), new KeyOptions("expired", "expired") { Expires = DateTimeOffset.UnixEpoch },
                    new KeyOptions("other", "other") { Models = ["else"] },
                ],
            },
        });
        hub.Scripts["forever"] = new Script().Say(" one two three").Forever();
        return hub;
    }

    [Fact]
    public async Task Python_takes_a_cut_for_a_normal_end_and_every_refusal_as_it_says()
    {
        await using var hub = await StartAsync();
        Assert.Contains("ok", await ClientProcess.PythonAsync(hub, "budget.py"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_takes_a_cut_for_a_normal_end()
    {
        await using var hub = await StartAsync();
        Assert.Contains("ok", await ClientProcess.NodeAsync(hub, "budget.mjs"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_ai_sdk_takes_a_cut_for_a_normal_end_and_every_refusal_as_it_says()
    {
        await using var hub = await StartAsync();
        Assert.Contains("ok", await ClientProcess.NodeAsync(hub, "budget-ai.mjs"), StringComparison.Ordinal);
    }

    // .NET doesn't read x-should-retry: it asks three times, and each is refused before any work.
    [Fact]
    public async Task Dotnet_takes_a_cut_for_a_normal_end_and_does_not_sleep_for_a_month()
    {
        await using var hub = await StartAsync();
        var client = new ChatClient(hub.Model, new ApiKeyCredential("net"), new OpenAIClientOptions { Endpoint = new Uri(hub.Address, "v1") });
        ChatFinishReason? reason = null;
        await foreach (var update in client.CompleteChatStreamingAsync([new UserChatMessage("forever")], cancellationToken: TestContext.Current.CancellationToken))
            reason = update.FinishReason ?? reason;
        Assert.Equal(ChatFinishReason.Length, reason);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        var error = await Assert.ThrowsAsync<ClientResultException>(() => client.CompleteChatAsync([new UserChatMessage("forever")], cancellationToken: patience.Token));
        Assert.Equal(429, error.Status);
    }
}
