using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Sluice.Server.Cluster;

/// <summary>Marks connections of other hubs, among their features: they come by an address of their own, and get nothing else there.</summary>
internal sealed class PeerDoor
{
    /// <summary>Marks what comes by this listener.</summary>
    public void Mark(ListenOptions listen) => listen.Use(next => connection =>
    {
        connection.Features.Set(this);
        return next(connection);
    });
}
