using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Sluice.Inference.Kernels;

/// <summary>
/// The columns of a batch as signed bytes with a scale per 32 values: d = max|x| / 127, q = round(x / d), as ggml's Q8_0. Reused from step to
/// step; different columns may be written by different threads at once.
/// </summary>
internal sealed unsafe class QuantizedActivations : IDisposable
{
    // Below this the inverse of a scale overflows; such a block counts as zero.
    private const float ScaleMin = 1e-38f;

    private readonly NativeBuffer _values;
    private readonly NativeBuffer _scales;
    private readonly NativeBuffer _halfSums;

    /// <param name="length">Values per column, a multiple of 32.</param>
    /// <param name="columnCapacity">Most columns of a batch.</param>
    public QuantizedActivations(int length, int columnCapacity)
    {
        if (length % ActivationLayout.BlockLength != 0)
        {
            throw new ArgumentException($"Expected a multiple of {ActivationLayout.BlockLength}, found {length}.", nameof(length));
        }

        Length = length;
        long columns = ActivationLayout.PaddedColumnCount(columnCapacity);
        _values = new NativeBuffer(columns * length);
        _scales = new NativeBuffer(columns * length / ActivationLayout.BlockLength * 2 * sizeof(float));
        _halfSums = new NativeBuffer(columns * length / ActivationLayout.BlockLength * 2 * sizeof(float));
    }

    /// <summary>A view of some columns of others, which own them.</summary>
    public QuantizedActivations(QuantizedActivations source)
    {
        Length = source.Length;
        _values = source._values;
        _scales = source._scales;
        _halfSums = source._halfSums;
    }

    /// <summary>Values per column.</summary>
    public int Length { get; }

    /// <summary>Where column 0 of a view stands in its source: a multiple of 8.</summary>
    public int FirstColumn { get; set; }

    /// <summary>Columns of the present batch; set before they are written.</summary>
    public int ColumnCount { get; set; }

    public sbyte* TileValues(int tileStart) => (sbyte*)_values.Bytes + ((long)(FirstColumn + tileStart) * Length);

    public float* TileScales(int tileStart) => _scales.Singles + ((long)(FirstColumn + tileStart) * Length / ActivationLayout.BlockLength * 2);

    public float* TileHalfSums(int tileStart) => _halfSums.Singles + ((long)(FirstColumn + tileStart) * Length / ActivationLayout.BlockLength * 2);

    /// <summary>Quantises blocks of 32 values of one column.</summary>
    /// <param name="column">Column index.</param>
    /// <param name="source">The values of block <paramref name="blockStart"/> onwards.</param>
    /// <param name="blockStart">First block of 32.</param>
    /// <param name="blockCount">Number of blocks.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Quantize(int column, float* source, int blockStart, int blockCount)
    {
        int tileStart = ActivationLayout.TileStart(column);
        int width = ActivationLayout.TileWidth(tileStart, ColumnCount);
        int lane = column - tileStart;
        int* values = (int*)TileValues(tileStart) + lane + (blockStart * 8 * width);
        float* scales = TileScales(tileStart) + lane + (blockStart * 2 * width);
        float* halfSums = TileHalfSums(tileStart) + lane + (blockStart * 2 * width);
        int* groups = stackalloc int[8];
        for (int b = 0; b < blockCount; b++)
        {
            Vector512<float> first = Vector512.Load(source);
            Vector512<float> second = Vector512.Load(source + 16);
            Vector512<float> largest = Vector512.Max(Vector512.Abs(first), Vector512.Abs(second));
            Vector256<float> half = Vector256.Max(largest.GetLower(), largest.GetUpper());
            Vector128<float> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
            quarter = Vector128.Max(quarter, Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1)));
            float max = Math.Max(quarter[0], quarter[1]);
            float scale = max / 127f;
            float inverse = scale > ScaleMin ? 1f / scale : 0;

            Vector512<int> q0 = Vector512.ConvertToInt32(Vector512.Round(first * inverse));
            Vector512<int> q1 = Vector512.ConvertToInt32(Vector512.Round(second * inverse));
            Vector512<short> shorts = Vector512.Narrow(q0, q1);
            Vector256.Narrow(shorts.GetLower(), shorts.GetUpper()).AsInt32().Store(groups);
            float sum0 = scale * Vector512.Sum(q0);
            float sum1 = scale * Vector512.Sum(q1);
            for (int g = 0; g < 8; g++)
            {
                values[g * width] = groups[g];
            }

            scales[0] = scale;
            scales[width] = sum0 + sum1;
            halfSums[0] = sum0;
            halfSums[width] = sum1;
            source += ActivationLayout.BlockLength;
            values += 8 * width;
            scales += 2 * width;
            halfSums += 2 * width;
        }
    }

    public void Dispose()
    {
        _values.Dispose();
        _scales.Dispose();
        _halfSums.Dispose();
    }
}
