using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Inference.Gguf;
using Sluice.Inference.Quantization;
using Sluice.Testing;
using Sluice.Tests.Inference.Kernels;
using Xunit;

namespace Sluice.Tests.Inference.Quantization;

/// <summary>Quantised blocks read back, against formulas written down elsewhere.</summary>
public sealed unsafe class RowReaderTests
{
    public static TheoryData<GgufTensorType> Quantized => [.. WeightFormats.Quantized];

    // Data/dequantized-blocks.json: what ggml's own dequantize_row_* makes of them.
    [Theory]
    [MemberData(nameof(Quantized))]
    public void Random_blocks_have_the_bits_that_llama_cpp_reads(GgufTensorType type)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "dequantized-blocks.json")));
        var entry = document.RootElement.GetProperty(type.ToString());
        var expected = MemoryMarshal.Cast<byte, int>(entry.GetProperty("values").GetBytesFromBase64());

        var actual = Read(type, entry.GetProperty("blocks").GetBytesFromBase64(), expected.Length);

        Assert.Equal(expected, MemoryMarshal.Cast<float, int>(actual));
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
    public void Blocks_of_llama_quantize_have_the_values_of_the_python_formulas(GgufTensorType type)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "quantized-blocks.json")));
        var entry = document.RootElement.GetProperty(type.ToString());
        var blocks = entry.GetProperty("blocks").GetBytesFromBase64();
        var expected = MemoryMarshal.Cast<byte, float>(entry.GetProperty("values").GetBytesFromBase64());
        var actual = Read(type, blocks, expected.Length);
        var largest = 0f;
        for (var i = 0; i < expected.Length; i++)
        {
            largest = Math.Max(largest, Math.Abs(expected[i]));
        }

        // Single precision rounds the product and the sum, and what cancels in the sum may be 32 times as large.
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], largest * 4e-6f);
        }
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public void Random_blocks_have_the_values_of_formulas_in_double_precision(GgufTensorType type)
    {
        const int Count = 4096;
        var blocks = new RandomBlocks($"rows {type}").Blocks(type, Count, 1);
        var actual = Read(type, blocks, Count);
        for (var i = 0; i < Count; i++)
        {
            Assert.Equal(WeightFormats.Value(type, blocks, i), actual[i], 1e-4);
        }
    }

    [Fact]
    public void Every_half_is_read_as_the_platform_reads_it()
    {
        // Infinities and NaN are no weights.
        var halves = Enumerable.Range(0, 65536).Select(i => (ushort)i)
            .Where(h => Half.IsFinite(BitConverter.UInt16BitsToHalf(h))).ToArray();
        var actual = Read(GgufTensorType.F16, MemoryMarshal.AsBytes(halves.AsSpan()).ToArray(), halves.Length);
        for (var i = 0; i < halves.Length; i++)
        {
            var expected = (float)BitConverter.UInt16BitsToHalf(halves[i]);
            Assert.Equal(BitConverter.SingleToInt32Bits(expected), BitConverter.SingleToInt32Bits(actual[i]));
        }
    }

    [Fact]
    public void Every_bfloat16_is_the_upper_half_of_a_single()
    {
        var bits = Enumerable.Range(0, 65536).Select(i => (ushort)i).ToArray();
        var actual = Read(GgufTensorType.BF16, MemoryMarshal.AsBytes(bits.AsSpan()).ToArray(), bits.Length);
        for (var i = 0; i < bits.Length; i++)
        {
            Assert.Equal((uint)bits[i] << 16, BitConverter.SingleToUInt32Bits(actual[i]));
        }
    }

    private static float[] Read(GgufTensorType type, byte[] source, int count)
    {
        var values = new float[count];
        fixed (byte* from = source)
        fixed (float* to = values)
        {
            RowReader.Read(type, from, to, count);
        }

        return values;
    }
}
