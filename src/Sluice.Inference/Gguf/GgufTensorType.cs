namespace Sluice.Inference.Gguf;

/// <summary>How a tensor's numbers are stored; the values are the file's type ids.</summary>
public enum GgufTensorType : uint
{
    /// <summary>IEEE single.</summary>
    F32 = 0,

    /// <summary>IEEE half.</summary>
    F16 = 1,

    /// <summary>4 bits, a scale per 32.</summary>
    Q4_0 = 2,

    /// <summary>4 bits, a scale and a minimum per 32.</summary>
    Q4_1 = 3,

    /// <summary>5 bits, a scale per 32.</summary>
    Q5_0 = 6,

    /// <summary>5 bits, a scale and a minimum per 32.</summary>
    Q5_1 = 7,

    /// <summary>8 bits, a scale per 32.</summary>
    Q8_0 = 8,

    /// <summary>2 bits in super-blocks of 256 with 4-bit scales and minimums per 16.</summary>
    Q2_K = 10,

    /// <summary>3 bits in super-blocks of 256 with 6-bit scales per 16.</summary>
    Q3_K = 11,

    /// <summary>4 bits in super-blocks of 256 with 6-bit scales and minimums per 32.</summary>
    Q4_K = 12,

    /// <summary>5 bits in super-blocks of 256 with 6-bit scales and minimums per 32.</summary>
    Q5_K = 13,

    /// <summary>6 bits in super-blocks of 256 with 8-bit scales per 16.</summary>
    Q6_K = 14,

    /// <summary>2 bits in super-blocks of 256: vectors of 8 from a grid of 256, with signs, and 4-bit scales per 32.</summary>
    IQ2_XXS = 16,

    /// <summary>As <see cref="IQ2_XXS"/>, from a grid of 512, with scales per 16.</summary>
    IQ2_XS = 17,

    /// <summary>3 bits in super-blocks of 256: vectors of 4 from a grid of 256, with signs, and 4-bit scales per 32.</summary>
    IQ3_XXS = 18,

    /// <summary>As <see cref="IQ3_XXS"/>, from a grid of 512.</summary>
    IQ3_S = 21,

    /// <summary>As <see cref="IQ2_XS"/>, from a grid of 1024.</summary>
    IQ2_S = 22,

    /// <summary>4 bits that choose one of 16 values that are not evenly spaced, a scale per 32.</summary>
    IQ4_NL = 20,

    /// <summary>The values of <see cref="IQ4_NL"/> in super-blocks of 256 with 6-bit scales per 32.</summary>
    IQ4_XS = 23,

    /// <summary>The upper half of an IEEE single.</summary>
    BF16 = 30,

    /// <summary>4-bit floating point (E2M1), a power of two per 32.</summary>
    MXFP4 = 39,
}

/// <summary>Block sizes of <see cref="GgufTensorType"/>.</summary>
public static class GgufTensorTypes
{
    /// <summary>Names of the types that can be read, for messages.</summary>
    internal const string Supported = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS or MXFP4";

    /// <summary>Elements in one block: 1, 32 or 256; a row is a whole number of blocks.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The type is not one of the enumeration.</exception>
    public static int BlockElements(GgufTensorType type) => Block(type).Elements;

    /// <summary>Bytes of one block.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The type is not one of the enumeration.</exception>
    public static int BlockBytes(GgufTensorType type) => Block(type).Bytes;

    internal static bool IsSupported(GgufTensorType type) => Find(type).Elements != 0;

    /// <summary>The name that ggml gives a type id, also where the type cannot be read.</summary>
    internal static string Name(uint id) => id switch
    {
        _ when IsSupported((GgufTensorType)id) => ((GgufTensorType)id).ToString(),
        4 => "Q4_2",
        5 => "Q4_3",
        9 => "Q8_1",
        15 => "Q8_K",
        19 => "IQ1_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        40 => "NVFP4",
        41 => "Q1_0",
        _ => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"type {id}"),
    };

    private static (int Elements, int Bytes) Block(GgufTensorType type)
    {
        var block = Find(type);
        ArgumentOutOfRangeException.ThrowIfZero(block.Elements, nameof(type));
        return block;
    }

    private static (int Elements, int Bytes) Find(GgufTensorType type) => type switch
    {
        GgufTensorType.F32 => (1, 4),
        GgufTensorType.F16 => (1, 2),
        GgufTensorType.BF16 => (1, 2),
        GgufTensorType.Q4_0 => (32, 18),
        GgufTensorType.Q4_1 => (32, 20),
        GgufTensorType.Q5_0 => (32, 22),
        GgufTensorType.Q5_1 => (32, 24),
        GgufTensorType.Q8_0 => (32, 34),
        GgufTensorType.Q2_K => (256, 84),
        GgufTensorType.Q3_K => (256, 110),
        GgufTensorType.Q4_K => (256, 144),
        GgufTensorType.Q5_K => (256, 176),
        GgufTensorType.Q6_K => (256, 210),
        GgufTensorType.IQ2_XXS => (256, 66),
        GgufTensorType.IQ2_XS => (256, 74),
        GgufTensorType.IQ2_S => (256, 82),
        GgufTensorType.IQ3_XXS => (256, 98),
        GgufTensorType.IQ3_S => (256, 110),
        GgufTensorType.IQ4_NL => (32, 18),
        GgufTensorType.IQ4_XS => (256, 136),
        GgufTensorType.MXFP4 => (32, 17),
        _ => default,
    };
}
