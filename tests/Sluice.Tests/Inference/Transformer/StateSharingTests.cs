using Sluice.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>States of sequences, and the snapshots that later ones begin from.</summary>
public sealed class StateSharingTests
{
    private const int BlockTokens = TransformerLimits.KvBlockTokens;

    [Fact]
    public void The_snapshot_that_was_used_longest_ago_goes_first()
    {
        using var cache = new KvCache([new KvShape(1, 16, 16)], 64 * BlockTokens, new StateStore(count: 16, snapshotBytes: 2 * 16 * sizeof(float)));
        foreach (var name in (string[])["a", "b"]) Keep(cache, name);
        Assert.Equal(50, Find(cache, "a"));
        Keep(cache, "c");
        Assert.Equal(2, cache.States!.SnapshotCount);
        Assert.Equal(50, Find(cache, "a"));
        Assert.Equal(0, Find(cache, "b"));
        Assert.Equal(50, Find(cache, "c"));
    }

    [Fact]
    public void A_snapshot_goes_with_its_block()
    {
        using var cache = new KvCache([new KvShape(1, 16, 16)], 4 * BlockTokens, new StateStore(count: 16, snapshotBytes: 1024));
        Keep(cache, "a");
        var other = new KvSequence();
        Assert.True(cache.TryGrow(other, 4 * BlockTokens));
        Assert.Equal(0, cache.States!.SnapshotCount);
    }

    [Fact]
    public void A_step_that_was_abandoned_leaves_no_state_to_begin_from()
    {
        using var tiny = TinyModelFile.LoadArchitecture("qwen35");
        int[] prompt = [.. Enumerable.Range(0, 60)];
        var sequence = new KvSequence();
        TeacherForcing.Prefill(tiny.Model, sequence, prompt, 40);
        tiny.Model.Cache.TryGrow(sequence, 60);
        var batch = new StepBatch();
        batch.Add(sequence, prompt, 40, 20, wantsLogits: true);
        var asked = 0;
        Assert.False(tiny.Model.Forward(batch, () => ++asked == 2));
        Assert.Throws<InvalidOperationException>(() => tiny.Model.Forward(batch, null));
        tiny.Model.Cache.Retire(sequence, prompt);
        var next = new KvSequence();
        tiny.Model.Cache.Reuse(next, prompt, 59);
        Assert.Equal(0, next.Length);
    }

    // Layers of one part have no place of their own where all threads have met.
    [Theory]
    [InlineData("qwen35")]
    [InlineData("nemotron_h")]
    public void Threads_leave_an_abandoned_step_together(string name)
    {
        using var tiny = TinyModelFile.LoadArchitecture(name, threadCount: 3);
        int[] prompt = [.. Enumerable.Range(0, 60)];
        for (var round = 0; round < 40; round++)
        {
            var sequence = new KvSequence();
            tiny.Model.Cache.TryGrow(sequence, 60);
            var batch = new StepBatch();
            batch.Add(sequence, prompt, 0, 60, wantsLogits: true);
            var asked = 0;
            Assert.False(tiny.Model.Forward(batch, () => ++asked == (round % 4) + 1));
            tiny.Model.Cache.Release(sequence);
        }
    }

    [Theory]
    [InlineData(0, 400, 399, 256)] // a step
    [InlineData(256, 144, 399, 128)] // up to the last border
    [InlineData(384, 16, 399, 16)] // and the rest
    [InlineData(40, 1, 40, 1)]
    public void Steps_end_where_a_snapshot_serves_others(int start, int count, int reusable, int expected)
    {
        using var cache = new KvCache([], BlockTokens, new StateStore(16, 1024));
        Assert.Equal(expected, cache.StepWithin(start, count, reusable));
    }

    private static void Keep(KvCache cache, string name)
    {
        var sequence = new KvSequence { Scope = name, Length = 0 };
        cache.TryGrow(sequence, 50);
        cache.States!.Begin(sequence);
        sequence.Length = sequence.StateLength = 50;
        cache.Retire(sequence, Tokens);
    }

    private static int Find(KvCache cache, string name)
    {
        var sequence = new KvSequence { Scope = name };
        cache.Reuse(sequence, Tokens, 59);
        var length = sequence.Length;
        cache.Release(sequence);
        return length;
    }

    private static int[] Tokens { get; } = [.. Enumerable.Range(0, 60)];
}
