using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;

namespace Sluice.Server.Access;

/// <summary>The keys that open the hub, and who asks with each. Only their hashes are kept.</summary>
internal sealed class ApiKeys
{
    private const string Scheme = "Bearer";
    private readonly (byte[] Hash, Caller Caller)[] _keys;

    /// <param name="keys">None opens the hub to everyone.</param>
    public ApiKeys(IEnumerable<ApiKey> keys)
    {
        var hashed = keys.Select(static key => (key.Id, Hash: Hash(key.Key))).ToList();
        // A key without an id is its own owner, by the hash that its answers have always been kept under; one with an id still finds those.
        var callers = hashed.Where(static key => key.Id is not null)
            .GroupBy(static key => key.Id!, static key => Name(key.Hash), StringComparer.Ordinal)
            .ToDictionary(static group => group.Key, static group => new Caller(group.Key, [.. group]), StringComparer.Ordinal);
        _keys = [.. hashed.Select(key => (key.Hash, key.Id is null ? new Caller(Name(key.Hash)) : callers[key.Id]))];
    }

    /// <summary>Who asks, or why the request must not pass.</summary>
    public (Caller? Caller, ApiError? Error) Identify(HttpRequest request)
    {
        var key = FindKey(request);
        // Without keys nobody is told from anybody else. Earlier versions did so by whatever key came, and their answers are still there.
        if (_keys.Length == 0) return (key is null ? Caller.Everybody : new Caller(Caller.Everybody.Id, Name(Hash(key))), null);
        if (key is null) return (null, ApiErrors.MissingApiKey());
        return Find(key) is { } caller ? (caller, null) : (null, ApiErrors.IncorrectApiKey(key));
    }

    // "x-api-key: KEY" as Anthropic's clients send it, at times beside another key; "Authorization: Bearer KEY" in any case and with any
    // spaces; Azure's clients send "api-key: KEY".
    private static string? FindKey(HttpRequest request)
    {
        var anthropic = request.Headers["x-api-key"].ToString().Trim();
        if (anthropic.Length > 0) return anthropic;
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
    private Caller? Find(string key)
    {
        var hash = Hash(key);
        Caller? caller = null;
        foreach (var known in _keys)
        {
            if (CryptographicOperations.FixedTimeEquals(known.Hash, hash)) caller = known.Caller;
        }
        return caller;
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    private static string Name(byte[] hash) => Convert.ToHexStringLower(hash);
}
