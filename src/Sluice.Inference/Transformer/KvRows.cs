using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>
/// Writes keys and values of single tokens into blocks of the cache and reads whole tiles of them as single precision. Halves stand for
/// themselves. Bytes have a scale for each 32 values of a token, or 16 at the end of a head; scales stand behind the integers: those of keys as
/// (tile, scale, 16 tokens), those of values as (token, scale). What is read back depends on the token alone.
/// </summary>
internal static unsafe class KvRows
{
    private const int Lanes = VectorMath.Lanes;
    private const int ScaleLength = 32;

    // Below, the quotient would be too large for a single; all of it is zero in a half.
    private const float ScaleMin = 1e-30f;

    /// <summary>Bytes of the keys, or the values, of one head in a block.</summary>
    public static long SizeBytes(KvCacheType type, int length) => TransformerLimits.KvBlockTokens
        * (type == KvCacheType.F16 ? (long)length * sizeof(ushort) : length + ((long)ScaleCount(length) * sizeof(ushort)));

    /// <summary>Writes a key.</summary>
    /// <param name="type">What the block holds.</param>
    /// <param name="keys">The head's keys in the block.</param>
    /// <param name="within">The token's place in the block.</param>
    /// <param name="key">The values.</param>
    /// <param name="length">How many.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreKey(KvCacheType type, byte* keys, int within, float* key, int length)
    {
        int tile = within / Lanes;
        int lane = within % Lanes;
        if (type == KvCacheType.F16)
        {
            ushort* halves = stackalloc ushort[Lanes];
            ushort* target = (ushort*)keys + (tile * Lanes * length) + lane;
            for (int d = 0; d < length; d += Lanes)
            {
                VectorMath.ToHalf(Vector512.Load(key + d)).Store(halves);
                for (int i = 0; i < Lanes; i++)
                {
                    target[(d + i) * Lanes] = halves[i];
                }
            }

            return;
        }

        sbyte* bytes = stackalloc sbyte[ScaleLength];
        sbyte* integers = (sbyte*)keys + (tile * Lanes * length) + lane;
        ushort* scales = (ushort*)(keys + (TransformerLimits.KvBlockTokens * length)) + (tile * Lanes * ScaleCount(length)) + lane;
        for (int d = 0; d < length; d += ScaleLength)
        {
            int count = Math.Min(ScaleLength, length - d);
            scales[d / ScaleLength * Lanes] = Quantize(key + d, bytes, count);
            for (int i = 0; i < count; i++)
            {
                integers[(d + i) * Lanes] = bytes[i];
            }
        }
    }

    /// <summary>Writes a value; parameters as of <see cref="StoreKey"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreValue(KvCacheType type, byte* values, int within, float* value, int length)
    {
        if (type == KvCacheType.F16)
        {
            for (int d = 0; d < length; d += Lanes)
            {
                VectorMath.ToHalf(Vector512.Load(value + d)).Store((ushort*)values + (within * length) + d);
            }

            return;
        }

        sbyte* integers = (sbyte*)values + (within * length);
        ushort* scales = (ushort*)(values + (TransformerLimits.KvBlockTokens * length)) + (within * ScaleCount(length));
        for (int d = 0; d < length; d += ScaleLength)
        {
            scales[d / ScaleLength] = Quantize(value + d, integers + d, Math.Min(ScaleLength, length - d));
        }
    }

    /// <summary>Reads the keys of whole tiles: (tile, length, 16 tokens).</summary>
    /// <param name="type">What the block holds.</param>
    /// <param name="keys">The head's keys in the block.</param>
    /// <param name="singles">Where they go.</param>
    /// <param name="tileCount">Tiles to read.</param>
    /// <param name="length">Values of a key.</param>
    /// <param name="next">The same of the block that follows, which is fetched meanwhile: blocks lie far apart, where no processor looks ahead by itself.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadKeys(KvCacheType type, byte* keys, float* singles, int tileCount, int length, byte* next)
    {
        if (type == KvCacheType.F16)
        {
            Widen((ushort*)keys, singles, tileCount * Lanes * length, (ushort*)next);
            return;
        }

        sbyte* integers = (sbyte*)keys;
        ushort* scales = (ushort*)(keys + (TransformerLimits.KvBlockTokens * length));
        for (int tile = 0; tile < tileCount; tile++)
        {
            for (int start = 0; start < length; start += ScaleLength)
            {
                Vector512<float> scale = VectorMath.LoadHalf(scales);
                int end = Math.Min(start + ScaleLength, length);
                for (int d = start; d < end; d++)
                {
                    if (Sse.IsSupported && d % 4 == 0)
                    {
                        Sse.Prefetch0(next);
                        next += 64;
                    }

                    (WidenBytes(integers) * scale).Store(singles);
                    integers += Lanes;
                    singles += Lanes;
                }

                scales += Lanes;
            }
        }
    }

    /// <summary>Reads the first values of a block: (token, length); parameters as of <see cref="ReadKeys"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadValues(KvCacheType type, byte* values, float* singles, int tokenCount, int length, byte* next)
    {
        if (type == KvCacheType.F16)
        {
            Widen((ushort*)values, singles, tokenCount * length, (ushort*)next);
            return;
        }

        sbyte* integers = (sbyte*)values;
        ushort* scales = (ushort*)(values + (TransformerLimits.KvBlockTokens * length));
        for (int token = 0; token < tokenCount; token++)
        {
            for (int start = 0; start < length; start += ScaleLength)
            {
                Vector512<float> scale = Vector512.Create(Quantization.HalfBits.ToSingle(*scales));
                int end = Math.Min(start + ScaleLength, length);
                if (Sse.IsSupported && start % 64 == 0)
                {
                    Sse.Prefetch0(next);
                    next += 64;
                }

                for (int d = start; d < end; d += Lanes)
                {
                    (WidenBytes(integers) * scale).Store(singles);
                    integers += Lanes;
                    singles += Lanes;
                }

                scales++;
            }
        }
    }

    private static int ScaleCount(int length) => (length + ScaleLength - 1) / ScaleLength;

    // As ggml's q8_0: the largest is 127, the scale is rounded to a half afterwards.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ushort Quantize(float* source, sbyte* target, int count)
    {
        Vector512<float> first = Vector512.Load(source);
        Vector512<float> second = count > Lanes ? Vector512.Load(source + Lanes) : Vector512<float>.Zero;
        Vector512<float> largest = Vector512.Max(Vector512.Abs(first), Vector512.Abs(second));
        Vector256<float> half = Vector256.Max(largest.GetLower(), largest.GetUpper());
        Vector128<float> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        quarter = Vector128.Max(quarter, Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1)));
        float scale = Math.Max(quarter[0], quarter[1]) / 127f;
        float inverse = scale > ScaleMin ? 1f / scale : 0;
        Vector512<short> shorts = Vector512.Narrow(
            Vector512.ConvertToInt32(Vector512.Round(first * inverse)), Vector512.ConvertToInt32(Vector512.Round(second * inverse)));
        Vector256<sbyte> bytes = Vector256.Narrow(shorts.GetLower(), shorts.GetUpper());
        if (count > Lanes)
        {
            bytes.Store(target);
        }
        else
        {
            bytes.GetLower().Store(target);
        }

        return BitConverter.HalfToUInt16Bits((Half)scale);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> WidenBytes(sbyte* bytes)
    {
        if (Avx512F.IsSupported)
        {
            return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(bytes)));
        }

        Vector128<sbyte> all = Vector128.Load(bytes);
        (Vector128<short> low, Vector128<short> high) = Vector128.Widen(all);
        Vector256<int> a = Vector256.Create(Vector128.WidenLower(low), Vector128.WidenUpper(low));
        Vector256<int> b = Vector256.Create(Vector128.WidenLower(high), Vector128.WidenUpper(high));
        return Vector512.Create(Vector256.ConvertToSingle(a), Vector256.ConvertToSingle(b));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(ushort* halves, float* singles, int count, ushort* next)
    {
        for (int i = 0; i < count; i += 2 * Lanes)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(next + i);
            }

            VectorMath.LoadHalf(halves + i).Store(singles + i);
            VectorMath.LoadHalf(halves + i + Lanes).Store(singles + i + Lanes);
        }
    }
}
