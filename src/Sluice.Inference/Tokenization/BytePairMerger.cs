using System.Buffers;

namespace Sluice.Inference.Tokenization;

/// <summary>Joins the symbols of a pre-token: the lowest rank first, of equal ranks the leftmost.</summary>
internal static class BytePairMerger
{
    /// <summary>Joins symbols in place in O(n log n).</summary>
    /// <param name="symbols">The smallest ones; receives the joined.</param>
    /// <param name="merges">Which pairs are joined.</param>
    /// <returns>How many are left.</returns>
    public static int Merge(Span<int> symbols, MergeTable merges) =>
        symbols.Length <= TokenizationLimits.PlainMergeSymbolsMax ? MergeFew(symbols, merges) : MergeMany(symbols, merges);

    private static int MergeFew(Span<int> symbols, MergeTable merges)
    {
        Span<ulong> pairs = stackalloc ulong[TokenizationLimits.PlainMergeSymbolsMax]; // pairs[i] joins symbols i and i + 1
        var count = symbols.Length;
        for (var i = 0; i + 1 < count; i++)
        {
            pairs[i] = merges.Find(symbols[i], symbols[i + 1]);
        }

        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                best = pairs[i] < pairs[best] ? i : best;
            }

            if (pairs[best] == MergeTable.None)
            {
                break;
            }

            symbols[best] = MergeTable.Result(pairs[best]);
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            pairs[(best + 1)..(count - 1)].CopyTo(pairs[best..]);
            count--;
            if (best > 0)
            {
                pairs[best - 1] = merges.Find(symbols[best - 1], symbols[best]);
            }

            if (best + 1 < count)
            {
                pairs[best] = merges.Find(symbols[best], symbols[best + 1]);
            }
        }

        return count;
    }

    private static int MergeMany(Span<int> symbols, MergeTable merges)
    {
        // A symbol that was joined to one before is None.
        const int None = int.MinValue;
        var count = symbols.Length;
        var rented = ArrayPool<int>.Shared.Rent(count * 2);
        var nexts = rented.AsSpan(0, count);
        var previous = rented.AsSpan(count, count);
        var queue = new PriorityQueue<int, ulong>(count); // rank in the upper half, position in the lower
        for (var i = 0; i < count; i++)
        {
            nexts[i] = i + 1;
            previous[i] = i - 1;
        }

        for (var i = 0; i + 1 < count; i++)
        {
            Enqueue(queue, merges.Find(symbols[i], symbols[i + 1]), i);
        }

        while (queue.TryDequeue(out var left, out var priority))
        {
            // An entry whose symbols have changed since is stale: the pair that stands there now has another rank, or none.
            var right = nexts[left];
            if (symbols[left] == None || right >= count)
            {
                continue;
            }

            var merge = merges.Find(symbols[left], symbols[right]);
            if (merge == MergeTable.None || merge >> 32 != priority >> 32)
            {
                continue;
            }

            symbols[left] = MergeTable.Result(merge);
            symbols[right] = None;
            var next = nexts[left] = nexts[right];
            if (next < count)
            {
                previous[next] = left;
                Enqueue(queue, merges.Find(symbols[left], symbols[next]), left);
            }

            if (previous[left] is >= 0 and var before)
            {
                Enqueue(queue, merges.Find(symbols[before], symbols[left]), before);
            }
        }

        var merged = 0;
        for (var i = 0; i < count; i = nexts[i])
        {
            symbols[merged++] = symbols[i];
        }

        ArrayPool<int>.Shared.Return(rented);
        return merged;
    }

    private static void Enqueue(PriorityQueue<int, ulong> queue, ulong merge, int position)
    {
        if (merge != MergeTable.None)
        {
            queue.Enqueue(position, (merge & 0xFFFFFFFF00000000) | (uint)position);
        }
    }
}
