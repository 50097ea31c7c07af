using Sluice.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>Blocks that sequences share, and those that are kept for later ones.</summary>
public sealed unsafe class PrefixSharingTests : IDisposable
{
    private const int BlockTokens = TransformerLimits.KvBlockTokens;

    private readonly KvCache _cache = new(1, 1, 16, 8 * BlockTokens);

    public void Dispose() => _cache.Dispose();

    [Fact]
    public void Full_blocks_are_shared_and_the_last_one_is_copied()
    {
        int[] tokens = Tokens(70);
        KvSequence source = Compute(tokens);
        _cache.KeepTail(source, tokens);

        KvSequence target = Find(tokens, 69);
        Assert.Equal(69, target.Length);
        Assert.Equal(source.Blocks[..2], target.Blocks[..2]);
        Assert.NotEqual(source.Blocks[2], target.Blocks[2]);
        AssertHolds(target, tokens);

        // Three of the first, one copy of the second; the one that was kept is idle.
        Assert.Equal(4, _cache.UsedCount);
        Write(target, 69, -5);
        AssertHolds(source, tokens);
    }

    [Fact]
    public void What_a_sequence_held_is_found_when_it_has_gone()
    {
        int[] tokens = Tokens(70);
        KvSequence source = Compute(tokens);
        _cache.Retire(source, tokens);
        Assert.Equal(0, _cache.UsedCount);
        Assert.Equal(8, _cache.AvailableCount);
        Assert.Empty(source.Blocks);

        KvSequence same = Find(tokens, 70);
        Assert.Equal(70, same.Length);
        AssertHolds(same, tokens);
        int[] other = [.. tokens[..40], .. Tokens(40, first: 900)];
        KvSequence parting = Find(other, 80);
        Assert.Equal(40, parting.Length);
        Assert.Equal(same.Blocks[0], parting.Blocks[0]);
        AssertHolds(parting, tokens);
        Assert.Equal(0, Find(Tokens(40, first: 900), 40).Length);
    }

    [Fact]
    public void Another_scope_finds_nothing()
    {
        int[] tokens = Tokens(70);
        _cache.Retire(Compute(tokens), tokens);
        var stranger = new KvSequence { Scope = "another" };
        _cache.Reuse(stranger, tokens, 69);
        Assert.Equal(0, stranger.Length);
        Assert.Equal(0, _cache.CountInUse("another", tokens, 69));
    }

    [Fact]
    public void The_same_tokens_behind_others_are_something_else()
    {
        int[] second = Tokens(BlockTokens, first: 500);
        int[] one = [.. Tokens(BlockTokens), .. second];
        int[] two = [.. Tokens(BlockTokens, first: 300), .. second];
        _cache.Retire(Compute(one), one);
        Assert.Equal(0, Find(two, 64).Length);
        KvSequence computed = Compute(two);
        _cache.Publish(computed, two);
        Assert.Equal(2, computed.Path.Count);
        Assert.Equal(4, Find(one, 64).Blocks.Concat(computed.Blocks).Distinct().Count());
    }

    [Fact]
    public void What_two_have_computed_is_kept_once()
    {
        int[] tokens = Tokens(64);
        KvSequence first = Compute(tokens);
        KvSequence second = Compute(tokens);
        Assert.Equal(4, _cache.UsedCount);
        _cache.Publish(first, tokens);
        _cache.Publish(second, tokens);
        Assert.Equal(2, _cache.UsedCount);
        Assert.Equal(first.Blocks, second.Blocks);
        Assert.Equal(2, _cache.CountInUse("", tokens, 64));
        _cache.Retire(first, tokens);
        AssertHolds(second, tokens);
        _cache.Retire(second, tokens);
        Assert.Equal((0, 8), (_cache.UsedCount, _cache.AvailableCount));
        Assert.Equal(0, _cache.CountInUse("", tokens, 64));
    }

    [Fact]
    public void A_longer_tail_takes_the_place_of_a_shorter_one()
    {
        int[] tokens = Tokens(60);
        for (int length = 10; length <= 60; length += 10)
        {
            KvSequence sequence = Find(tokens, length);
            Assert.Equal(length - 10, sequence.Length);
            Fill(sequence, tokens, length);
            _cache.Retire(sequence, tokens);
        }

        // Two blocks are kept of all that; six are free for one that is alike in nothing, and no more than one of the two is given up for a seventh.
        int[] other = Tokens(7 * BlockTokens, first: 900);
        KvSequence large = Compute(other);
        Assert.Equal(7, large.Blocks.Count);
        Assert.Equal(BlockTokens, Find(tokens, 60).Length);
    }

    [Fact]
    public void Least_recently_used_goes_first_and_the_end_before_the_beginning()
    {
        int[] old = Tokens(64);
        int[] recent = Tokens(64, first: 300);
        _cache.Retire(Compute(old), old);
        _cache.Retire(Compute(recent), recent);

        // Used again: of the two, it is now the recent one.
        _cache.Retire(Find(old, 64), old);
        KvSequence large = Compute(Tokens(5 * BlockTokens, first: 900));
        Assert.Equal(BlockTokens, Length(recent));
        Assert.Equal(64, Length(old));
        Assert.True(_cache.TryGrow(large, 7 * BlockTokens));
        Assert.Equal(0, Length(recent));
        Assert.Equal(BlockTokens, Length(old));
        Assert.False(_cache.TryGrow(large, 9 * BlockTokens));
        Assert.True(_cache.TryGrow(large, 8 * BlockTokens));
        Assert.Equal(0, Length(old));

        int Length(int[] tokens)
        {
            KvSequence found = Find(tokens, 64);
            int length = found.Length;
            _cache.Retire(found, tokens);
            return length;
        }
    }

    [Fact]
    public void A_block_that_is_copied_is_not_taken_for_the_copy()
    {
        int[] tokens = Tokens(8 * BlockTokens);
        _cache.Retire(Compute(tokens), tokens);
        int[] other = [.. tokens[..(7 * BlockTokens)], .. tokens[(7 * BlockTokens)..^1], -1];
        KvSequence sequence = Find(other, other.Length);

        // Every block is in use or the copy's source: nothing is left for the copy.
        Assert.Equal(7 * BlockTokens, sequence.Length);
        AssertHolds(sequence, tokens);
        Assert.True(_cache.TryGrow(sequence, other.Length));
    }

    [Fact]
    public void A_sequence_takes_over_what_another_computed_meanwhile()
    {
        int[] tokens = Tokens(100);
        KvSequence late = Compute(tokens[..40]);
        _cache.Publish(late, tokens);
        KvSequence early = Compute(tokens);
        _cache.Publish(early, tokens);
        _cache.Reuse(late, tokens, 99);
        Assert.Equal(96, late.Length);
        Assert.Equal(early.Blocks[..3], late.Blocks);
        AssertHolds(late, tokens);
    }

    [Fact]
    public void Blocks_with_the_same_hash_are_told_apart()
    {
        // Of 32 bits, some 77,000 hashes hold two that are the same with a probability of a half.
        var tree = new PrefixTree(static _ => { });
        PrefixNode root = tree.GetRoot("");
        var seen = new Dictionary<uint, int>();
        for (int i = 0; ; i++)
        {
            if (seen.TryAdd(PrefixTree.Hash(root.Hash, Tokens(BlockTokens, first: i)), i))
            {
                continue;
            }

            int[] one = Tokens(BlockTokens, first: seen[PrefixTree.Hash(root.Hash, Tokens(BlockTokens, first: i))]);
            int[] two = Tokens(BlockTokens, first: i);
            var freed = new Stack<int>();
            PrefixNode? node = tree.Add(root, one, 0, freed);
            Assert.Null(tree.Find(root, two));
            Assert.Null(tree.Add(root, two, 1, freed));
            Assert.Same(node, tree.Find(root, one));
            return;
        }
    }

    [Fact]
    public void Random_work_loses_no_block_and_finds_only_what_was_computed()
    {
        var random = new Random(5);
        using var cache = new KvCache(1, 1, 16, 64 * BlockTokens);
        var live = new List<(KvSequence Sequence, int[] Tokens)>();
        int found = 0;
        for (int step = 0; step < 5000; step++)
        {
            switch (random.Next(4))
            {
                case 0:
                    // Few tokens, so that many begin alike and part anywhere.
                    int[] tokens = [.. Enumerable.Range(0, 300).Select(i => i % 20 == 0 ? random.Next(2) : i)];
                    var sequence = new KvSequence { Scope = random.Next(2) == 0 ? "a" : "b" };
                    int length = random.Next(1, 300);
                    cache.Reuse(sequence, tokens, length);
                    found += sequence.Length;
                    AssertHolds(cache, sequence, tokens);
                    if (!cache.TryGrow(sequence, length))
                    {
                        cache.Release(sequence);
                        break;
                    }

                    Fill(cache, sequence, tokens, random.Next(sequence.Length, length + 1));
                    live.Add((sequence, tokens));
                    break;
                case 1 when live.Count > 0:
                    (KvSequence running, int[] all) = live[random.Next(live.Count)];
                    if (cache.TryGrow(running, Math.Min(300, running.Length + 40)))
                    {
                        Fill(cache, running, all, Math.Min(300, running.Length + random.Next(40)));
                        cache.Publish(running, all);
                        cache.Reuse(running, all, 299);
                    }

                    AssertHolds(cache, running, all);
                    break;
                case 2 when live.Count > 0:
                    int index = random.Next(live.Count);
                    cache.Retire(live[index].Sequence, live[index].Tokens);
                    live.RemoveAt(index);
                    break;
                case 3 when live.Count > 0:
                    (KvSequence kept, int[] its) = live[random.Next(live.Count)];
                    cache.KeepTail(kept, its);
                    break;
            }

            Assert.Equal(live.SelectMany(s => s.Sequence.Blocks).Distinct().Count(), cache.UsedCount);
        }

        Assert.True(found > 3000, $"found {found}");
        foreach ((KvSequence sequence, int[] tokens) in live)
        {
            AssertHolds(cache, sequence, tokens);
            cache.Release(sequence);
        }

        Assert.Equal((0, 64), (cache.UsedCount, cache.AvailableCount));
    }

    private static int[] Tokens(int count, int first = 0) => [.. Enumerable.Range(first, count)];

    // The first key of a token stands for all that a model would write.
    private static void Fill(KvCache cache, KvSequence sequence, int[] tokens, int length)
    {
        for (int i = sequence.Length; i < length; i++)
        {
            Write(cache, sequence, i, tokens[i]);
        }

        sequence.Length = length;
    }

    private static void Write(KvCache cache, KvSequence sequence, int position, int value) =>
        ((ushort*)cache.Values(sequence.Blocks[position / BlockTokens], 0, 0))[position % BlockTokens * 16] = (ushort)value;

    private static void AssertHolds(KvCache cache, KvSequence sequence, int[] tokens)
    {
        for (int i = 0; i < sequence.Length; i++)
        {
            Assert.Equal((ushort)tokens[i], ((ushort*)cache.Values(sequence.Blocks[i / BlockTokens], 0, 0))[i % BlockTokens * 16]);
        }
    }

    private KvSequence Compute(int[] tokens)
    {
        var sequence = new KvSequence();
        Fill(sequence, tokens, tokens.Length);
        return sequence;
    }

    private void Fill(KvSequence sequence, int[] tokens, int length)
    {
        Assert.True(_cache.TryGrow(sequence, length));
        Fill(_cache, sequence, tokens, length);
    }

    private void Write(KvSequence sequence, int position, int value) => Write(_cache, sequence, position, value);

    private void AssertHolds(KvSequence sequence, int[] tokens) => AssertHolds(_cache, sequence, tokens);

    private KvSequence Find(int[] tokens, int length)
    {
        var sequence = new KvSequence();
        _cache.Reuse(sequence, tokens, length);
        return sequence;
    }
}
