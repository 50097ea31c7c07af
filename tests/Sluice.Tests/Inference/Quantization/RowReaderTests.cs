using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Xunit;

namespace Sluice.Tests.Inference.Quantization;

/// <summary>Dequantisation against ggml's formulas, written out here value by value in the order of ggml-quants.c.</summary>
public sealed unsafe class RowReaderTests
{
    [Fact]
    public void Blocks_have_the_sizes_of_the_format()
    {
        (GgufTensorType, int, int)[] expected =
        [
            (GgufTensorType.F32, 1, 4), (GgufTensorType.F16, 1, 2), (GgufTensorType.BF16, 1, 2),
            (GgufTensorType.Q4_0, 32, 18), (GgufTensorType.Q4_1, 32, 20), (GgufTensorType.Q5_0, 32, 22), (GgufTensorType.Q5_1, 32, 24),
            (GgufTensorType.Q8_0, 32, 34), (GgufTensorType.Q4_K, 256, 144), (GgufTensorType.Q5_K, 256, 176), (GgufTensorType.Q6_K, 256, 210),
        ];
        foreach ((GgufTensorType type, int elements, int bytes) in expected)
        {
            Assert.Equal((elements, bytes), (GgufTensorTypes.BlockElements(type), GgufTensorTypes.BlockBytes(type)));
        }
    }

    [Theory]
    [InlineData(GgufTensorType.Q4_0)]
    [InlineData(GgufTensorType.Q4_1)]
    [InlineData(GgufTensorType.Q5_0)]
    [InlineData(GgufTensorType.Q5_1)]
    [InlineData(GgufTensorType.Q8_0)]
    [InlineData(GgufTensorType.Q4_K)]
    [InlineData(GgufTensorType.Q5_K)]
    [InlineData(GgufTensorType.Q6_K)]
    [InlineData(GgufTensorType.F32)]
    [InlineData(GgufTensorType.F16)]
    [InlineData(GgufTensorType.BF16)]
    public void A_row_is_what_the_formula_says(GgufTensorType type)
    {
        const int Length = 1024;
        byte[] bytes = RandomBlocks.Create(type, 1, Length, seed: (int)type);
        float[] read = new float[Length];
        fixed (byte* source = bytes)
        fixed (float* target = read)
        {
            RowReader.Read(type, source, target, Length);
        }

        double[] expected = Formula(type, bytes, Length);
        for (int i = 0; i < Length; i++)
        {
            Assert.Equal(expected[i], read[i], 1e-6 * (1 + Math.Abs(expected[i]) * 20));
        }
    }

    private static double[] Formula(GgufTensorType type, byte[] bytes, int length)
    {
        int blockLength = GgufTensorTypes.BlockElements(type);
        int blockBytes = GgufTensorTypes.BlockBytes(type);
        double[] values = new double[length];
        for (int b = 0; b < length / blockLength; b++)
        {
            byte[] block = bytes[(b * blockBytes)..((b + 1) * blockBytes)];
            Block(type, block).CopyTo(values, b * blockLength);
        }

        return values;
    }

    private static double[] Block(GgufTensorType type, byte[] x)
    {
        double Half(int at) => (double)BitConverter.ToHalf(x, at);
        double[] y = new double[GgufTensorTypes.BlockElements(type)];
        switch (type)
        {
            case GgufTensorType.F32:
                y[0] = BitConverter.ToSingle(x);
                break;
            case GgufTensorType.F16:
                y[0] = Half(0);
                break;
            case GgufTensorType.BF16:
                y[0] = BitConverter.Int32BitsToSingle(BitConverter.ToUInt16(x) << 16);
                break;
            case GgufTensorType.Q4_0:
                for (int j = 0; j < 16; j++)
                {
                    y[j] = ((x[2 + j] & 15) - 8) * Half(0);
                    y[j + 16] = ((x[2 + j] >> 4) - 8) * Half(0);
                }

                break;
            case GgufTensorType.Q4_1:
                for (int j = 0; j < 16; j++)
                {
                    y[j] = ((x[4 + j] & 15) * Half(0)) + Half(2);
                    y[j + 16] = ((x[4 + j] >> 4) * Half(0)) + Half(2);
                }

                break;
            case GgufTensorType.Q5_0:
            case GgufTensorType.Q5_1:
                bool hasMinimum = type == GgufTensorType.Q5_1;
                int at = hasMinimum ? 4 : 2;
                uint high = BitConverter.ToUInt32(x, at);
                for (int j = 0; j < 16; j++)
                {
                    int first = (x[at + 4 + j] & 15) | (int)(((high >> j) << 4) & 16);
                    int second = (x[at + 4 + j] >> 4) | (int)((high >> (j + 12)) & 16);
                    y[j] = hasMinimum ? (first * Half(0)) + Half(2) : (first - 16) * Half(0);
                    y[j + 16] = hasMinimum ? (second * Half(0)) + Half(2) : (second - 16) * Half(0);
                }

                break;
            case GgufTensorType.Q8_0:
                for (int j = 0; j < 32; j++)
                {
                    y[j] = (sbyte)x[2 + j] * Half(0);
                }

                break;
            case GgufTensorType.Q4_K:
            case GgufTensorType.Q5_K:
                SuperBlock(type, x, Half(0), Half(2), y);
                break;
            case GgufTensorType.Q6_K:
                for (int n = 0; n < 256; n += 128)
                {
                    for (int l = 0; l < 32; l++)
                    {
                        int is0 = (n / 16) + (l / 16);
                        int ql0 = x[(n / 2) + l];
                        int ql1 = x[(n / 2) + l + 32];
                        int qh = x[128 + (n / 4) + l];
                        double d = Half(208);
                        y[n + l] = d * (sbyte)x[192 + is0] * (((ql0 & 15) | ((qh & 3) << 4)) - 32);
                        y[n + l + 32] = d * (sbyte)x[192 + is0 + 2] * (((ql1 & 15) | (((qh >> 2) & 3) << 4)) - 32);
                        y[n + l + 64] = d * (sbyte)x[192 + is0 + 4] * (((ql0 >> 4) | (((qh >> 4) & 3) << 4)) - 32);
                        y[n + l + 96] = d * (sbyte)x[192 + is0 + 6] * (((ql1 >> 4) | (((qh >> 6) & 3) << 4)) - 32);
                    }
                }

                break;
        }

        return y;
    }

    private static void SuperBlock(GgufTensorType type, byte[] x, double d, double dmin, double[] y)
    {
        ReadOnlySpan<byte> s = x.AsSpan(4, 12);
        int quants = type == GgufTensorType.Q4_K ? 16 : 48;
        int u1 = 1;
        int u2 = 2;
        int index = 0;
        for (int j = 0; j < 256; j += 64)
        {
            (int sc1, int m1) = ScaleMinimum(index, s);
            (int sc2, int m2) = ScaleMinimum(index + 1, s);
            for (int l = 0; l < 32; l++)
            {
                int q = x[quants + (j / 2) + l];
                int low = (q & 15) + (type == GgufTensorType.Q5_K && (x[16 + l] & u1) != 0 ? 16 : 0);
                int high = (q >> 4) + (type == GgufTensorType.Q5_K && (x[16 + l] & u2) != 0 ? 16 : 0);
                y[j + l] = (d * sc1 * low) - (dmin * m1);
                y[j + l + 32] = (d * sc2 * high) - (dmin * m2);
            }

            index += 2;
            u1 <<= 2;
            u2 <<= 2;
        }
    }

    private static (int Scale, int Minimum) ScaleMinimum(int j, ReadOnlySpan<byte> s) => j < 4
        ? (s[j] & 63, s[j + 4] & 63)
        : ((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4));
}
