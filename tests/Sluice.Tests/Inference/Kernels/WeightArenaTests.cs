using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

public sealed unsafe class WeightArenaTests
{
    [Fact]
    public void Parts_are_aligned_apart_and_in_order_while_a_block_has_room()
    {
        using var arena = new WeightArena(expectedBytes: 1000);
        var first = arena.Take(100);
        var second = arena.Take(1);
        var third = arena.Take(64);

        Assert.Equal(0, (nint)first % 64);
        Assert.Equal(128, second - first);
        Assert.Equal(64, third - second);
    }

    [Fact]
    public void What_a_block_has_no_room_for_gets_another_one_of_its_size()
    {
        using var arena = new WeightArena(expectedBytes: 256);
        var small = new Span<byte>(arena.Take(200), 200);
        var large = new Span<byte>(arena.Take(100_000), 100_000);
        var last = new Span<byte>(arena.Take(200), 200);
        small.Fill(1);
        large.Fill(2);
        last.Fill(3);

        Assert.Equal(-1, small.IndexOfAnyExcept((byte)1));
        Assert.Equal(-1, large.IndexOfAnyExcept((byte)2));
        Assert.Equal(-1, last.IndexOfAnyExcept((byte)3));
    }

    // Memory that is taken again is not zeroed: the rows that fill up a last group have to be.
    [Fact]
    public void Rows_beyond_the_last_one_are_zero_in_used_memory()
    {
        var arena = new DirtyArena();
        using (arena.Arena)
        {
            var matrix = new QuantizedMatrix<NibbleHalf>(arena.Arena, GgufTensorType.Q4_1, rowCount: 17, length: 32);

            Assert.Equal(2, matrix.GroupCount);
            Assert.Equal(-1, new Span<byte>(matrix.Group(1), (int)(matrix.SizeBytes / 2)).IndexOfAnyExcept((byte)0));
        }
    }

    // The arena's first block, filled before the matrix is put into it.
    private sealed class DirtyArena
    {
        public DirtyArena()
        {
            var start = Arena.Take(64);
            new Span<byte>(start, 4096).Fill(0xAB);
        }

        public WeightArena Arena { get; } = new(expectedBytes: 4096);
    }
}
