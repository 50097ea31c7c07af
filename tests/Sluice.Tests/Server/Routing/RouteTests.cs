using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Models;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Routing;

/// <summary>Which deployment comes next.</summary>
public sealed class RouteTests
{
    private readonly ManualTimeProvider _clock = new();

    private sealed class Upstream : IUpstream
    {
        public UpstreamIdentity Identity { get; } = new("http://upstream/v1", "openai", "m");

        public List<TaskCompletionSource<AttemptResult>> Running { get; } = [];

        public string Name => "scripted";

        public bool Continues => false;

        public Task<AttemptResult> RunAsync(Attempt attempt)
        {
            Running.Add(new TaskCompletionSource<AttemptResult>());
            return Running[^1].Task;
        }
    }

    private Deployment Deploy(double weight = 1) => new(new Upstream(), weight, new Breaker(new Limits(), _clock), new KeyRest(_clock), _clock);

    private Attempt NewAttempt()
    {
        var (generation, figures) = (new Generation("chatcmpl-1"), new RequestFigures(_clock));
        return new Attempt(generation, new RequestOutline("m"), new ClientRequest(default), [])
        {
            Commit = new CommitPoint(_clock),
            Record = figures,
            Output = new LogWriter(generation.Log, figures, new ReaderGrace(generation.Log, TimeSpan.Zero, _clock)),
        };
    }

    private static Route Create(params Deployment[][] tiers) => new(new LocalModel("m", "", 0, default), tiers, 2, null);

    private static HashSet<Deployment> Set(params Deployment[] deployments) => [.. deployments];

    [Fact]
    public void Tiers_come_in_order_and_the_tried_come_last()
    {
        var (a, b, c) = (Deploy(), Deploy(), Deploy());
        var route = Create([a], [b], [c]);
        Assert.Same(a, route.Choose(Set(), Set(), true));
        Assert.Same(b, route.Choose(Set(a), Set(), true));
        Assert.Same(c, route.Choose(Set(a), Set(b), true));
        Assert.Same(a, route.Choose(Set(a, b, c), Set(), true));
        Assert.Null(route.Choose(Set(a, b, c), Set(a, b, c), true));
    }

    [Fact]
    public void Within_a_tier_the_least_loaded_by_weight_comes_first()
    {
        var (a, b) = (Deploy(1), Deploy(3));
        var route = Create([a, b]);
        var counts = new Dictionary<Deployment, int> { [a] = 0, [b] = 0 };
        for (var i = 0; i < 8; i++)
        {
            var next = route.Choose(Set(), Set(), true)!;
            counts[next]++;
            _ = next.RunAsync(NewAttempt());
        }
        Assert.Equal((2, 6), (counts[a], counts[b]));
    }

    [Fact]
    public async Task One_that_fails_again_and_again_is_avoided_until_its_probe()
    {
        var (a, b) = (Deploy(), Deploy());
        var route = Create([a], [b]);
        for (var i = 0; i < 3; i++)
        {
            Assert.Same(a, route.Choose(Set(), Set(), true));
            await FinishAsync(a, AttemptResult.Failed(FailureKind.Faulted, ApiErrors.ServerError()));
        }
        Assert.Same(b, route.Choose(Set(), Set(), true));
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Same(a, route.Choose(Set(), Set(), true));
        var probe = a.RunAsync(NewAttempt());
        Assert.Same(b, route.Choose(Set(), Set(), true));
        ((Upstream)a.Upstream).Running[^1].SetResult(AttemptResult.Answered);
        await probe;
        Assert.Same(a, route.Choose(Set(), Set(), true));
    }

    [Fact]
    public async Task One_that_asks_for_a_pause_gets_it()
    {
        var (a, b) = (Deploy(), Deploy());
        var route = Create([a], [b]);
        await FinishAsync(a, AttemptResult.Failed(FailureKind.RateLimited, ApiErrors.RateLimited(TimeSpan.FromSeconds(3))));
        Assert.Same(b, route.Choose(Set(), Set(), true));
        Assert.Null(Create([a]).Choose(Set(), Set(), avoidedAllowed: false));
        Assert.Same(a, Create([a]).Choose(Set(), Set(), avoidedAllowed: true));
        _clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Same(a, route.Choose(Set(), Set(), true));
    }

    private async Task FinishAsync(Deployment deployment, AttemptResult result)
    {
        var running = deployment.RunAsync(NewAttempt());
        ((Upstream)deployment.Upstream).Running[^1].SetResult(result);
        await running;
    }

    [Fact]
    public void Those_that_were_running_at_the_opening_do_not_lengthen_it()
    {
        var limits = new Limits();
        var breaker = new Breaker(limits, _clock);
        for (var i = 0; i < 32; i++) breaker.Enter();
        for (var i = 0; i < 32; i++) breaker.Fail();
        Assert.True(breaker.IsOpen);
        _clock.Advance(limits.BreakerOpenFirst);
        Assert.False(breaker.IsOpen);
        breaker.Enter();
        breaker.Fail();
        _clock.Advance(limits.BreakerOpenFirst);
        Assert.True(breaker.IsOpen);
    }
}
