using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Quantization;

/// <summary>How near a tensor came to what it was.</summary>
/// <param name="Before">In the source.</param>
/// <param name="After">As it was written.</param>
/// <param name="SquaredError">Sum over all values; 0 where nothing was changed.</param>
/// <param name="SquaredNorm">Sum of the squared values of the source; 0 where nothing was changed.</param>
public sealed record QuantizedTensor(GgufTensor Before, GgufTensor After, double SquaredError, double SquaredNorm)
{
    /// <summary>Root of the mean squared error over the root of the mean square: 0 is exact.</summary>
    public double RelativeError => SquaredNorm > 0 ? Math.Sqrt(SquaredError / SquaredNorm) : 0;
}

/// <summary>Writes a model with its matrices in another type.</summary>
public static class ModelQuantizer
{
    // Values that one thread takes at a time: a few megabytes of memory each, and enough to be worth a turn.
    private const int PieceLength = 1 << 18;

    /// <summary>Writes the whole file, tensor by tensor, with as many threads as there are processors.</summary>
    /// <param name="source">The model; stays open meanwhile.</param>
    /// <param name="plan">Made for this model.</param>
    /// <param name="target">Written from its current position on.</param>
    /// <param name="report">Told of each tensor when it is written; null tells nobody.</param>
    /// <param name="cancellation">Ends it between two pieces; what was written is of no use then.</param>
    /// <exception cref="GgufException">A value is not finite, or too large for the type.</exception>
    public static void Write(GgufFile source, QuantizationPlan plan, Stream target, Action<QuantizedTensor>? report, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(plan);
        var writer = GgufCopyWriter.Begin(target, source.Metadata, plan.Mix.FileType, plan.Tensors);
        foreach (var after in plan.Tensors)
        {
            var before = source.GetTensor(after.Name);
            var written = before.Type == after.Type ? Copy(source, before, writer, cancellation) : Convert(source, before, after, writer, cancellation);
            report?.Invoke(written);
            writer.EndTensor();
        }
    }

    private static unsafe QuantizedTensor Copy(GgufFile source, GgufTensor tensor, GgufCopyWriter writer, CancellationToken cancellation)
    {
        var bytes = source.GetPointer(tensor);
        for (long offset = 0; offset < tensor.SizeBytes; offset += PieceLength)
        {
            cancellation.ThrowIfCancellationRequested();
            writer.Write(new ReadOnlySpan<byte>(bytes + offset, (int)Math.Min(PieceLength, tensor.SizeBytes - offset)));
        }

        return new QuantizedTensor(tensor, tensor, 0, 0);
    }

    private static QuantizedTensor Convert(GgufFile source, GgufTensor before, GgufTensor after, GgufCopyWriter writer, CancellationToken cancellation)
    {
        var pieces = new Piece[Environment.ProcessorCount];
        for (var i = 0; i < pieces.Length; i++) pieces[i] = new Piece(source, before, after.Type);
        var length = before.RowLength * before.RowCount;
        var (error, norm) = (0.0, 0.0);
        for (long start = 0; start < length; start += (long)PieceLength * pieces.Length)
        {
            var first = start;
            Parallel.For(0, pieces.Length, new ParallelOptions { CancellationToken = cancellation }, i => pieces[i].Run(first + ((long)i * PieceLength), length));
            foreach (var piece in pieces)
            {
                writer.Write(piece.Written);
                (error, norm) = (error + piece.SquaredError, norm + piece.SquaredNorm);
            }
        }

        var largest = pieces.Max(static piece => float.IsNaN(piece.Largest) ? float.PositiveInfinity : piece.Largest);
        return largest <= LargestOf(after.Type)
            ? new QuantizedTensor(before, after, error, norm)
            : throw GgufErrors.Create(
                source.Path,
                string.Create(CultureInfo.InvariantCulture, $"tensor {GgufErrors.Quote(before.Name)}: expected values up to {LargestOf(after.Type)} for {after.Type}, found {largest}"));
    }

    /// <summary>A part of a tensor that one thread converts.</summary>
    private sealed class Piece(GgufFile source, GgufTensor before, GgufTensorType type)
    {
        private readonly float[] _values = new float[PieceLength];
        private readonly float[] _decoded = new float[PieceLength];
        private readonly byte[] _bytes = new byte[PieceLength / GgufTensorTypes.BlockElements(type) * GgufTensorTypes.BlockBytes(type)];
        private int _byteCount;

        public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _byteCount);

        public double SquaredError { get; private set; }

        public double SquaredNorm { get; private set; }

        /// <summary>Of the magnitudes of all values so far.</summary>
        public float Largest { get; private set; }

        public unsafe void Run(long start, long end)
        {
            var count = (int)Math.Clamp(end - start, 0, PieceLength);
            (_byteCount, SquaredError, SquaredNorm) = (count / GgufTensorTypes.BlockElements(type) * GgufTensorTypes.BlockBytes(type), 0, 0);
            if (count == 0) return;
            var bytes = source.GetPointer(before) + (start / GgufTensorTypes.BlockElements(before.Type) * GgufTensorTypes.BlockBytes(before.Type));
            var values = _values.AsSpan(0, count);
            var decoded = _decoded.AsSpan(0, count);
            fixed (float* destination = values) RowReader.Read(before.Type, bytes, destination, count);
            Encode(type, values, _bytes);
            fixed (byte* blocks = _bytes)
            fixed (float* destination = decoded) RowReader.Read(type, blocks, destination, count);
            for (var i = 0; i < count; i++)
            {
                // A NaN stays the largest.
                Largest = Math.Max(Largest, Math.Abs(values[i]));
                double difference = values[i] - decoded[i];
                SquaredError += difference * difference;
                SquaredNorm += (double)values[i] * values[i];
            }
        }
    }

    // Scales and minima are halves, but for a power of two.
    private static float LargestOf(GgufTensorType type) =>
        type is GgufTensorType.F32 or GgufTensorType.BF16 or GgufTensorType.MXFP4 ? BitConverter.UInt32BitsToSingle(0x7F7F0000) : (float)Half.MaxValue;

    private static void Encode(GgufTensorType type, ReadOnlySpan<float> values, Span<byte> target)
    {
        switch (type)
        {
            case GgufTensorType.F32:
                MemoryMarshal.AsBytes(values).CopyTo(target);
                break;
            case GgufTensorType.F16:
                for (var i = 0; i < values.Length; i++) BinaryPrimitives.WriteHalfLittleEndian(target[(2 * i)..], (Half)values[i]);
                break;
            case GgufTensorType.BF16:
                for (var i = 0; i < values.Length; i++)
                {
                    // To the nearest, and to the even one of two.
                    var bits = BitConverter.SingleToUInt32Bits(values[i]);
                    BinaryPrimitives.WriteUInt16LittleEndian(target[(2 * i)..], (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
                }

                break;
            case var _ when SuperBlockQuantizer.CanWrite(type):
                SuperBlockQuantizer.Quantize(type, values, target);
                break;
            default:
                BlockQuantizer.Quantize(type, values, target);
                break;
        }
    }
}
