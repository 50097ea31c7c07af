using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;

namespace Sluice.Server.Access;

/// <summary>The keys that open the hub, and who asks with each. Only their hashes are kept.</summary>
internal sealed class ApiKeys
{
    private const string Scheme = "Bearer";

    private readonly Dictionary<string, Caller> _byHash = new(StringComparer.Ordinal);
    private readonly KeyRing _ring;
    private readonly Limiter _limiter;
    private readonly SluiceOptions _options;
    private readonly bool _isMetered;
    private readonly Caller _everybody;

    /// <param name="options">Without any keys, and none in the ring, the hub is open to everyone.</param>
    /// <param name="ring">Keys that commands have made.</param>
    /// <param name="limiter">Makes the accounts of callers.</param>
    public ApiKeys(SluiceOptions options, KeyRing ring, Limiter limiter)
    {
        (_options, _ring, _limiter) = (options, ring, limiter);
        _isMetered = options.Ledger is not null || options.Hub != LimitOptions.None || options.Keys.Count > 0 || options.Jwt is not null;
        _everybody = CreateCaller(Caller.Everybody.Id);
        // A key without an id is its own owner, by the hash that its answers have always been kept under; one with an id still finds those.
        foreach (var owner in options.ApiKeys.GroupBy(static key => key.Id ?? NameOf(key.Key), StringComparer.Ordinal))
        {
            var hashes = owner.Select(static key => NameOf(key.Key)).ToList();
            var caller = CreateCaller(owner.Key, [.. hashes.Where(hash => hash != owner.Key)]);
            foreach (var hash in hashes) _byHash[hash] = caller;
        }
        foreach (var key in options.Keys)
        {
            var hash = NameOf(key.Key);
            _byHash[hash] = new Caller(key.Id, hash) { Account = limiter.CreateAccount(key, key.Id, options.Projects, options.Hub) };
        }
    }

    /// <summary>Who asks, or why the request must not pass.</summary>
    public (Caller? Caller, ApiError? Error) Identify(HttpRequest request, DateTimeOffset now)
    {
        var key = FindKey(request);
        // Without keys nobody is told from anybody else. Earlier versions did so by whatever key came, and their answers are still there.
        if (_byHash.Count == 0 && _ring.IsEmpty && _options.Jwt is null)
            return (key is null ? _everybody : new Caller(_everybody.Id, NameOf(key)) { Account = _everybody.Account }, null);
        if (key is null) return (null, ApiErrors.MissingApiKey());
        // What is looked up is a hash, so the time says nothing about the keys that there are.
        var caller = _ring.Find(key, now) ?? _byHash.GetValueOrDefault(NameOf(key));
        if (caller is null) return (null, ApiErrors.IncorrectApiKey(key));
        return caller.Account?.Expires <= now ? (null, ApiErrors.KeyExpired()) : (caller, null);
    }

    /// <summary>Somebody that an application has authenticated: the owner of answers. A key that came along pays, and its limits hold.</summary>
    /// <param name="id">Of the user.</param>
    /// <param name="bearer">Who bears the key.</param>
    public Caller CreateUser(string id, Caller bearer) =>
        bearer.Id.Length > 0 ? new Caller(id) { Account = bearer.Account } : CreateCaller(id);

    private Caller CreateCaller(string id, params IReadOnlyList<string> formerIds) =>
        new(id, formerIds) { Account = _isMetered ? _limiter.FindAccount(id, null, null) : null };

    /// <summary>The key or token that a request bears; null where it bears none.</summary>
    // "x-api-key: KEY" as Anthropic's clients send it, at times beside another key; "Authorization: Bearer KEY" in any case and with any
    // spaces; Azure's clients send "api-key: KEY".
    public static string? FindKey(HttpRequest request)
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

    private static string NameOf(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
