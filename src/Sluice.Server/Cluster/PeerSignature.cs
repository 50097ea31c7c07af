using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Server.Cluster;

/// <summary>What a look at a request's signature found.</summary>
internal enum SignatureOutcome
{
    /// <summary>It is a hub's of this cluster, and meant for this hub.</summary>
    Valid,

    /// <summary>It is nobody's of this cluster, or was sent before.</summary>
    Refused,

    /// <summary>It is meant for a hub that had this address before.</summary>
    Misdirected,
}

/// <summary>
/// Signs requests between hubs, and checks them: with the cluster's secret, over method, path, sender, receiver, time and a number that is used once.
/// Thread-safe.
/// </summary>
/// <param name="secret">The cluster's.</param>
/// <param name="self">Id of this hub.</param>
/// <param name="time">Clock.</param>
internal sealed class PeerSignature(string secret, Guid self, TimeProvider time)
{
    /// <summary>The header that has it.</summary>
    public const string Header = "Sluice-Peer";

    // Hubs whose clocks differ by this much still understand each other.
    private static readonly TimeSpan s_skewMax = TimeSpan.FromMinutes(15);

    // Some 10 MB. Beyond it the oldest are forgotten, and could be sent again: what they ask for is the same twice.
    private const int NoncesMax = 100_000;

    private readonly byte[] _key = HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), "sluice peer"u8);
    private readonly Lock _lock = new();
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();

    /// <summary>The header's value.</summary>
    /// <param name="method">Of the request.</param>
    /// <param name="target">Path and query.</param>
    /// <param name="receiver">Id of the hub that it is for.</param>
    public string Sign(string method, string target, Guid receiver)
    {
        var moment = time.GetUtcNow().ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);
        var nonce = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        return $"{self:N} {receiver:N} {moment} {nonce} {CodeOf(method, target, self.ToString("N"), receiver.ToString("N"), moment, nonce)}";
    }

    /// <summary>Looks at a request.</summary>
    /// <param name="method">Of the request.</param>
    /// <param name="target">Path and query.</param>
    /// <param name="header">The header's value; null without one.</param>
    public SignatureOutcome Check(string method, string target, string? header)
    {
        if (header?.Split(' ') is not [var sender, var receiver, var moment, var nonce, var code]) return SignatureOutcome.Refused;
        var expected = CodeOf(method, target, sender, receiver, moment, nonce);
        if (!CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(expected), Encoding.ASCII.GetBytes(code))) return SignatureOutcome.Refused;
        if (!long.TryParse(moment, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)) return SignatureOutcome.Refused;
        if (long.Abs(time.GetUtcNow().ToUnixTimeMilliseconds() - milliseconds) > s_skewMax.TotalMilliseconds) return SignatureOutcome.Refused;
        lock (_lock)
        {
            if (!_seen.Add(nonce)) return SignatureOutcome.Refused;
            _order.Enqueue(nonce);
            if (_order.Count > NoncesMax) _seen.Remove(_order.Dequeue());
        }
        return receiver == self.ToString("N") ? SignatureOutcome.Valid : SignatureOutcome.Misdirected;
    }

    private string CodeOf(string method, string target, string sender, string receiver, string moment, string nonce) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes($"{method}\n{target}\n{sender}\n{receiver}\n{moment}\n{nonce}")));
}
