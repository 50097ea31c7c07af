using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Sluice.Protocol.Errors;
using Sluice.Server.Access;
using Sluice.Server.Configuration;

namespace Sluice.Server.Endpoints;

/// <summary>Marks connections of administrators, among their features: they come by an address or socket of their own.</summary>
/// <param name="options">Where that is, and with which keys.</param>
internal sealed class AdminDoor(AdminOptions options)
{
    /// <summary>Marks what comes by this listener.</summary>
    public void Mark(ListenOptions listen) => listen.Use(next => connection =>
    {
        connection.Features.Set(this);
        return next(connection);
    });

    /// <summary>Null where the request may pass. A model's key opens nothing here.</summary>
    public ApiError? FindRefusal(HttpRequest request)
    {
        if (options.SocketPath is not null) return null;
        if (ApiKeys.FindKey(request) is not { } key) return ApiErrors.MissingApiKey();
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(key));
        var isKnown = false;
        foreach (var known in options.Keys) isKnown |= CryptographicOperations.FixedTimeEquals(hash, SHA256.HashData(Encoding.UTF8.GetBytes(known)));
        return isKnown ? null : ApiErrors.Forbidden("This key is not an administrator's.", "wrong_kind_of_key");
    }
}
