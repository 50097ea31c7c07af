using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Access;

/// <summary>The keys that open the hub. Only their hashes are kept.</summary>
internal sealed class ApiKeys
{
    private const string Scheme = "Bearer";
    private readonly byte[][] _hashes;

    /// <param name="keys">None opens the hub to everyone.</param>
    public ApiKeys(IEnumerable<string> keys) => _hashes = [.. keys.Select(key => SHA256.HashData(Encoding.UTF8.GetBytes(key)))];

    /// <summary>Null when the request may pass.</summary>
    public ApiError? Check(HttpRequest request)
    {
        if (_hashes.Length == 0) return null;
        if (FindKey(request) is not { } key) return ApiErrors.MissingApiKey();
        return IsKnown(key) ? null : ApiErrors.IncorrectApiKey(key);
    }

    // "Authorization: Bearer KEY" in any case and with any spaces; Azure's clients send "api-key: KEY".
    internal static string? FindKey(HttpRequest request)
    {
        var authorization = request.Headers.Authorization.ToString().AsSpan().Trim();
        if (authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            var rest = authorization[Scheme.Length..];
            var key = rest.TrimStart();
            if (key.Length > 0 && key.Length < rest.Length) return key.ToString();
        }
        var azure = request.Headers["api-key"].ToString().Trim();
        return azure.Length > 0 ? azure : null;
    }

    // Hashes make the lengths equal, and every one is looked at: the time says nothing about the keys.
    private bool IsKnown(string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(key), hash);
        var known = false;
        foreach (var candidate in _hashes) known |= CryptographicOperations.FixedTimeEquals(candidate, hash);
        return known;
    }
}
