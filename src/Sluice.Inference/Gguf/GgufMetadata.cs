using System.Buffers.Binary;
using System.Text;

namespace Sluice.Inference.Gguf;

/// <summary>
/// The keys of a GGUF file, in a copy of their own: valid after the file is closed, safe from any thread. Arrays are decoded at each call.
/// A value of another type than asked for is a <see cref="GgufException"/>; so is a missing one where no fallback is given.
/// </summary>
public sealed class GgufMetadata
{
    private readonly string _path;
    private readonly byte[] _bytes;
    private readonly Dictionary<string, GgufValue> _values;

    internal GgufMetadata(string path, byte[] bytes, Dictionary<string, GgufValue> values)
    {
        _path = path;
        _bytes = bytes;
        _values = values;
    }

    /// <summary>Whether the file has the key, whatever its type.</summary>
    public bool Contains(string key) => _values.ContainsKey(key);

    /// <summary>A string that must be there.</summary>
    public string GetString(string key) => FindString(key) ?? throw MissingError(key, "a string");

    /// <summary>A string, or null without the key.</summary>
    public string? FindString(string key) => Find(key, GgufValueType.String, "a string") is { } value
        ? Encoding.UTF8.GetString(_bytes, value.Offset, value.Count)
        : null;

    /// <summary>A number of any integer type that must be there.</summary>
    public long GetInteger(string key) => FindInteger(key) ?? throw MissingError(key, "an integer");

    /// <summary>A number of any integer type.</summary>
    public long GetInteger(string key, long fallback) => FindInteger(key) ?? fallback;

    /// <summary>A number of any numeric type that must be there.</summary>
    public double GetNumber(string key) => FindNumber(key) ?? throw MissingError(key, "a number");

    /// <summary>A number of any numeric type.</summary>
    public double GetNumber(string key, double fallback) => FindNumber(key) ?? fallback;

    /// <summary>A boolean.</summary>
    public bool GetBoolean(string key, bool fallback) =>
        Find(key, GgufValueType.Boolean, "a boolean") is { } value ? _bytes[value.Offset] != 0 : fallback;

    /// <summary>An array of numbers, or null without the key.</summary>
    public float[]? FindSingles(string key)
    {
        if (Find(key, GgufValueType.Array, "an array of numbers") is not { } array)
        {
            return null;
        }

        var singles = new float[array.Count];
        for (var i = 0; i < singles.Length; i++)
        {
            var number = ReadNumber(array.ElementType, ElementOffset(array, i));
            singles[i] = (float)(number ?? throw TypeError(key, "an array of numbers", array));
        }

        return singles;
    }

    /// <summary>An array of booleans, or null where the key is missing or has another type.</summary>
    public bool[]? FindBooleans(string key)
    {
        if (!_values.TryGetValue(key, out var value) || value is not { Type: GgufValueType.Array, ElementType: GgufValueType.Boolean })
        {
            return null;
        }

        var booleans = new bool[value.Count];
        for (var i = 0; i < booleans.Length; i++)
        {
            booleans[i] = _bytes[ElementOffset(value, i)] != 0;
        }

        return booleans;
    }

    /// <summary>An array of integers that fit in 32 bits, or null without the key.</summary>
    public int[]? FindIntegers(string key)
    {
        if (Find(key, GgufValueType.Array, "an array of integers") is not { } array)
        {
            return null;
        }

        var integers = new int[array.Count];
        for (var i = 0; i < integers.Length; i++)
        {
            var number = ReadIntegerElement(key, array, i);
            integers[i] = number is >= int.MinValue and <= int.MaxValue
                ? (int)number
                : throw Error(key, "integers that fit in 32 bits", FormattableString.Invariant($"{number} as element {i}"));
        }

        return integers;
    }

    /// <summary>An integer that a file may give once for all layers, or as an array with one per layer.</summary>
    /// <param name="key">A key that must be there.</param>
    /// <param name="layer">Index of the layer, from 0.</param>
    public long GetIntegerAt(string key, int layer)
    {
        if (!_values.TryGetValue(key, out var value) || value.Type != GgufValueType.Array)
        {
            return GetInteger(key);
        }

        return (uint)layer < (uint)value.Count
            ? ReadIntegerElement(key, value, layer)
            : throw Error(
                key, FormattableString.Invariant($"an element for layer {layer}"), FormattableString.Invariant($"{value.Count} elements"));
    }

    /// <summary>An array of strings as the UTF-8 that the file holds, or null without the key.</summary>
    internal GgufStringArray? FindUtf8Strings(string key)
    {
        const string Expected = "an array of strings";
        if (Find(key, GgufValueType.Array, Expected) is not { } array)
        {
            return null;
        }

        return array.ElementType == GgufValueType.String || array.Count == 0
            ? new GgufStringArray(_bytes, array.Offset, array.Count)
            : throw TypeError(key, Expected, array);
    }

    /// <summary>Every key with its value: a string, a long, a double or a bool; null for an array.</summary>
    internal Dictionary<string, object?> ReadValues()
    {
        var values = new Dictionary<string, object?>(_values.Count, StringComparer.Ordinal);
        foreach (var (key, value) in _values)
        {
            values[key] = value.Type switch
            {
                GgufValueType.String => Encoding.UTF8.GetString(_bytes, value.Offset, value.Count),
                GgufValueType.Boolean => _bytes[value.Offset] != 0,
                GgufValueType.Array => null,
                GgufValueType.Float32 or GgufValueType.Float64 or GgufValueType.UInt64 => ReadNumber(value.Type, value.Offset),
                _ => ReadInteger(key, value.Type, value.Offset),
            };
        }

        return values;
    }

    /// <summary>The keys as the file has them, with other numbers in place of some; a key that the file lacks is added.</summary>
    /// <param name="integers">Keys with their numbers, which every integer type of the file can hold: at most 127.</param>
    /// <returns>The bytes behind the counts of the header, and how many keys they are.</returns>
    /// <exception cref="GgufException">One of the keys is no integer in the file.</exception>
    internal (byte[] Bytes, int Count) CopyWith(params ReadOnlySpan<(string Key, byte Number)> integers)
    {
        var copy = _bytes[GgufHeader.BytesMin..];
        var added = new List<byte>();
        var count = _values.Count;
        foreach (var (key, number) in integers)
        {
            if (_values.TryGetValue(key, out var value))
            {
                if (ReadInteger(key, value.Type, value.Offset) is null)
                {
                    throw TypeError(key, "an integer", value);
                }

                var target = copy.AsSpan(value.Offset - GgufHeader.BytesMin, GgufValueTypes.Size(value.Type));
                target.Clear();
                target[0] = number;
                continue;
            }

            var name = Encoding.UTF8.GetBytes(key);
            added.AddRange([.. BitConverter.GetBytes((ulong)name.Length), .. name, .. BitConverter.GetBytes((uint)GgufValueType.UInt32), number, 0, 0, 0]);
            count++;
        }

        return ([.. copy, .. added], count);
    }

    /// <summary>An error about a key's value.</summary>
    internal GgufException Error(string key, string expected, string found) =>
        GgufErrors.Create(_path, $"key {GgufErrors.Quote(key)}: expected {expected}, found {found}");

    private GgufException MissingError(string key, string expected) => Error(key, expected, "no such key");

    private GgufException TypeError(string key, string expected, GgufValue value) => Error(
        key,
        expected,
        value.Type == GgufValueType.Array
            ? "an array with elements of type " + GgufValueTypes.Name(value.ElementType)
            : GgufValueTypes.Name(value.Type));

    private GgufValue? Find(string key, GgufValueType type, string expected)
    {
        if (!_values.TryGetValue(key, out var value))
        {
            return null;
        }

        return value.Type == type ? value : throw TypeError(key, expected, value);
    }

    private long? FindInteger(string key)
    {
        if (!_values.TryGetValue(key, out var value))
        {
            return null;
        }

        return ReadInteger(key, value.Type, value.Offset) ?? throw TypeError(key, "an integer", value);
    }

    private double? FindNumber(string key)
    {
        if (!_values.TryGetValue(key, out var value))
        {
            return null;
        }

        return ReadNumber(value.Type, value.Offset) ?? throw TypeError(key, "a number", value);
    }

    private long ReadIntegerElement(string key, GgufValue array, int index) =>
        ReadInteger(key, array.ElementType, ElementOffset(array, index)) ?? throw TypeError(key, "an array of integers", array);

    private long? ReadInteger(string key, GgufValueType type, int offset)
    {
        var bytes = _bytes.AsSpan(offset);
        switch (type)
        {
            case GgufValueType.UInt8:
                return bytes[0];
            case GgufValueType.Int8:
                return (sbyte)bytes[0];
            case GgufValueType.UInt16:
                return BinaryPrimitives.ReadUInt16LittleEndian(bytes);
            case GgufValueType.Int16:
                return BinaryPrimitives.ReadInt16LittleEndian(bytes);
            case GgufValueType.UInt32:
                return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            case GgufValueType.Int32:
                return BinaryPrimitives.ReadInt32LittleEndian(bytes);
            case GgufValueType.Int64:
                return BinaryPrimitives.ReadInt64LittleEndian(bytes);
            case GgufValueType.UInt64:
                var number = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
                return number <= long.MaxValue
                    ? (long)number
                    : throw Error(key, "an integer that fits in 63 bits", FormattableString.Invariant($"{number}"));
            default:
                return null;
        }
    }

    private double? ReadNumber(GgufValueType type, int offset) => type switch
    {
        GgufValueType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(_bytes.AsSpan(offset)),
        GgufValueType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(_bytes.AsSpan(offset)),
        GgufValueType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(_bytes.AsSpan(offset)),
        _ => ReadInteger("", type, offset),
    };

    private static int ElementOffset(GgufValue array, int index) => array.Offset + (index * GgufValueTypes.Size(array.ElementType));
}
