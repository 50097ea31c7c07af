using System.ClientModel;
using System.ClientModel.Primitives;
using System.Globalization;
using OpenAI;
using OpenAI.Chat;
using Sluice.ConformanceTests.Harness;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Faults;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>
/// The official SDKs as they are, over connections that break before an answer: their automatic retries take over what the first attempt has asked for, so
/// there are as many generations as requests. <c>SLUICE_CUTS</c> says how many requests there are.
/// </summary>
public sealed class AdoptionTests
{
    private static readonly int s_count = Environment.GetEnvironmentVariable("SLUICE_CUTS") is { Length: > 0 } cuts ? int.Parse(cuts, CultureInfo.InvariantCulture) : 100;
    private static readonly TimeSpan s_late = TimeSpan.FromMilliseconds(300);

    [Fact]
    public Task Python() => CountAsync((hub, url, count) => RunAsync(hub, url, "python", count));

    [Fact]
    public Task Node() => CountAsync((hub, url, count) => RunAsync(hub, url, "node", count));

    [Fact]
    public Task DotNet() => CountAsync(async (hub, url, count) =>
    {
        var client = new ChatClient(hub.Model, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(url), RetryPolicy = new ClientRetryPolicy(maxRetries: 5) });
        await Task.WhenAll(Enumerable.Range(0, count).Select(async number =>
        {
            ChatMessage[] messages = [new UserChatMessage($"request {number}")];
            var text = "";
            if (number % 2 == 0) text = (await client.CompleteChatAsync(messages)).Value.Content[0].Text;
            else await foreach (var update in client.CompleteChatStreamingAsync(messages)) text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            Assert.Equal("late", text);
        }));
    });

    private static Task<string> RunAsync(TestHub hub, string url, string language, int count) =>
        language == "python" ? ClientProcess.PythonAsync(hub, "drops.py", url, $"{count}") : ClientProcess.NodeAsync(hub, "drops.mjs", url, $"{count}");

    private static async Task CountAsync(Func<TestHub, string, int, Task> run)
    {
        const int AtATime = 50;
        // Nothing is sent before the hub has noticed that its client is gone.
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await Task.Delay(s_late, reply.Aborted);
            await ScriptedUpstream.Says("late")(reply);
        });
        var limits = new Limits { UnseenGrace = TimeSpan.FromSeconds(60), Adoptable = TimeSpan.FromSeconds(60) };
        await using var hub = await TestHub.StartConfiguredAsync($"  - {{id: m, retries: 0, upstreams: [{{url: \"{upstream.Url}\"}}]}}\n", new TestHubOptions { Limits = limits });
        for (var done = 0; done < s_count; done += AtATime)
        {
            var count = int.Min(AtATime, s_count - done);
            var calls = upstream.Calls.Count;
            await using var proxy = FaultProxy.Start(hub.Address, connection => connection < count
                ? new ConnectionPlan(connection % 2 == 0 ? ConnectionFault.Close : ConnectionFault.Reset) { AfterRequest = TimeSpan.FromMilliseconds(connection) }
                : new ConnectionPlan());
            await run(hub, new Uri(proxy.Address, "v1").ToString(), count);
            Assert.Equal(count, proxy.FaultCount);
            Assert.Equal(count, upstream.Calls.Count - calls);
        }
    }
}
