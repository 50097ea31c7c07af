using System.Numerics;

namespace Sluice.Inference.Gguf;

/// <summary>What stands before the tensors' bytes, read and checked once.</summary>
/// <param name="Metadata">The keys, in a copy of their own.</param>
/// <param name="Tensors">Descriptions by name; all of them lie inside the file.</param>
internal sealed record GgufHeader(GgufMetadata Metadata, Dictionary<string, GgufTensor> Tensors)
{
    public const int BytesMin = 24;
    private const uint MagicLittleEndian = 0x46554747; // "GGUF"
    private const uint MagicGitLfs = 0x73726576; // "vers", how a Git LFS pointer starts
    public const int AlignmentDefault = 32;
    private const int KeyValueBytesMin = 8 + 1 + 4 + 1;
    private const int TensorBytesMin = 8 + 1 + 4 + 8 + 4 + 8;

    /// <summary>Reads the header at the start of a file.</summary>
    /// <param name="bytes">The file's first bytes: all of it, or <see cref="GgufLimits.HeaderBytesMax"/> bytes.</param>
    /// <param name="fileBytes">Length of the file.</param>
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="GgufException">
    /// The header is cut off, contradicts itself or the file's length, or asks for what cannot be read.
    /// </exception>
    public static GgufHeader Read(ReadOnlySpan<byte> bytes, long fileBytes, string path)
    {
        var reader = new GgufHeaderReader(bytes, path, bytes.Length < fileBytes);
        CheckMagic(ref reader);
        CheckVersion(ref reader);
        var tensorCount = ReadCount(ref reader, "tensors", GgufLimits.TensorCountMax, TensorBytesMin, fileBytes);
        var keyCount = ReadCount(ref reader, "metadata keys", GgufLimits.KeyCountMax, KeyValueBytesMin, fileBytes);

        var values = ReadValues(ref reader, keyCount);
        var metadata = new GgufMetadata(path, bytes[..reader.Position].ToArray(), values);
        var alignment = ReadAlignment(ref reader, metadata);
        return new GgufHeader(metadata, ReadTensors(ref reader, tensorCount, alignment, fileBytes));
    }

    private static void CheckMagic(ref GgufHeaderReader reader)
    {
        var magic = reader.ReadUInt32();
        if (magic == MagicGitLfs)
        {
            throw reader.Error("expected a GGUF file, found a Git LFS pointer to one (run git lfs pull)");
        }

        if (magic != MagicLittleEndian)
        {
            throw reader.Error($"expected a GGUF file that starts with 0x{MagicLittleEndian:x8}, found 0x{magic:x8}");
        }
    }

    private static void CheckVersion(ref GgufHeaderReader reader)
    {
        var version = reader.ReadUInt32();
        if (version != 0 && (version & 0xFFFF) == 0)
        {
            throw reader.Error("expected a little-endian file, found a big-endian one");
        }

        if (version is not (2 or 3))
        {
            throw reader.Error($"expected GGUF version 2 or 3, found {version}");
        }
    }

    private static int ReadCount(ref GgufHeaderReader reader, string what, ulong max, int bytesMin, long fileBytes)
    {
        var count = reader.ReadUInt64();
        if (count > max)
        {
            throw reader.Error($"expected at most {max} {what}, found {count}");
        }

        if (count > (ulong)(fileBytes / bytesMin))
        {
            throw reader.Error($"expected {count} {what} of at least {bytesMin} bytes each, found a file of {fileBytes} bytes");
        }

        return (int)count;
    }

    private static Dictionary<string, GgufValue> ReadValues(ref GgufHeaderReader reader, int count)
    {
        var values = new Dictionary<string, GgufValue>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            reader.Enter(FormattableString.Invariant($"metadata key {i + 1} of {count}"));
            var key = reader.ReadName(GgufLimits.KeyBytesMax);
            reader.Enter("key " + GgufErrors.Quote(key));
            if (!values.TryAdd(key, reader.ReadValue()))
            {
                throw reader.Error("expected the key once, found it twice");
            }
        }

        return values;
    }

    private static long ReadAlignment(ref GgufHeaderReader reader, GgufMetadata metadata)
    {
        var alignment = metadata.GetInteger("general.alignment", AlignmentDefault);
        if (alignment is <= 0 or > GgufLimits.AlignmentMax || !BitOperations.IsPow2(alignment))
        {
            reader.Enter("key 'general.alignment'");
            throw reader.Error($"expected a power of two up to {GgufLimits.AlignmentMax}, found {alignment}");
        }

        return alignment;
    }

    private static Dictionary<string, GgufTensor> ReadTensors(ref GgufHeaderReader reader, int count, long alignment, long fileBytes)
    {
        var tensors = new Dictionary<string, GgufTensor>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            reader.Enter(FormattableString.Invariant($"tensor {i + 1} of {count}"));
            var name = reader.ReadName(GgufLimits.TensorNameBytesMax);
            reader.Enter("tensor " + GgufErrors.Quote(name));
            if (!tensors.TryAdd(name, ReadTensor(ref reader, name, alignment)))
            {
                throw reader.Error("expected the name once, found it twice");
            }
        }

        // Offsets count from the end of the header, which is known only now.
        var start = (reader.Position + alignment - 1) & -alignment;
        foreach (var (name, tensor) in tensors)
        {
            if (tensor.OffsetBytes > fileBytes - start || tensor.SizeBytes > fileBytes - start - tensor.OffsetBytes)
            {
                reader.Enter("tensor " + GgufErrors.Quote(name));
                var dataBytes = Math.Max(0, fileBytes - start);
                throw reader.Error(
                    $"expected {tensor.SizeBytes} bytes at byte {tensor.OffsetBytes} of the data, found {dataBytes} bytes of data");
            }

            tensors[name] = tensor with { OffsetBytes = start + tensor.OffsetBytes };
        }

        return tensors;
    }

    /// <summary>Reads one description; its offset still counts from the end of the header.</summary>
    private static GgufTensor ReadTensor(ref GgufHeaderReader reader, string name, long alignment)
    {
        var dimensionCount = reader.ReadUInt32();
        if (dimensionCount is 0 or > GgufLimits.DimensionCountMax)
        {
            throw reader.Error($"expected 1 to {GgufLimits.DimensionCountMax} dimensions, found {dimensionCount}");
        }

        var rowLength = 1L;
        var rowCount = 1L;
        var dimensions = new long[dimensionCount];
        for (var i = 0; i < dimensionCount; i++)
        {
            var length = reader.ReadUInt64();
            var product = (UInt128)length * (ulong)rowCount;
            if (length == 0 || product > long.MaxValue)
            {
                throw reader.Error($"expected dimensions from 1 whose product fits in 63 bits, found {length} as dimension {i}");
            }

            dimensions[i] = (long)length;
            if (i == 0)
            {
                rowLength = (long)length;
            }
            else
            {
                rowCount = (long)product;
            }
        }

        var typeId = reader.ReadUInt32();
        var type = (GgufTensorType)typeId;
        if (!GgufTensorTypes.IsSupported(type))
        {
            throw reader.Error($"expected the type {GgufTensorTypes.Supported}, found {GgufTensorTypes.Name(typeId)} (take another quantization of the model, such as Q4_K_M)");
        }

        var sizeBytes = SizeBytes(ref reader, type, rowLength, rowCount);
        var offset = reader.ReadUInt64();
        if (offset > long.MaxValue || (long)offset % alignment != 0)
        {
            throw reader.Error($"expected an offset that is a multiple of {alignment}, found {offset}");
        }

        return new GgufTensor(name, type, rowLength, rowCount, (long)offset, sizeBytes) { Dimensions = dimensions };
    }

    private static long SizeBytes(ref GgufHeaderReader reader, GgufTensorType type, long rowLength, long rowCount)
    {
        var blockElements = GgufTensorTypes.BlockElements(type);
        if (rowLength % blockElements != 0)
        {
            throw reader.Error($"expected rows of a multiple of {blockElements} elements for {type}, found {rowLength}");
        }

        var elements = (UInt128)rowLength * (ulong)rowCount;
        var size = elements <= long.MaxValue ? elements / (uint)blockElements * (uint)GgufTensorTypes.BlockBytes(type) : UInt128.MaxValue;
        return size <= long.MaxValue
            ? (long)size
            : throw reader.Error($"expected a size that fits in 63 bits, found {rowCount} rows of {rowLength} elements");
    }
}
