using System.Security.Cryptography;

namespace Sluice.Server.Runtime;

/// <summary>Where seeds and identifiers come from: the system's generator, or a seeded one for tests. Thread-safe.</summary>
public sealed class RandomSource
{
    private const string Base32 = "0123456789abcdefghjkmnpqrstvwxyz";
    private readonly Random? _seeded;
    private readonly Lock _lock = new();

    /// <summary>Unpredictable.</summary>
    public RandomSource()
    {
    }

    /// <summary>The same numbers for the same seed.</summary>
    public RandomSource(int seed) => _seeded = new Random(seed);

    /// <summary>A number over the whole range.</summary>
    public ulong NextUInt64()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        Fill(bytes);
        return BitConverter.ToUInt64(bytes);
    }

    /// <summary>A unique identifier that sorts by time: 26 letters and digits, milliseconds first, then 80 random bits.</summary>
    public string NextId(DateTimeOffset now)
    {
        Span<byte> random = stackalloc byte[16];
        Fill(random);
        Span<char> text = stackalloc char[26];
        var milliseconds = (ulong)now.ToUnixTimeMilliseconds();
        for (var i = 9; i >= 0; i--, milliseconds >>= 5) text[i] = Base32[(int)(milliseconds & 31)];
        for (var i = 10; i < text.Length; i++) text[i] = Base32[random[i - 10] & 31];
        return new string(text);
    }

    private void Fill(Span<byte> bytes)
    {
        if (_seeded is null)
        {
            RandomNumberGenerator.Fill(bytes);
            return;
        }
        lock (_lock) _seeded.NextBytes(bytes);
    }
}
