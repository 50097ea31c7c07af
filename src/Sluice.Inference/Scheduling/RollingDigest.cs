using System.Runtime.InteropServices;

namespace Sluice.Inference.Scheduling;

/// <summary>FNV-1a over 64 bits: tells whether two runs gave the same, not whether somebody has forged one.</summary>
internal struct RollingDigest()
{
    // Reference: the parameters of FNV-1a for 64 bits.
    private const ulong Offset = 14695981039346656037;
    private const ulong Prime = 1099511628211;

    /// <summary>Of everything so far.</summary>
    public ulong Value { get; private set; } = Offset;

    /// <summary>Of token ids in their order.</summary>
    public static ulong Of(IReadOnlyList<int> tokens)
    {
        var digest = new RollingDigest();
        Span<int> one = stackalloc int[1];
        for (int i = 0; i < tokens.Count; i++)
        {
            one[0] = tokens[i];
            digest.Add(MemoryMarshal.AsBytes(one));
        }

        return digest.Value;
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        ulong value = Value;
        foreach (byte b in bytes)
        {
            value = (value ^ b) * Prime;
        }

        Value = value;
    }

    /// <summary>A kind of thing and its text, so that the border between two things counts.</summary>
    public void Add(byte kind, ReadOnlySpan<byte> text)
    {
        Add([kind, (byte)text.Length, (byte)(text.Length >> 8), (byte)(text.Length >> 16)]);
        Add(text);
    }
}
