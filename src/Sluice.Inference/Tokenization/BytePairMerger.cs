using System.Buffers;

namespace Sluice.Inference.Tokenization;

/// <summary>Joins the bytes of a pre-token: the lowest rank first, of equal ranks the leftmost.</summary>
internal static class BytePairMerger
{
    /// <summary>Appends the tokens of a pre-token in O(n log n) of its bytes.</summary>
    public static void Append(ReadOnlySpan<byte> preToken, BytePairVocabulary vocabulary, List<int> tokens)
    {
        if (preToken.Length <= TokenizationLimits.PlainMergeSymbolsMax)
        {
            AppendShort(preToken, vocabulary, tokens);
        }
        else
        {
            AppendLong(preToken, vocabulary, tokens);
        }
    }

    private static void AppendShort(ReadOnlySpan<byte> preToken, BytePairVocabulary vocabulary, List<int> tokens)
    {
        var merges = vocabulary.Merges;
        Span<int> symbols = stackalloc int[TokenizationLimits.PlainMergeSymbolsMax];
        Span<ulong> pairs = stackalloc ulong[TokenizationLimits.PlainMergeSymbolsMax]; // pairs[i] joins symbols i and i + 1
        var count = preToken.Length;
        for (var i = 0; i < count; i++)
        {
            symbols[i] = vocabulary.ByteSymbols[preToken[i]];
        }

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

        foreach (var symbol in symbols[..count])
        {
            vocabulary.Append(symbol, tokens);
        }
    }

    private static void AppendLong(ReadOnlySpan<byte> preToken, BytePairVocabulary vocabulary, List<int> tokens)
    {
        var count = preToken.Length;
        var rented = ArrayPool<int>.Shared.Rent(count * 3);
        var symbols = rented.AsSpan(0, count); // -1 where the symbol was joined to one before
        var nexts = rented.AsSpan(count, count);
        var previous = rented.AsSpan(count * 2, count);
        var queue = new PriorityQueue<int, ulong>(count); // rank in the upper half, position in the lower
        for (var i = 0; i < count; i++)
        {
            symbols[i] = vocabulary.ByteSymbols[preToken[i]];
            nexts[i] = i + 1;
            previous[i] = i - 1;
        }

        var merges = vocabulary.Merges;
        for (var i = 0; i + 1 < count; i++)
        {
            Enqueue(queue, merges.Find(symbols[i], symbols[i + 1]), i);
        }

        while (queue.TryDequeue(out var left, out var priority))
        {
            // An entry whose symbols have changed since is stale: the pair that stands there now has another rank, or none.
            var right = nexts[left];
            if (symbols[left] < 0 || right >= count)
            {
                continue;
            }

            var merge = merges.Find(symbols[left], symbols[right]);
            if (merge == MergeTable.None || merge >> 32 != priority >> 32)
            {
                continue;
            }

            symbols[left] = MergeTable.Result(merge);
            symbols[right] = -1;
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

        for (var i = 0; i < count; i = nexts[i])
        {
            vocabulary.Append(symbols[i], tokens);
        }

        ArrayPool<int>.Shared.Return(rented);
    }

    private static void Enqueue(PriorityQueue<int, ulong> queue, ulong merge, int position)
    {
        if (merge != MergeTable.None)
        {
            queue.Enqueue(position, (merge & 0xFFFFFFFF00000000) | (uint)position);
        }
    }
}
