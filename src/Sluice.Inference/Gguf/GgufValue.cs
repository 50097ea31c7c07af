namespace Sluice.Inference.Gguf;

/// <summary>Types of metadata values; the numbers are the file's.</summary>
internal enum GgufValueType : uint
{
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Boolean = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
}

/// <summary>A metadata value that has been found to lie inside the header.</summary>
/// <param name="Type">Type of the value.</param>
/// <param name="ElementType">Type of an array's elements.</param>
/// <param name="Offset">First byte of the value in the header: of a string's text, of an array's first element.</param>
/// <param name="Count">Bytes of a string, elements of an array.</param>
internal readonly record struct GgufValue(GgufValueType Type, GgufValueType ElementType, int Offset, int Count);

internal static class GgufValueTypes
{
    /// <summary>Bytes of a number or boolean; 0 for strings, arrays and unknown types.</summary>
    public static int Size(GgufValueType type) => type switch
    {
        GgufValueType.UInt8 or GgufValueType.Int8 or GgufValueType.Boolean => 1,
        GgufValueType.UInt16 or GgufValueType.Int16 => 2,
        GgufValueType.UInt32 or GgufValueType.Int32 or GgufValueType.Float32 => 4,
        GgufValueType.UInt64 or GgufValueType.Int64 or GgufValueType.Float64 => 8,
        _ => 0,
    };

    public static string Name(GgufValueType type) => type switch
    {
        GgufValueType.UInt8 => "u8",
        GgufValueType.Int8 => "i8",
        GgufValueType.UInt16 => "u16",
        GgufValueType.Int16 => "i16",
        GgufValueType.UInt32 => "u32",
        GgufValueType.Int32 => "i32",
        GgufValueType.Float32 => "f32",
        GgufValueType.Boolean => "a boolean",
        GgufValueType.String => "a string",
        GgufValueType.Array => "an array",
        GgufValueType.UInt64 => "u64",
        GgufValueType.Int64 => "i64",
        GgufValueType.Float64 => "f64",
        _ => "an unknown type",
    };
}
