using System.Buffers.Binary;
using System.Text;

namespace Sluice.Inference.Gguf;

/// <summary>
/// Writes a model's file anew with other tensor types: its keys as they are, its tensors in the order in which they lie in the file. First the
/// header, then every tensor with as many bytes as its description says.
/// </summary>
internal sealed class GgufCopyWriter
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const uint Version = 3;
    private const byte QuantizationVersion = 2;
    private readonly Stream _target;
    private readonly long _alignment;
    private long _position;

    private GgufCopyWriter(Stream target, long alignment) => (_target, _alignment) = (target, alignment);

    /// <summary>Writes the header.</summary>
    /// <param name="target">Written from its current position on; the caller disposes it.</param>
    /// <param name="metadata">Keys of the source.</param>
    /// <param name="fileType">Goes into <c>general.file_type</c>.</param>
    /// <param name="tensors">As they will be written; their offsets don't matter.</param>
    /// <exception cref="GgufException">A key of the source that has to be an integer is none.</exception>
    public static GgufCopyWriter Begin(Stream target, GgufMetadata metadata, byte fileType, IReadOnlyList<GgufTensor> tensors)
    {
        var alignment = metadata.GetInteger("general.alignment", GgufHeader.AlignmentDefault);
        var writer = new GgufCopyWriter(target, alignment);
        List<(string, byte)> changed = [("general.file_type", fileType), ("general.quantization_version", QuantizationVersion)];
        // Whatever the source was, this is one file.
        if (metadata.Contains("split.count")) changed.Add(("split.count", 0));
        var (keys, keyCount) = metadata.CopyWith([.. changed]);
        writer.WriteUInt32(Magic);
        writer.WriteUInt32(Version);
        writer.WriteInt64(tensors.Count);
        writer.WriteInt64(keyCount);
        writer.Write(keys);
        var offset = 0L;
        foreach (var tensor in tensors)
        {
            var name = Encoding.UTF8.GetBytes(tensor.Name);
            writer.WriteInt64(name.Length);
            writer.Write(name);
            writer.WriteUInt32((uint)tensor.Dimensions.Count);
            foreach (var dimension in tensor.Dimensions) writer.WriteInt64(dimension);
            writer.WriteUInt32((uint)tensor.Type);
            writer.WriteInt64(offset);
            offset = Align(offset + tensor.SizeBytes, alignment);
        }

        writer.EndTensor();
        return writer;
    }

    /// <summary>Appends bytes of the tensor whose turn it is.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        _target.Write(bytes);
        _position += bytes.Length;
    }

    /// <summary>All bytes of a tensor have been written.</summary>
    public void EndTensor()
    {
        var missing = Align(_position, _alignment) - _position;
        for (; missing > 0; missing--) Write([0]);
    }

    private static long Align(long position, long alignment) => (position + alignment - 1) & -alignment;

    private void WriteUInt32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Write(bytes);
    }

    private void WriteInt64(long value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        Write(bytes);
    }
}
