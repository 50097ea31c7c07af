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
    public void Sharing_keeps_full_blocks_once_and_copies_the_last()
    {
        using var cache = new KvCache(1, 1, 16, 8 * BlockTokens);
        var source = new KvSequence();
        cache.TryGrow(source, (2 * BlockTokens) + 5);
        source.Length = (2 * BlockTokens) + 5;
        for (var i = 0; i < 3; i++)
        {
            *cache.Keys(source.Blocks[i], 0, 0) = (ushort)(100 + i);
        }

        var target = new KvSequence();
        Assert.True(cache.TryShare(source, target, source.Length));
        Assert.Equal(source.Length, target.Length);
        Assert.Equal(4, cache.UsedCount);
        Assert.Equal(source.Blocks[..2], target.Blocks[..2]);
        Assert.NotEqual(source.Blocks[2], target.Blocks[2]);
        Assert.Equal(102, *cache.Keys(target.Blocks[2], 0, 0));

        // What one sequence writes now, the other does not see.
        *cache.Keys(target.Blocks[2], 0, 0) = 7;
        Assert.Equal(102, *cache.Keys(source.Blocks[2], 0, 0));

        cache.Release(source);
        Assert.Equal(3, cache.UsedCount);
        Assert.Equal(101, *cache.Keys(target.Blocks[1], 0, 0));
        cache.Release(target);
        Assert.Equal(0, cache.UsedCount);
        Assert.Equal(8, cache.AvailableCount);
    }

    [Fact]
    public void Sharing_without_a_block_for_the_copy_changes_nothing()
    {
        using var cache = new KvCache(1, 1, 16, 2 * BlockTokens);
        var source = new KvSequence();
        cache.TryGrow(source, BlockTokens + 1);
        var target = new KvSequence();
        Assert.False(cache.TryShare(source, target, BlockTokens + 1));
        Assert.Empty(target.Blocks);
        Assert.Equal(0, target.Length);
        Assert.True(cache.TryShare(source, target, BlockTokens));
        Assert.Equal(2, cache.UsedCount);
    }

    [Fact]
    public void Random_sharing_and_releasing_loses_and_doubles_no_block()
    {
        using var cache = new KvCache(1, 1, 16, 64 * BlockTokens);
        var random = new Random(5);
        var live = new List<KvSequence>();
        for (var step = 0; step < 5000; step++)
        {
            var sequence = new KvSequence();
            switch (random.Next(3))
            {
                case 0 when cache.TryGrow(sequence, random.Next(1, 300)):
                    sequence.Length = sequence.Blocks.Count * BlockTokens;
                    live.Add(sequence);
                    break;
                case 1 when live.Count > 0:
                    var source = live[random.Next(live.Count)];
                    if (cache.TryShare(source, sequence, random.Next(source.Length + 1)))
                    {
                        live.Add(sequence);
                    }

                    break;
                case 2 when live.Count > 0:
                    var index = random.Next(live.Count);
                    cache.Release(live[index]);
                    live.RemoveAt(index);
                    break;
            }

            Assert.Equal(live.SelectMany(s => s.Blocks).Distinct().Count(), cache.UsedCount);
        }

        live.ForEach(cache.Release);
        Assert.Equal(0, cache.UsedCount);
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
