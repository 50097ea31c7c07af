using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Sluice.Inference.Scheduling;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>What a client sees when another caller takes its place in the engine's queue.</summary>
public sealed class DisplacedRequestTests
{
    private const string Busy = "sk-busy-0123456789";
    private const string Other = "sk-other-0123456789";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_is_displaced_is_429_with_the_time_to_come_again(bool stream)
    {
        var gate = new Gate();
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions
        {
            ApiKeys = [Busy, Other],
            Engine = new EngineOptions { SlotCount = 1, QueueCapacity = 2 },
        });
        using var http = new HttpClient { BaseAddress = hub.Address };
        hub.Scripts["pause"] = new Script().Wait(gate).Say("Hello");
        var running = PostAsync(http, Busy, "pause", stream);
        await gate.Reached;
        var first = PostAsync(http, Busy, "first", stream);
        while (hub.QueuedCount < 1) await Task.Delay(2, Cancellation);
        var last = PostAsync(http, Busy, "last", stream);
        while (hub.QueuedCount < 2) await Task.Delay(2, Cancellation);

        // One of the other caller's two takes the place of the last, and then there is nobody with fewer.
        Task<HttpResponseMessage>[] others = [PostAsync(http, Other, "other", stream), PostAsync(http, Other, "other", stream)];
        var refused = await Task.WhenAny(others);
        Assert.Equal(HttpStatusCode.TooManyRequests, (await refused).StatusCode);
        gate.Open();

        using (var displaced = await last)
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, displaced.StatusCode);
            Assert.InRange(displaced.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
            Assert.Contains("rate_limit_exceeded", await displaced.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        }

        foreach (var served in (Task<HttpResponseMessage>[])[running, first, others.Single(other => other != refused)])
        {
            Assert.Equal(HttpStatusCode.OK, (await served).StatusCode);
        }

        await hub.WhenIdleAsync();
        Assert.Empty(hub.Complaints);
    }

    private static Task<HttpResponseMessage> PostAsync(HttpClient http, string key, string script, bool stream)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/chat/completions", UriKind.Relative))
        {
            Content = new StringContent(
                $$"""{"model":"scripted","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"{{script}}"}]}""",
                Encoding.UTF8, "application/json"),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http.SendAsync(request, Cancellation);
    }
}
