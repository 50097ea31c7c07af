using Sluice.Inference.Gguf;
using Sluice.Inference.Kernels;
using Sluice.Inference.Quantization;
using Sluice.Tests.Inference.Quantization;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

/// <summary>
/// Every path against the scalar reference, bit for bit, and the reference against double precision. Runs again under the switches that hide
/// instruction sets, see docs/testing.md.
/// </summary>
public sealed unsafe class MatrixKernelTests
{
    private static readonly int[] ColumnCounts = [1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16, 17, 20];

    public static TheoryData<GgufTensorType> Types =>
    [
        .. RandomBlocks.QuantizedTypes, GgufTensorType.F32, GgufTensorType.F16, GgufTensorType.BF16,
    ];

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_path_gives_the_scalar_results_bit_for_bit(GgufTensorType type)
    {
        foreach (int rowCount in (int[])[16, 5, 37])
        {
            using PackedMatrix matrix = Pack(type, rowCount, 512, out _);
            foreach (int columnCount in ColumnCounts)
            {
                using BatchInput input = RandomInput(512, columnCount, seed: columnCount);
                foreach (bool accumulate in (bool[])[false, true])
                {
                    int[] expected = Multiply(matrix, KernelPath.Scalar, input, accumulate);
                    foreach (KernelPath path in Enum.GetValues<KernelPath>().Where(KernelPaths.IsSupported))
                    {
                        Assert.Equal(expected, Multiply(matrix, path, input, accumulate));
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_column_does_not_depend_on_the_columns_beside_it(GgufTensorType type)
    {
        using PackedMatrix matrix = Pack(type, 16, 256, out _);
        using BatchInput all = RandomInput(256, 20, seed: 1);
        int[] together = Multiply(matrix, KernelPaths.Best, all, accumulate: false);
        for (int column = 0; column < 20; column++)
        {
            using var one = new BatchInput(256, 1, quantized: true);
            one.Begin(1);
            new Span<float>(all.Column(column), 256).CopyTo(new Span<float>(one.Column(0), 256));
            one.Seal(0);
            Assert.Equal(together[(column * 16)..((column + 1) * 16)], Multiply(matrix, KernelPaths.Best, one, accumulate: false));
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void The_scalar_reference_is_the_product_within_the_rounding_of_the_activations(GgufTensorType type)
    {
        const int Rows = 21;
        const int Length = 512;
        using PackedMatrix matrix = Pack(type, Rows, Length, out byte[] bytes);
        using BatchInput input = RandomInput(Length, 3, seed: 5);
        int[] results = Multiply(matrix, KernelPath.Scalar, input, accumulate: false);
        long rowBytes = bytes.Length / Rows;
        float[] row = new float[Length];
        for (int r = 0; r < Rows; r++)
        {
            fixed (byte* source = bytes)
            fixed (float* target = row)
            {
                RowReader.Read(type, source + (r * rowBytes), target, Length);
            }

            for (int c = 0; c < 3; c++)
            {
                double exact = 0;
                double rounding = 0;
                for (int k = 0; k < Length; k++)
                {
                    exact += (double)row[k] * input.Column(c)[k];

                    // Half a step of the activation's scale per value; inputs are at most 1 in size.
                    rounding += Math.Abs(row[k]) * 0.5 / 127;
                }

                double tolerance = matrix.ReadsQuantized ? rounding : 1e-4;
                Assert.Equal(exact, BitConverter.Int32BitsToSingle(results[(c * 32) + r]), tolerance + 1e-4);
            }
        }
    }

    [Fact]
    public void Quantised_activations_are_within_half_a_step_and_remember_their_sums()
    {
        using BatchInput input = RandomInput(96, 5, seed: 8);
        QuantizedActivations quantized = input.Quantized!;
        for (int column = 0; column < 5; column++)
        {
            int start = ActivationLayout.TileStart(column);
            int width = ActivationLayout.TileWidth(start, 5);
            for (int block = 0; block < 3; block++)
            {
                float scale = quantized.TileScales(start)[(block * 2 * width) + column - start];
                int sum = 0;
                for (int i = 0; i < 32; i++)
                {
                    int k = (block * 32) + i;
                    int q = quantized.TileValues(start)[(((k / 4 * width) + column - start) * 4) + (k % 4)];
                    sum += q;
                    Assert.InRange(q, -127, 127);
                    Assert.Equal(input.Column(column)[k], q * scale, scale * 0.5001);
                }

                Assert.Equal(scale * sum, quantized.TileScales(start)[(((block * 2) + 1) * width) + column - start], 1e-4);
            }
        }
    }

    [Fact]
    public void The_best_path_is_the_widest_one_that_the_processor_has()
    {
        Assert.True(KernelPaths.IsSupported(KernelPaths.Best));
        Assert.DoesNotContain(Enum.GetValues<KernelPath>(), path => path > KernelPaths.Best && KernelPaths.IsSupported(path));
    }

    // Results of all padded rows as bits, column after column.
    private static int[] Multiply(PackedMatrix matrix, KernelPath path, BatchInput input, bool accumulate)
    {
        matrix.GetType().GetProperty("Path")!.SetValue(matrix, path);
        int stride = matrix.GroupCount * PackedMatrix.GroupRows;
        float[] output = new float[stride * input.ColumnCount];
        for (int i = 0; i < output.Length; i++)
        {
            output[i] = i * 0.01f;
        }

        fixed (float* target = output)
        {
            for (int group = 0; group < matrix.GroupCount; group++)
            {
                matrix.MultiplyGroup(group, input, target + (group * PackedMatrix.GroupRows), stride, accumulate);
            }
        }

        return [.. output.Select(BitConverter.SingleToInt32Bits)];
    }

    private static BatchInput RandomInput(int length, int columnCount, int seed)
    {
        var random = new Random(seed);
        var input = new BatchInput(length, columnCount, quantized: true);
        input.Begin(columnCount);
        for (int column = 0; column < columnCount; column++)
        {
            for (int k = 0; k < length; k++)
            {
                input.Column(column)[k] = (float)((random.NextDouble() * 2) - 1);
            }

            input.Seal(column);
        }

        return input;
    }

    private static PackedMatrix Pack(GgufTensorType type, int rowCount, int length, out byte[] bytes)
    {
        bytes = RandomBlocks.Create(type, rowCount, length, seed: rowCount + length);
        fixed (byte* source = bytes)
        {
            nint address = (nint)source;
            long rowBytes = bytes.Length / rowCount;
            return type switch
            {
                GgufTensorType.Q4_0 or GgufTensorType.Q4_1 => Quantized<NibbleHalf>(),
                GgufTensorType.Q4_K => Quantized<NibbleSingle>(),
                GgufTensorType.Q5_0 or GgufTensorType.Q5_1 or GgufTensorType.Q8_0 => Quantized<ByteHalf>(),
                GgufTensorType.Q5_K => Quantized<ByteSingle>(),
                GgufTensorType.Q6_K => Quantized<ByteSingle16>(),
                GgufTensorType.F32 => Float<SingleFormat>(),
                GgufTensorType.F16 => Float<HalfFormat>(),
                _ => Float<BFloat16Format>(),
            };

            PackedMatrix Quantized<TFormat>()
                where TFormat : struct, IBlockFormat
            {
                var matrix = new QuantizedMatrix<TFormat>(type, rowCount, length);
                for (int group = 0; group < matrix.GroupCount; group++)
                {
                    matrix.PackGroup(group, (byte*)address, rowBytes, static row => row);
                }

                return matrix;
            }

            PackedMatrix Float<TFormat>()
                where TFormat : struct, IFloatFormat
            {
                var matrix = new FloatMatrix<TFormat>(type, rowCount, length);
                for (int group = 0; group < matrix.GroupCount; group++)
                {
                    matrix.PackGroup(group, (byte*)address, rowBytes, static row => row);
                }

                return matrix;
            }
        }
    }
}
