using Sluice.Server.Access;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Routing;

namespace Sluice.Server.Serving;

/// <summary>What the hub serves at one time, as one thing that never changes: the configuration, its models, their routes, and who may ask.</summary>
/// <remarks>
/// A request holds it from its beginning to its end, so a reload takes nothing from it. When another one is current and nobody holds
/// this one any more, it lets go of its upstreams.
/// </remarks>
internal sealed class HubSnapshot(SluiceOptions options, ModelCatalog catalog, ModelRouter router, KeyRing ring, Limiter limiter, TimeProvider time)
{
    // One for being current, and one for each request.
    private int _holderCount = 1;

    public SluiceOptions Options => options;

    public ModelCatalog Catalog => catalog;

    public ModelRouter Router => router;

    public ApiKeys Keys { get; } = new(options, ring, limiter);

    /// <summary>Null where no identity provider is configured.</summary>
    public TokenKeys? Tokens { get; } = options.Jwt is null ? null : new TokenKeys(options, limiter, time);

    public HostPolicy Hosts { get; } = new(options);

    public CrossOrigin Origins { get; } = new(options);

    /// <summary>False when the last holder has let go already; then another configuration is current.</summary>
    public bool TryHold()
    {
        var count = Volatile.Read(ref _holderCount);
        while (count > 0)
        {
            var seen = Interlocked.CompareExchange(ref _holderCount, count + 1, count);
            if (seen == count) return true;
            count = seen;
        }
        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _holderCount) == 0) router.Dispose();
    }
}
