using Sluice.Protocol.Answers;
using Sluice.Server.Routing;

namespace Sluice.Server.Endpoints;

/// <summary>A request that a hook may put another one in place of.</summary>
/// <param name="body">As the client wrote it, with the conversation that it refers to.</param>
/// <param name="outline">Of the body.</param>
/// <param name="route">Of the model that is asked for.</param>
internal sealed class HookedRequest(ReadOnlyMemory<byte> body, RequestOutline outline, Route route)
{
    public ReadOnlyMemory<byte> Body { get; set; } = body;

    public RequestOutline Outline { get; set; } = outline;

    public Route Route { get; set; } = route;
}
