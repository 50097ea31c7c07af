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
    public static ulong Of(IReadOnlyList<int> tokens) => Of([tokens]);

    /// <summary>Of several lists of token ids in their order.</summary>
    public static ulong Of(IEnumerable<IReadOnlyList<int>> lists)
    {
        // No token has this id.
        const int Border = -1;
        var digest = new RollingDigest();
        bool isFirst = true;
        foreach (IReadOnlyList<int> tokens in lists)
        {
            if (!isFirst)
            {
                digest.Add(Border);
            }

            isFirst = false;
            for (int i = 0; i < tokens.Count; i++)
            {
                digest.Add(tokens[i]);
            }
        }

        return digest.Value;
    }

    private void Add(int number) => Add(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in number)));

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
