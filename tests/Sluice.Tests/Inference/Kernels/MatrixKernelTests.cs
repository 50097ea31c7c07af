using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Quantization;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

/// <summary>Matrix products on every instruction set that this process may use.</summary>
public sealed unsafe class MatrixKernelTests
{
    private static readonly KernelPath[] Paths = [.. Enum.GetValues<KernelPath>().Where(KernelPaths.IsSupported)];

    public static TheoryData<GgufTensorType> Types => [.. WeightFormats.All];

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_path_gives_the_bits_of_the_scalar_kernel(GgufTensorType type)
    {
        var random = new RandomBlocks($"paths {type}");
        for (var columns = 1; columns <= 20; columns++)
        {
            using var matrix = Matrix(type, random);
            using var input = Input(matrix.Packed, columns, random);
            var expected = matrix.Multiply(input, KernelPath.Scalar);
            var accumulated = matrix.Multiply(input, KernelPath.Scalar, expected);
            foreach (var path in Paths)
            {
                Assert.Equal(Bits(expected), Bits(matrix.Multiply(input, path)));
                Assert.Equal(Bits(accumulated), Bits(matrix.Multiply(input, path, expected)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_row_is_read_as_the_file_has_it(GgufTensorType type)
    {
        var random = new RandomBlocks($"rows {type}");
        using var matrix = Matrix(type, random);
        var packed = matrix.Packed;
        var read = new float[packed.Length];
        var expected = new float[packed.Length];
        for (var row = 0; row < packed.RowCount; row++)
        {
            fixed (float* target = read)
            fixed (float* values = expected)
            fixed (byte* source = matrix.Row(row))
            {
                packed.ReadRow(row, target);
                RowReader.Read(type, source, values, packed.Length);
            }

            Assert.Equal(Bits(expected), Bits(read));
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_column_has_the_same_bits_whatever_stands_beside_it(GgufTensorType type)
    {
        var random = new RandomBlocks($"columns {type}");
        using var matrix = Matrix(type, random);
        var length = matrix.Packed.Length;
        var stride = matrix.Packed.GroupCount * PackedMatrix.GroupRows;
        var values = random.Singles(20L * length, 1);
        using var alone = new BatchInput(length, 20, matrix.Packed.ReadsQuantized);
        using var together = new BatchInput(length, 20, matrix.Packed.ReadsQuantized);
        foreach (var columns in (int[])[2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 20])
        {
            Fill(together, columns, values);
            foreach (var path in Paths)
            {
                var all = matrix.Multiply(together, path);
                for (var column = 0; column < columns; column++)
                {
                    Fill(alone, 1, values.AsSpan(column * length, length));
                    Assert.Equal(Bits(matrix.Multiply(alone, path)), Bits(all.AsSpan(column * stride, stride)));
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Products_are_within_the_bound_of_8_bit_activations(GgufTensorType type)
    {
        var random = new RandomBlocks($"bounds {type}");
        using var matrix = Matrix(type, random);
        using var input = Input(matrix.Packed, 5, random);
        var result = matrix.Multiply(input, KernelPaths.Best);
        var stride = matrix.Packed.GroupCount * PackedMatrix.GroupRows;
        for (var column = 0; column < input.ColumnCount; column++)
        {
            for (var row = 0; row < matrix.Packed.RowCount; row++)
            {
                double expected = 0, bound = 0, magnitude = 0;
                for (var k = 0; k < matrix.Packed.Length; k++)
                {
                    var weight = matrix.Weight(row, k);
                    double x = input.Column(column)[k];
                    expected += weight * x;
                    magnitude += Math.Abs(weight * x);

                    // Half a step of the block's scale for each value.
                    bound += matrix.Packed.ReadsQuantized ? Math.Abs(weight) * BlockMax(input.Column(column), k) / 127 * 0.5 : 0;
                }

                // Beside it single precision rounds terms that may be larger than their sum.
                bound += magnitude * 2e-5;
                Assert.InRange(result[(column * stride) + row], expected - bound, expected + bound);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Rows_beyond_the_last_are_zero(GgufTensorType type)
    {
        var random = new RandomBlocks($"padding {type}");
        using var matrix = new RandomMatrix(type, 17, 256, random);
        using var input = Input(matrix.Packed, 3, random);
        foreach (var path in Paths)
        {
            var result = matrix.Multiply(input, path);
            foreach (var column in result.Chunk(32))
            {
                Assert.All(column[17..], value => Assert.Equal(0, value));
            }
        }
    }

    private static RandomMatrix Matrix(GgufTensorType type, RandomBlocks random)
    {
        var blockLength = Math.Max(32, GgufTensorTypes.BlockElements(type));
        return new RandomMatrix(type, 1 + random.Next(50), blockLength * (1 + random.Next(512 / blockLength)), random);
    }

    private static BatchInput Input(PackedMatrix matrix, int columns, RandomBlocks random)
    {
        var input = new BatchInput(matrix.Length, columns, matrix.ReadsQuantized);
        Fill(input, columns, random.Singles((long)columns * matrix.Length, 1));
        return input;
    }

    private static void Fill(BatchInput input, int columns, ReadOnlySpan<float> values)
    {
        input.Begin(columns);
        for (var column = 0; column < columns; column++)
        {
            values.Slice(column * input.Length, input.Length).CopyTo(new Span<float>(input.Column(column), input.Length));
            input.Seal(column);
        }
    }

    private static double BlockMax(float* column, int k)
    {
        double max = 0;
        for (var i = k / 32 * 32; i < (k / 32 * 32) + 32; i++)
        {
            max = Math.Max(max, Math.Abs(column[i]));
        }

        return max;
    }

    private static int[] Bits(ReadOnlySpan<float> values)
    {
        var bits = new int[values.Length];
        for (var i = 0; i < bits.Length; i++)
        {
            bits[i] = BitConverter.SingleToInt32Bits(values[i]);
        }

        return bits;
    }
}
