using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Endpoints;

/// <summary><c>Sluice-Rescue: on | off</c>: whether an answer that breaks off may be gone on with by another attempt.</summary>
internal static class RescueHeader
{
    private const string Name = "Sluice-Rescue";

    public static bool IsOff(HttpRequest request) => request.Headers[Name] == "off";

    /// <summary>Null when the header is absent or has a value that there is.</summary>
    public static ApiError? FindProblem(HttpRequest request) =>
        !request.Headers.TryGetValue(Name, out var values) || values.ToString() is "on" or "off"
            ? null
            : new ApiError(400, $"The header {Name} must be 'on' or 'off'.", ApiErrors.InvalidRequestType, null, null);
}
