using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class SegmentSlotsTests
{
    // Sixteen slots are in an array.
    [Fact]
    public void SlotsThatAreInUse_AreDifferentOnes_AndFreeOnesAreUsedAgain()
    {
        var slots = new SegmentSlots();
        var taken = Enumerable.Range(0, 40).Select(_ => (Block: slots.Take(out var offset), Offset: offset)).ToList();
        Assert.Equal(40, taken.Distinct().Count());
        Assert.Equal([16, 16, 8], taken.GroupBy(slot => slot.Block).Select(block => block.Count()));
        Assert.All(taken, slot => Assert.InRange(slot.Offset, 0, slot.Block.Bytes.Length - SegmentSlots.SlotBytes));
        slots.Return(taken[3].Block, taken[3].Offset);
        Assert.Equal(taken[3], (slots.Take(out var again), again));
    }

    // 640 slots are forty arrays, of which 32 wait for another use.
    [Fact]
    public void OfArraysThatNobodyUses_SomeAreKept()
    {
        var slots = new SegmentSlots();
        var taken = Enumerable.Range(0, 640).Select(_ => (Block: slots.Take(out var offset), Offset: offset)).ToList();
        Assert.Equal(0, slots.OpenCount);
        foreach (var (block, offset) in taken) slots.Return(block, offset);
        Assert.Equal(32, slots.OpenCount);
        for (var i = 0; i < 512; i++) Assert.Contains(slots.Take(out _), taken.Select(slot => slot.Block));
        Assert.Equal(0, slots.OpenCount);
    }
}
