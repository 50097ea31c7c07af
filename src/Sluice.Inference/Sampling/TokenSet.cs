using System.Numerics;
using System.Runtime.Intrinsics;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Sampling;

/// <summary>Sets of tokens as bits by id.</summary>
internal static class TokenSet
{
    /// <summary>Gives every token outside of a set a probability of zero.</summary>
    /// <param name="logits">One per token.</param>
    /// <param name="allowed">The set; empty leaves all as they are.</param>
    public static void Restrict(Span<float> logits, ReadOnlySpan<ulong> allowed)
    {
        if (allowed.IsEmpty)
        {
            return;
        }

        Vector512<uint> lanes = Vector512.Create(
            1u, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000, 0x4000, 0x8000);
        int i = 0;
        for (; i + VectorMath.Lanes <= logits.Length && i / 64 < allowed.Length; i += VectorMath.Lanes)
        {
            uint bits = (uint)(allowed[i / 64] >> (i % 64)) & 0xFFFF;
            if (bits != 0xFFFF)
            {
                Span<float> tile = logits.Slice(i, VectorMath.Lanes);
                Vector512<float> isAllowed = Vector512.Equals(Vector512.Create(bits) & lanes, lanes).AsSingle();
                Vector512.ConditionalSelect(isAllowed, Vector512.Create((ReadOnlySpan<float>)tile), Vector512.Create(float.NegativeInfinity))
                    .CopyTo(tile);
            }
        }

        for (; i < logits.Length; i++)
        {
            logits[i] = Contains(allowed, i) ? logits[i] : float.NegativeInfinity;
        }
    }

    public static bool Contains(ReadOnlySpan<ulong> set, int token) =>
        token / 64 < set.Length && (set[token / 64] & (1UL << (token % 64))) != 0;

    public static int Count(ReadOnlySpan<ulong> set)
    {
        int count = 0;
        foreach (ulong word in set)
        {
            count += BitOperations.PopCount(word);
        }

        return count;
    }

    /// <summary>The lowest token of a set that isn't empty.</summary>
    public static int First(ReadOnlySpan<ulong> set)
    {
        int word = set.IndexOfAnyExcept(0UL);
        return (word * 64) + BitOperations.TrailingZeroCount(set[word]);
    }
}
