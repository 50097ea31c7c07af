using System.Buffers.Binary;
using Sluice.Inference.Gguf;

namespace Sluice.Testing;

/// <summary>
/// Random weights, the same on every machine: plain numbers, or blocks of a quantised type with every field drawn, so that scales,
/// minima and bits take values that a quantiser seldom writes. About symmetric around zero.
/// </summary>
public sealed class RandomBlocks
{
    private ulong _state;

    /// <param name="name">Names the sequence.</param>
    public RandomBlocks(string name)
    {
        _state = 14695981039346656037;
        foreach (var c in name)
        {
            _state = (_state ^ c) * 1099511628211;
        }
    }

    /// <summary>A number of 64 random bits (SplitMix64).</summary>
    public ulong Next()
    {
        _state += 0x9E3779B97F4A7C15;
        var z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>An integer of 0 to <paramref name="bound"/> - 1.</summary>
    public int Next(int bound) => (int)(Next() % (ulong)bound);

    /// <summary>A number of at least -1 and below 1.</summary>
    public double Signed() => ((Next() >> 11) * (2.0 / (1UL << 53))) - 1;

    /// <summary>Numbers of about normal distribution with the given deviation.</summary>
    public float[] Singles(long count, double deviation)
    {
        var values = new float[count];
        for (long i = 0; i < count; i++)
        {
            // The sum of four uniform numbers of variance 1/3 each.
            values[i] = (float)((Signed() + Signed() + Signed() + Signed()) * deviation * Math.Sqrt(0.75));
        }

        return values;
    }

    /// <summary>Quantised blocks whose values have about the given deviation.</summary>
    public byte[] Blocks(GgufTensorType type, long count, double deviation)
    {
        var blockBytes = GgufTensorTypes.BlockBytes(type);
        var data = new byte[count / GgufTensorTypes.BlockElements(type) * blockBytes];
        for (var i = 0; i < data.Length; i++)
        {
            data[i] = (byte)Next();
        }

        for (var start = 0; start < data.Length; start += blockBytes)
        {
            var block = data.AsSpan(start, blockBytes);
            switch (type)
            {
                // Uniform integers up to n deviate by n / √12.
                case GgufTensorType.Q4_0:
                    Half(block, Sign() * Vary(deviation / 4.6));
                    break;
                case GgufTensorType.Q4_1:
                    Minimum(block, deviation / 4.6, 15);
                    break;
                case GgufTensorType.Q5_0:
                    Half(block, Sign() * Vary(deviation / 9.2));
                    break;
                case GgufTensorType.Q5_1:
                    Minimum(block, deviation / 9.2, 31);
                    break;
                case GgufTensorType.Q8_0:
                    Half(block, Sign() * Vary(deviation / 74));
                    break;
                case GgufTensorType.Q4_K:
                    // The mean scale is 31.5, as is the mean minimum.
                    SuperBlock(block, Vary(deviation / 4.6 / 36), 7.5);
                    break;
                case GgufTensorType.Q5_K:
                    SuperBlock(block, Vary(deviation / 9.2 / 36), 15.5);
                    break;
                case GgufTensorType.Q6_K:
                    Half(block[208..], Sign() * Vary(deviation / 18.5 / 74));
                    break;
                case GgufTensorType.Q2_K:
                    // Scale and minimum of a part lie near one another, as in the other super-blocks.
                    for (var i = 0; i < 16; i++)
                    {
                        var pair = Next(16);
                        block[i] = (byte)(pair | (Math.Clamp(pair + Next(3) - 1, 0, 15) << 4));
                    }

                    Half(block[80..], Vary(deviation / 1.1 / 8.8));
                    Half(block[82..], Vary(deviation / 1.1 / 8.8 * 1.5));
                    break;
                case GgufTensorType.Q3_K:
                    Half(block[108..], Sign() * Vary(deviation / 2.3 / 18.5));
                    break;
                case GgufTensorType.IQ4_NL:
                    // The values deviate by 70.
                    Half(block, Sign() * Vary(deviation / 70));
                    break;
                case GgufTensorType.IQ4_XS:
                    Half(block, Sign() * Vary(deviation / 70 / 18.5));
                    break;
                case GgufTensorType.IQ2_XXS or GgufTensorType.IQ2_XS or GgufTensorType.IQ2_S:
                    // Magnitudes of about 25, and a mean scale of 2.
                    Half(block, Sign() * Vary(deviation / 50));
                    break;
                case GgufTensorType.IQ3_XXS or GgufTensorType.IQ3_S:
                    // 36 and 4, or 9 and 16.
                    Half(block, Sign() * Vary(deviation / 145));
                    break;
                case GgufTensorType.MXFP4:
                    // In halves, and 5.9 of them.
                    block[0] = (byte)(128 + (int)Math.Round(Math.Log2(deviation / 5.9)) - Next(2));
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(type), type, "Not a quantized type.");
            }
        }

        return data;
    }

    private static void Half(Span<byte> target, double value) => BinaryPrimitives.WriteHalfLittleEndian(target, (Half)value);

    private double Sign() => Next(2) == 0 ? -1 : 1;

    private double Vary(double value) => value * (1 + (0.4 * Signed()));

    private void Minimum(Span<byte> block, double scale, int largest)
    {
        var d = Sign() * Vary(scale);
        Half(block, d);
        Half(block[2..], -d * (largest / 2.0) * (1 + (0.1 * Signed())));
    }

    // A sub-block's minimum stays within a few steps of what would centre its values.
    private void SuperBlock(Span<byte> block, double scale, double middle)
    {
        Half(block, scale);
        Half(block[2..], scale * middle);
        Span<byte> packed = block.Slice(4, 12);
        for (var i = 0; i < 8; i++)
        {
            var s = Next(64);
            var m = Math.Clamp(s + Next(13) - 6, 0, 63);
            if (i < 4)
            {
                packed[i] = (byte)((packed[i] & 0xC0) | s);
                packed[i + 4] = (byte)((packed[i + 4] & 0xC0) | m);
            }
            else
            {
                packed[i + 4] = (byte)((s & 15) | ((m & 15) << 4));
                packed[i - 4] = (byte)((packed[i - 4] & 0x3F) | (s >> 4 << 6));
                packed[i] = (byte)((packed[i] & 0x3F) | (m >> 4 << 6));
            }
        }
    }
}
