using System.Net;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;
using Sluice.Testing;
using Sluice.Tests.Server.Telemetry;
using Xunit;

namespace Sluice.Tests.Server.Routing;

/// <summary>A second upstream for a request whose first token is late.</summary>
public sealed class HedgingTests
{
    private const int SamplesNeeded = 20;

    private static readonly Func<UpstreamReply, Task> s_ok = ScriptedUpstream.Says("ok");

    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    [Fact]
    public void The_wait_is_the_95th_percentile_of_the_models_own_first_tokens()
    {
        var hedging = new Hedging(1);
        for (var i = 1; i < SamplesNeeded; i++) hedging.Add(TimeSpan.FromMilliseconds(i));
        Assert.Null(hedging.Begin());
        hedging.Add(TimeSpan.FromSeconds(5));
        // Nineteen of twenty were faster than the slowest.
        Assert.Equal(TimeSpan.FromMilliseconds(19), hedging.Begin());
        for (var i = 0; i < 1_000; i++) hedging.Add(TimeSpan.FromMilliseconds(7));
        Assert.Equal(TimeSpan.FromMilliseconds(7), hedging.Begin());
    }

    [Fact]
    public void No_more_than_its_share_of_the_requests_is_asked_twice()
    {
        var hedging = new Hedging(0.05);
        var hedges = 0;
        for (var i = 0; i < 1_000; i++)
        {
            hedging.Begin();
            if (hedging.TrySpend()) hedges++;
        }
        Assert.InRange(hedges, 49, 50);
    }

    [Fact]
    public void Quiet_times_save_up_ten_at_most()
    {
        var hedging = new Hedging(1);
        for (var i = 0; i < 1_000; i++) hedging.Begin();
        Assert.Equal(10, Enumerable.Range(0, 100).Count(_ => hedging.TrySpend()));
    }

    [Fact]
    public async Task A_late_first_token_counts_also_when_another_upstream_was_asked()
    {
        var clock = new ManualTimeProvider();
        var hedging = new Hedging(1);
        for (var i = 0; i < SamplesNeeded; i++) hedging.Add(TimeSpan.FromSeconds(1));
        // As many as make the slowest twentieth.
        for (var i = 0; i < 3; i++)
        {
            var (generation, figures) = (new Generation("chatcmpl-1"), new RequestFigures(clock));
            var attempt = new Attempt(generation, new RequestOutline("m"), new ClientRequest(default), [])
            {
                Commit = new CommitPoint(clock),
                Record = figures,
                Output = new LogWriter(generation.Log, figures, new ReaderGrace(generation.Log, TimeSpan.Zero, clock)),
            };
            var (first, second) = (new HeldUpstream(), new HeldUpstream());
            var running = HedgedAttempt.RunAsync(attempt, Deploy(first), hedging, () => Deploy(second), new HashSet<Deployment>(), clock);
            clock.Advance(TimeSpan.FromSeconds(1));
            await second.Asked.Task.WaitAsync(Patience);
            clock.Advance(TimeSpan.FromSeconds(2));
            second.Answer();
            first.Result.SetResult(AttemptResult.Failed(FailureKind.Silent, ApiErrors.ServerError()));
            Assert.Equal(AttemptOutcome.Answered, (await running).Result.Outcome);
        }
        Assert.Equal(TimeSpan.FromSeconds(3), hedging.Begin());

        Deployment Deploy(IUpstream upstream) => new(upstream, 1, new Breaker(new Limits(), clock), new KeyRest(clock), clock);
    }

    private sealed class HeldUpstream : IUpstream
    {
        private Attempt? _attempt;

        public UpstreamIdentity Identity { get; } = new("http://upstream/v1", "openai", "m");

        public bool Continues => false;

        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource<AttemptResult> Result { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<AttemptResult> RunAsync(Attempt attempt)
        {
            _attempt = attempt;
            Asked.SetResult();
            return Result.Task;
        }

        public void Answer()
        {
            Assert.True(_attempt!.Commit.TryPass(_attempt));
            Result.SetResult(AttemptResult.Answered);
        }
    }

    // The clock stands still, so every first token took no time, and the wait is none.
    private static async Task<UpstreamHub> StartWarmAsync(ScriptedUpstream first, ScriptedUpstream second, string share = "100%")
    {
        var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second) + $"    hedge: {share}\n", new ManualTimeProvider());
        for (var i = 0; i < SamplesNeeded; i++)
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask());
            await UpstreamHub.EventsAsync(response);
        }
        Assert.Empty(second.Calls);
        return hub;
    }

    private static Func<UpstreamReply, Task>[] OkThen(Func<UpstreamReply, Task> last) => [.. Enumerable.Repeat(s_ok, SamplesNeeded), last];

    [Fact]
    public async Task The_first_content_wins_and_the_other_attempt_is_aborted()
    {
        var isStalled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var first = await ScriptedUpstream.StartAsync(OkThen(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            isStalled.SetResult();
            await reply.StallAsync();
        }));
        await using var second = await ScriptedUpstream.StartAsync(async reply =>
        {
            // An attempt that loses before its headers have come costs nothing that the hub knows of, so they get the time to arrive.
            await isStalled.Task;
            await Task.Delay(200, reply.Aborted);
            await ScriptedUpstream.Says("from the second")(reply);
        });
        await using var hub = await StartWarmAsync(first, second);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([ScriptedUpstream.Role(), ScriptedUpstream.Text("from the second"), ScriptedUpstream.Finish(), "[DONE]"], await UpstreamHub.EventsAsync(response));
        await first.Calls[^1].Aborted.WaitAsync(Patience);
        // It has read the prompt all the same.
        var scrape = await Scrape.WhenIdleAsync(hub.Http);
        Assert.InRange(scrape.Sum("sluice_attempt_tokens_total", "type=\"input\"", "sluice_role=\"hedge_lost\"", "sluice_estimated=\"true\"", first.Url) ?? 0, 1, 1_000);
        Assert.Null(scrape.Sum("sluice_attempt_tokens_total", "sluice_role=\"hedge_lost\"", second.Url));
    }

    [Fact]
    public async Task The_late_one_may_still_win()
    {
        var isAsked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var first = await ScriptedUpstream.StartAsync(OkThen(async reply =>
        {
            await isAsked.Task;
            await s_ok(reply);
        }));
        await using var second = await ScriptedUpstream.StartAsync(async reply =>
        {
            isAsked.SetResult();
            await reply.StallAsync();
        });
        await using var hub = await StartWarmAsync(first, second);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Contains(ScriptedUpstream.Text("ok"), await UpstreamHub.EventsAsync(response));
        await second.Calls[0].Aborted.WaitAsync(Patience);
    }

    [Fact]
    public async Task A_failure_never_wins()
    {
        var isAsked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var first = await ScriptedUpstream.StartAsync(OkThen(async reply =>
        {
            await isAsked.Task;
            // The refusal has had every chance to come first.
            await Task.Delay(100);
            await s_ok(reply);
        }));
        await using var second = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync("""{"error":{"message":"busy","code":503}}""");
            isAsked.SetResult();
        });
        await using var hub = await StartWarmAsync(first, second);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains(ScriptedUpstream.Text("ok"), await UpstreamHub.EventsAsync(response));
        Assert.Single(second.Calls);
    }

    [Fact]
    public async Task A_spent_budget_asks_nobody_else()
    {
        await using var first = await ScriptedUpstream.StartAsync(OkThen(async reply =>
        {
            await Task.Delay(100);
            await s_ok(reply);
        }));
        await using var second = await ScriptedUpstream.StartAsync(s_ok);
        await using var hub = await StartWarmAsync(first, second, "1%");
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        await UpstreamHub.EventsAsync(response);
        Assert.Empty(second.Calls);
    }

    [Fact]
    public async Task Whom_a_spent_budget_left_out_is_asked_after_a_failure_as_if_nothing_had_been()
    {
        // The client would rather wait a minute than the hub; the second has not been tried, so there is nothing to wait for.
        await using var first = await ScriptedUpstream.StartAsync(OkThen(async reply =>
        {
            await Task.Delay(100);
            await ScriptedUpstream.Refuses(429, "{}", ("Retry-After", "60"))(reply);
        }));
        await using var second = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("from the second"));
        await using var hub = await StartWarmAsync(first, second, "1%");
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains(ScriptedUpstream.Text("from the second"), await UpstreamHub.EventsAsync(response));
    }

    [Fact]
    public async Task What_the_second_refuses_is_passed_on_and_not_asked_again_when_the_first_fails()
    {
        var isAsked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var first = await ScriptedUpstream.StartAsync(OkThen(async reply =>
        {
            await isAsked.Task;
            await Task.Delay(100);
            await ScriptedUpstream.Refuses(500, "{}")(reply);
        }));
        await using var second = await ScriptedUpstream.StartAsync(async reply =>
        {
            await ScriptedUpstream.Refuses(400, """{"error":{"message":"no such parameter","type":"invalid_request_error"}}""")(reply);
            isAsked.TrySetResult();
        });
        await using var hub = await StartWarmAsync(first, second);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Single(second.Calls);
        Assert.Equal(SamplesNeeded + 1, first.Calls.Count);
    }
}
