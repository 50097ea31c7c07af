using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Sluice.Server.Configuration;

namespace Sluice.Server.Metering;

/// <summary>What limits hold for.</summary>
internal enum ScopeKind
{
    /// <summary>Everything.</summary>
    Hub,

    /// <summary>The keys of one project together.</summary>
    Project,

    /// <summary>One key.</summary>
    Key,
}

/// <summary>One key, project, or the hub: its limits, and what is used of them. Lives as long as the process. Under the limiter's lock.</summary>
/// <param name="kind">What it is.</param>
/// <param name="id">Of its kind; empty for the hub.</param>
internal sealed class LimitScope(ScopeKind kind, string id)
{
    private volatile Meter[] _meters = [];
    private LimitOptions _limits = LimitOptions.None;

    public ScopeKind Kind => kind;

    public string Id => id;

    /// <summary>As an error names it: <c>hub</c>, <c>project</c> or <c>key</c>.</summary>
    public string Word => kind switch { ScopeKind.Hub => "hub", ScopeKind.Project => "project", _ => "key" };

    /// <summary>Requests; null without a limit.</summary>
    public RateBucket? Requests { get; private set; }

    /// <summary>Tokens; null without a limit.</summary>
    public RateBucket? Tokens { get; private set; }

    /// <summary>Answers at a time; null for any number.</summary>
    public int? Parallel { get; private set; }

    /// <summary>Answers that are being made.</summary>
    public int Running { get; set; }

    /// <summary>One for each budget.</summary>
    public ImmutableArray<Meter> Meters => ImmutableCollectionsMarshal.AsImmutableArray(_meters);

    /// <summary>Takes over limits. Buckets and meters that stay keep what has been used.</summary>
    /// <param name="limits">New ones.</param>
    /// <param name="now">The time.</param>
    /// <param name="clock">The same, on the clock of the buckets.</param>
    /// <param name="fresh">Meters that are new and have to be counted from the ledger.</param>
    /// <returns>False where they are those that it has.</returns>
    public bool TryApply(LimitOptions limits, DateTimeOffset now, long clock, out List<Meter> fresh)
    {
        fresh = [];
        if (ReferenceEquals(limits, _limits)) return false;
        _limits = limits;
        Requests = Resize(Requests, limits.RequestsPerMinute, clock);
        Tokens = Resize(Tokens, limits.TokensPerMinute, clock);
        Parallel = limits.Parallel;
        var meters = new List<Meter>();
        foreach (var budget in limits.Budgets)
        {
            var meter = Array.Find(_meters, known => known.IsFor(budget));
            if (meter is null) fresh.Add(meter = new Meter(budget, now));
            meter.SetOptions(budget);
            meters.Add(meter);
        }
        // Whoever counts on the old list goes on with it.
        _meters = [.. meters];
        return true;
    }

    private static RateBucket? Resize(RateBucket? bucket, long? size, long clock) => size switch
    {
        null => null,
        { } wanted when bucket is null => new RateBucket(wanted),
        { } wanted => bucket!.PerMinute == wanted ? bucket : bucket.Resize(wanted, clock),
    };
}
