using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>What clients see of a hub that is told to stop: the whole hub, before a scripted server, on a manual clock.</summary>
public sealed class GracefulStopTests
{
    private static readonly TimeSpan s_drain = TimeSpan.FromSeconds(30);
    private readonly ManualTimeProvider _clock = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream) => UpstreamHub.StartAsync(
        UpstreamHub.Model("m", upstream) + "    retries: 0\n    timeouts: {total: 1h, idle: 1h, first_token: 1h}\n", _clock,
        new Limits { ErrorEventLead = TimeSpan.Zero }, configure: options => options with { Drain = s_drain });

    private static Task<ScriptedUpstream> PausesAsync(SemaphoreSlim gate) => ScriptedUpstream.StartAsync(async reply =>
    {
        await reply.EventAsync(ScriptedUpstream.Role());
        await reply.EventAsync(ScriptedUpstream.Text("one"));
        await gate.WaitAsync(reply.Aborted);
        await reply.EventAsync(ScriptedUpstream.Text("two"));
        await reply.EventAsync(ScriptedUpstream.Finish());
        await reply.EventAsync("[DONE]");
    });

    private static async Task<HttpResponseMessage> BeginAsync(UpstreamHub hub)
    {
        var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Idempotency-Key", "k"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response;
    }

    private static async Task WhenDrainingAsync(UpstreamHub hub)
    {
        while (true)
        {
            using var response = await hub.Http.GetAsync("/readyz", Cancellation);
            if ((await response.Content.ReadAsStringAsync(Cancellation)).Contains("draining", StringComparison.Ordinal))
            {
                Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
                return;
            }
            await Task.Delay(2, Cancellation);
        }
    }

    [Fact]
    public async Task With_a_delay_new_requests_are_served_for_as_long_and_refused_after_it()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hub = await UpstreamHub.StartAsync(
            UpstreamHub.Model("m", upstream), _clock, configure: options => options with { Drain = s_drain, StopDelay = TimeSpan.FromSeconds(10) });
        var stopping = hub.StopAsync();
        await WhenDrainingAsync(hub);
        using (var served = await hub.PostAsync(UpstreamHub.Ask(), Cancellation))
        {
            Assert.Equal(HttpStatusCode.OK, served.StatusCode);
            // So that whoever comes next goes elsewhere.
            Assert.True(served.Headers.ConnectionClose);
        }
        Assert.False(stopping.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(10));
        await stopping;
        await Assert.ThrowsAsync<HttpRequestException>(() => hub.PostAsync(UpstreamHub.Ask(), Cancellation));
    }

    [Fact]
    public async Task What_runs_comes_to_its_end_and_can_be_resumed_and_nothing_else_begins()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await PausesAsync(gate);
        await using var hub = await StartAsync(upstream);
        using var running = await BeginAsync(hub);
        var stopping = hub.StopAsync();
        await WhenDrainingAsync(hub);

        using var refused = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Idempotency-Key", "another"));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(1)), (refused.StatusCode, refused.Headers.RetryAfter!.Delta));
        Assert.Contains("\"code\":\"server_shutdown\"", await refused.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        Assert.True(refused.Headers.ConnectionClose);

        using var resumed = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Idempotency-Key", "k"), ("Last-Event-ID", "1"));
        using var joined = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Idempotency-Key", "k"));
        Assert.Equal("resumed", resumed.Headers.GetValues("Sluice-Stream-Attempt").Single());
        Assert.False(stopping.IsCompleted);
        gate.Release();
        var (events, isWhole) = await UpstreamHub.ReadAsync(running);
        Assert.True(isWhole);
        Assert.Equal("[DONE]", events[^1]);
        Assert.Equal(events, await UpstreamHub.EventsAsync(joined));
        Assert.Equal(events.Skip(1), await UpstreamHub.EventsAsync(resumed));
        await stopping;
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task At_the_deadline_what_is_left_ends_with_an_error_and_never_in_order()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await PausesAsync(gate);
        await using var hub = await StartAsync(upstream);
        using var running = await BeginAsync(hub);
        var stopping = hub.StopAsync();
        await WhenDrainingAsync(hub);
        while (!_clock.HasTimerIn(s_drain)) await Task.Delay(2, Cancellation);
        _clock.Advance(s_drain - TimeSpan.FromSeconds(1));
        await WhenDrainingAsync(hub);
        _clock.Advance(TimeSpan.FromSeconds(1));
        await EndsWithErrorAsync(running);
        await stopping;
    }

    [Fact]
    public async Task A_second_signal_does_not_wait()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await PausesAsync(gate);
        await using var hub = await StartAsync(upstream);
        using var running = await BeginAsync(hub);
        var stopping = hub.StopAsync();
        await WhenDrainingAsync(hub);
        hub.Services.GetRequiredService<GracefulStop>().Hurry();
        await EndsWithErrorAsync(running);
        await stopping;
    }

    [Fact]
    public async Task A_hub_with_nothing_to_do_stops_at_once()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream);
        using var response = await BeginAsync(hub);
        await UpstreamHub.EventsAsync(response);
        await hub.StopAsync();
    }

    private static async Task EndsWithErrorAsync(HttpResponseMessage response)
    {
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.False(isWhole);
        Assert.StartsWith("{\"error\":{", events[^1], StringComparison.Ordinal);
        Assert.Contains("server_shutdown", events[^1], StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", events);
    }
}
