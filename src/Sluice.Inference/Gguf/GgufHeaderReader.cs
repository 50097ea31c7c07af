using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Sluice.Inference.Gguf;

/// <summary>
/// Reads the little-endian header in order. Every read is checked against the bytes that are there, and every error names what was being
/// read.
/// </summary>
internal ref struct GgufHeaderReader
{
    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _path;
    private readonly bool _isCut;
    private string _subject = "header";

    /// <param name="bytes">The start of the file.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="isCut">The file goes on after <paramref name="bytes"/>.</param>
    public GgufHeaderReader(ReadOnlySpan<byte> bytes, string path, bool isCut)
    {
        _bytes = bytes;
        _path = path;
        _isCut = isCut;
    }

    /// <summary>Bytes read so far; the next read starts there.</summary>
    public int Position { get; private set; }

    public readonly int RemainingBytes => _bytes.Length - Position;

    /// <summary>Names what is read from here on, for messages.</summary>
    public void Enter(string subject) => _subject = subject;

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong ReadUInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    /// <summary>Reads a length and that many bytes.</summary>
    public ReadOnlySpan<byte> ReadStringBytes(int maxBytes)
    {
        var length = ReadUInt64();
        if (length > (ulong)maxBytes)
        {
            throw Error($"expected a string of at most {maxBytes} bytes, found a length of {length}");
        }

        return Take((long)length);
    }

    /// <summary>Reads a length and a name of 1 to <paramref name="maxBytes"/> bytes.</summary>
    public string ReadName(int maxBytes)
    {
        var bytes = ReadStringBytes(maxBytes);
        return bytes.Length > 0 ? Encoding.UTF8.GetString(bytes) : throw Error("expected a name, found an empty one");
    }

    /// <summary>Reads a value's type and steps over the value.</summary>
    public GgufValue ReadValue()
    {
        var type = (GgufValueType)ReadUInt32();
        return type switch
        {
            GgufValueType.String => ReadStringValue(),
            GgufValueType.Array => ReadArray(1),
            _ => new GgufValue(type, default, Position, Skip(ScalarSize(type))),
        };
    }

    public readonly GgufException Error(FormattableString text) =>
        GgufErrors.Create(_path, string.Create(CultureInfo.InvariantCulture, $"{_subject}: {FormattableString.Invariant(text)}"));

    public readonly GgufException Error(string text) => GgufErrors.Create(_path, $"{_subject}: {text}");

    private GgufValue ReadStringValue()
    {
        var length = ReadStringBytes(int.MaxValue).Length;
        return new GgufValue(GgufValueType.String, default, Position - length, length);
    }

    private GgufValue ReadArray(int depth)
    {
        if (depth > GgufLimits.ArrayDepthMax)
        {
            throw Error($"expected at most {GgufLimits.ArrayDepthMax} arrays inside one another, found more");
        }

        var type = (GgufValueType)ReadUInt32();
        var count = ReadUInt64();
        var elementBytesMin = type switch
        {
            GgufValueType.String => 8,
            GgufValueType.Array => 12,
            _ => ScalarSize(type),
        };
        if (count > (ulong)(RemainingBytes / elementBytesMin))
        {
            throw Missing(FormattableString.Invariant($"an array of {count} elements of at least {elementBytesMin} bytes"));
        }

        var value = new GgufValue(GgufValueType.Array, type, Position, (int)count);
        if (type is not (GgufValueType.String or GgufValueType.Array))
        {
            Skip((int)count * elementBytesMin);
            return value;
        }

        for (var i = 0; i < (int)count; i++)
        {
            if (type == GgufValueType.String)
            {
                ReadStringBytes(int.MaxValue);
            }
            else
            {
                ReadArray(depth + 1);
            }
        }

        return value;
    }

    private readonly int ScalarSize(GgufValueType type)
    {
        var size = GgufValueTypes.Size(type);
        return size > 0 ? size : throw Error($"expected a value type from 0 to 12, found {(uint)type}");
    }

    private int Skip(int count)
    {
        Take(count);
        return 1;
    }

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count > RemainingBytes)
        {
            throw Missing(FormattableString.Invariant($"{count} more bytes at byte {Position}"));
        }

        var bytes = _bytes.Slice(Position, (int)count);
        Position += (int)count;
        return bytes;
    }

    private readonly GgufException Missing(string expected) => _isCut
        ? Error($"expected {expected} within a header of at most {GgufLimits.HeaderBytesMax} bytes, found {RemainingBytes} left")
        : Error($"expected {expected}, found {RemainingBytes} before the end of the file");
}
