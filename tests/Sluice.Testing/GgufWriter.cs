using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Testing;

/// <summary>
/// Builds GGUF files for tests: correct ones by default, and wrong ones where a property or a raw value says so. Keys and tensors come out
/// in the order of the calls; every call returns the writer.
/// </summary>
public sealed class GgufWriter
{
    private readonly List<byte[]> _values = [];
    private readonly List<Tensor> _tensors = [];

    /// <summary>The file's first four bytes. The default value is <c>GGUF</c>.</summary>
    public byte[] Magic { get; set; } = "GGUF"u8.ToArray();

    /// <summary>The default value is 3.</summary>
    public uint Version { get; set; } = 3;

    /// <summary>Bytes between tensors; the key <c>general.alignment</c> is the caller's to write. The default value is 32.</summary>
    public int Alignment { get; set; } = 32;

    /// <summary>What the header claims; null is the truth.</summary>
    public ulong? ClaimedTensorCount { get; set; }

    /// <summary>What the header claims; null is the truth.</summary>
    public ulong? ClaimedKeyCount { get; set; }

    /// <summary>Adds a string.</summary>
    public GgufWriter Add(string key, string value) => AddRaw(key, 8, String(value));

    /// <summary>Adds a boolean.</summary>
    public GgufWriter Add(string key, bool value) => AddRaw(key, 7, [value ? (byte)1 : (byte)0]);

    /// <summary>
    /// Adds a number: byte, sbyte, ushort, short, uint, int, ulong, long, float or double, each as the file's type of the same kind.
    /// </summary>
    public GgufWriter Add<T>(string key, T value)
        where T : unmanaged, INumber<T> => AddRaw(key, TypeOf<T>(), Bytes(value));

    /// <summary>Adds an array of numbers.</summary>
    public GgufWriter AddArray<T>(string key, IReadOnlyList<T> values)
        where T : unmanaged, INumber<T> => AddRaw(key, 9, Array(TypeOf<T>(), values.Count, values.Select(Bytes)));

    /// <summary>Adds an array of strings.</summary>
    public GgufWriter AddArray(string key, IReadOnlyList<string> values) => AddRaw(key, 9, Array(8, values.Count, values.Select(String)));

    /// <summary>Adds an array of strings that need not be UTF-8.</summary>
    public GgufWriter AddArray(string key, IReadOnlyList<byte[]> values) => AddRaw(key, 9, Array(8, values.Count, values.Select(String)));

    /// <summary>Adds an array of booleans.</summary>
    public GgufWriter AddArray(string key, IReadOnlyList<bool> values) =>
        AddRaw(key, 9, Array(7, values.Count, values.Select(v => new[] { v ? (byte)1 : (byte)0 })));

    /// <summary>Adds a key with any type id and any bytes as its value.</summary>
    public GgufWriter AddRaw(string key, uint typeId, byte[] value)
    {
        _values.Add([.. String(key), .. Bytes(typeId), .. value]);
        return this;
    }

    /// <summary>Adds a tensor whose bytes are given.</summary>
    /// <param name="name">Name in the file.</param>
    /// <param name="dimensions">The file's order: row length first.</param>
    /// <param name="type">Storage type.</param>
    /// <param name="data">The bytes, as many as type and dimensions ask for.</param>
    public GgufWriter AddTensor(string name, IReadOnlyList<long> dimensions, GgufTensorType type, byte[] data) =>
        AddRawTensor(name, dimensions.Select(d => (ulong)d).ToArray(), (uint)type, data);

    /// <summary>Adds a tensor with float values, stored as F32, F16 or BF16 (rounded to nearest, ties to even).</summary>
    public GgufWriter AddTensor(string name, IReadOnlyList<long> dimensions, GgufTensorType type, ReadOnlySpan<float> values)
    {
        var count = dimensions.Aggregate(1L, (product, d) => product * d);
        if (count != values.Length)
        {
            throw new ArgumentException($"{name}: {count} elements by its dimensions, {values.Length} values.", nameof(values));
        }

        return AddTensor(name, dimensions, type, Encode(type, values));
    }

    /// <summary>Adds a tensor description that need not be true.</summary>
    /// <param name="name">Name in the file.</param>
    /// <param name="dimensions">Any number of dimensions.</param>
    /// <param name="typeId">Any type id.</param>
    /// <param name="data">Bytes written to the data section.</param>
    /// <param name="offset">The claimed offset; null is the true one.</param>
    public GgufWriter AddRawTensor(string name, ulong[] dimensions, uint typeId, byte[] data, ulong? offset = null)
    {
        _tensors.Add(new Tensor(name, dimensions, typeId, data.Length, stream => stream.Write(data), offset));
        return this;
    }

    /// <summary>Adds a tensor whose bytes are made when the file is written, so that files may be larger than memory.</summary>
    /// <param name="name">Name in the file.</param>
    /// <param name="dimensions">The file's order: row length first.</param>
    /// <param name="type">Storage type.</param>
    /// <param name="write">Writes as many bytes as type and dimensions ask for.</param>
    public GgufWriter AddTensor(string name, IReadOnlyList<long> dimensions, GgufTensorType type, Action<Stream> write)
    {
        var sizeBytes = dimensions.Aggregate(1L, static (product, d) => product * d) / GgufTensorTypes.BlockElements(type) * GgufTensorTypes.BlockBytes(type);
        _tensors.Add(new Tensor(name, dimensions.Select(d => (ulong)d).ToArray(), (uint)type, sizeBytes, write, null));
        return this;
    }

    /// <summary>The whole file.</summary>
    public byte[] ToArray()
    {
        using var file = new MemoryStream();
        WriteTo(file);
        return file.ToArray();
    }

    /// <summary>Writes the whole file to a path.</summary>
    public void Save(string path)
    {
        using var file = File.Create(path);
        WriteTo(file);
    }

    private void WriteTo(Stream file)
    {
        file.Write(Magic);
        file.Write(Bytes(Version));
        file.Write(Bytes(ClaimedTensorCount ?? (ulong)_tensors.Count));
        file.Write(Bytes(ClaimedKeyCount ?? (ulong)_values.Count));
        foreach (var value in _values)
        {
            file.Write(value);
        }

        var offset = 0L;
        foreach (var tensor in _tensors)
        {
            file.Write(String(tensor.Name));
            file.Write(Bytes((uint)tensor.Dimensions.Length));
            foreach (var dimension in tensor.Dimensions)
            {
                file.Write(Bytes(dimension));
            }

            file.Write(Bytes(tensor.TypeId));
            file.Write(Bytes(tensor.Offset ?? (ulong)offset));
            offset = Align(offset + tensor.SizeBytes);
        }

        foreach (var tensor in _tensors)
        {
            file.Write(new byte[Align(file.Length) - file.Length]);
            tensor.Write(file);
        }
    }

    private static byte[] Encode(GgufTensorType type, ReadOnlySpan<float> values)
    {
        var width = GgufTensorTypes.BlockBytes(type);
        var data = new byte[values.Length * width];
        for (var i = 0; i < values.Length; i++)
        {
            var target = data.AsSpan(i * width);
            switch (type)
            {
                case GgufTensorType.F32:
                    BinaryPrimitives.WriteSingleLittleEndian(target, values[i]);
                    break;
                case GgufTensorType.F16:
                    BinaryPrimitives.WriteHalfLittleEndian(target, (Half)values[i]);
                    break;
                case GgufTensorType.BF16:
                    var bits = BitConverter.SingleToUInt32Bits(values[i]);
                    BinaryPrimitives.WriteUInt16LittleEndian(target, (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(type), type, "Floats are stored as F32, F16 or BF16.");
            }
        }

        return data;
    }

    private long Align(long offset) => (offset + Alignment - 1) / Alignment * Alignment;

    private static byte[] Array(uint elementType, int count, IEnumerable<byte[]> elements) =>
        [.. Bytes(elementType), .. Bytes((ulong)count), .. elements.SelectMany(e => e)];

    private static byte[] String(string text) => String(Encoding.UTF8.GetBytes(text));

    private static byte[] String(byte[] utf8) => [.. Bytes((ulong)utf8.Length), .. utf8];

    private static byte[] Bytes<T>(T number)
        where T : unmanaged, INumber<T>
    {
        var bytes = new byte[System.Runtime.CompilerServices.Unsafe.SizeOf<T>()];
        System.Runtime.InteropServices.MemoryMarshal.Write(bytes, in number);
        if (!BitConverter.IsLittleEndian)
        {
            bytes.AsSpan().Reverse();
        }

        return bytes;
    }

    private static uint TypeOf<T>() => default(T) switch
    {
        byte => 0,
        sbyte => 1,
        ushort => 2,
        short => 3,
        uint => 4,
        int => 5,
        float => 6,
        ulong => 10,
        long => 11,
        double => 12,
        _ => throw new NotSupportedException($"GGUF has no type for {typeof(T)}."),
    };

    private sealed record Tensor(string Name, ulong[] Dimensions, uint TypeId, long SizeBytes, Action<Stream> Write, ulong? Offset);
}
