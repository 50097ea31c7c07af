using Sluice.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

public sealed unsafe class KvCacheTests
{
    private const int BlockTokens = TransformerLimits.KvBlockTokens;

    [Fact]
    public void Growing_takes_whole_blocks_and_nothing_when_too_few_are_left()
    {
        using var cache = new KvCache(2, 1, 16, 3 * BlockTokens);
        var sequence = new KvSequence();
        Assert.True(cache.TryGrow(sequence, 1));
        Assert.Equal(1, cache.UsedCount);
        Assert.True(cache.TryGrow(sequence, BlockTokens));
        Assert.Equal(1, cache.UsedCount);
        Assert.True(cache.TryGrow(sequence, BlockTokens + 1));
        Assert.Equal(2, cache.UsedCount);

        var other = new KvSequence();
        Assert.False(cache.TryGrow(other, BlockTokens + 1));
        Assert.Empty(other.Blocks);
        Assert.Equal(1, cache.AvailableCount);
        Assert.True(cache.TryGrow(other, BlockTokens));

        cache.Release(sequence);
        cache.Release(other);
        Assert.Equal(0, cache.UsedCount);
    }

    [Fact]
    public void Room_for_guesses_is_taken_from_unused_blocks_only_and_given_back()
    {
        using var cache = new KvCache(0, 1, 16, 3 * BlockTokens);
        int[] tokens = [.. Enumerable.Range(0, 3 * BlockTokens)];
        var kept = new KvSequence();
        Assert.True(cache.TryGrow(kept, BlockTokens));
        kept.Length = BlockTokens;
        cache.Retire(kept, tokens);

        var sequence = new KvSequence { Scope = "other" };
        Assert.True(cache.TryGrow(sequence, BlockTokens));
        sequence.Length = BlockTokens - 1;
        Assert.True(cache.TryGrowUnused(sequence, BlockTokens + 5));
        Assert.False(cache.TryGrowUnused(sequence, (2 * BlockTokens) + 1));
        Assert.Equal(2 * BlockTokens, KvCache.RoomOf(sequence));
        cache.Trim(sequence);
        Assert.Equal((1, 1), (sequence.Blocks.Count, cache.UsedCount));
        sequence.Length = BlockTokens;
        cache.Trim(sequence);
        Assert.Single(sequence.Blocks);

        // What was kept is there still.
        var again = new KvSequence();
        cache.Reuse(again, tokens, 2 * BlockTokens);
        Assert.Equal(BlockTokens, again.Length);
    }

    [Fact]
    public void Heads_and_layers_do_not_overlap()
    {
        using var cache = new KvCache(3, 2, 16, 4 * BlockTokens);
        var sequence = new KvSequence();
        cache.TryGrow(sequence, 4 * BlockTokens);
        var starts = new List<nint>();
        foreach (var block in sequence.Blocks)
        {
            for (var layer = 0; layer < 3; layer++)
            {
                for (var head = 0; head < 2; head++)
                {
                    starts.Add((nint)cache.Keys(block, layer, head));
                    starts.Add((nint)cache.Values(block, layer, head));
                }
            }
        }

        starts.Sort();
        Assert.All(starts.Zip(starts.Skip(1)), pair => Assert.True(pair.Second - pair.First >= BlockTokens * 16 * sizeof(ushort)));
    }
}
