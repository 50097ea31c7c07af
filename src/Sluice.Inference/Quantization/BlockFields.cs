namespace Sluice.Inference.Quantization;

/// <summary>
/// A quantised block taken apart, with the file's own numbers: x = (d · s) · v, or x = (d · s) · code + m. d is a half or a power of two, s one
/// of the integers of <see cref="Scales"/> in super-blocks and 1 in others, and v what <see cref="BlockShape.Value"/> makes of the code.
/// </summary>
internal unsafe struct BlockFields
{
    /// <summary>Most values of a block of any type: the super-block of the K types.</summary>
    public const int BlockLengthMax = 256;

    /// <summary>The sign of a half.</summary>
    public const ushort HalfSign = 0x8000;

    /// <summary>One code for each value: 32, or 256 in super-blocks.</summary>
    public fixed byte Codes[BlockLengthMax];

    /// <summary>In super-blocks, one for each <see cref="BlockShape.ScaleLength"/> values.</summary>
    public fixed sbyte Scales[16];

    /// <summary>In super-blocks with minima, as many: m = -(dmin · integer).</summary>
    public fixed byte Minima[16];

    /// <summary>The bits of d; with MXFP4 its exponent.</summary>
    public ushort Scale;

    /// <summary>The bits of m, or of dmin in super-blocks; 0 without minima.</summary>
    public ushort Minimum;

    /// <summary>2^(exponent - 128), with all exponents of a byte: the scale of MXFP4, whose values are counted in halves.</summary>
    public static float PowerOfTwo(int exponent) => BitConverter.Int32BitsToSingle(Math.Max((exponent - 1) << 23, (exponent + 1) << 21));
}

/// <summary>How the fields of a type's blocks make values.</summary>
internal readonly struct BlockShape
{
    private static readonly sbyte[] s_nonLinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
    private static readonly sbyte[] s_miniFloat = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    private static readonly sbyte[] s_twoBitGrid = [8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43, 0, 0, 0, 0, 0];
    private static readonly sbyte[] s_threeBitGrid = [4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62];
    private static readonly sbyte[] s_oddGrid = [1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15];

    private readonly sbyte[]? _table;
    private readonly int _zero;

    private BlockShape(int zero, bool isSuperBlock = false, int scaleLength = 32, bool hasMinima = false, sbyte[]? table = null, float unit = 1) =>
        (_zero, IsSuperBlock, ScaleLength, HasMinima, _table, Unit) = (zero, isSuperBlock, scaleLength, hasMinima, table, unit);

    /// <summary>Whether blocks have 256 values and an integer for each <see cref="ScaleLength"/>.</summary>
    public bool IsSuperBlock { get; }

    /// <summary>16 or 32.</summary>
    public int ScaleLength { get; }

    public bool HasMinima { get; }

    /// <summary>What one of <see cref="BlockFields.Scales"/> counts for: a power of two.</summary>
    public float Unit { get; }

    /// <summary>The 16 values of IQ4_NL, ascending.</summary>
    public static ReadOnlySpan<sbyte> NonLinear => s_nonLinear;

    /// <summary>The 16 values of MXFP4 in halves, by code.</summary>
    public static ReadOnlySpan<sbyte> MiniFloat => s_miniFloat;

    /// <exception cref="ArgumentOutOfRangeException">The type is not quantised.</exception>
    public static BlockShape Of(Gguf.GgufTensorType type) => type switch
    {
        Gguf.GgufTensorType.Q4_0 => new BlockShape(8),
        Gguf.GgufTensorType.Q4_1 or Gguf.GgufTensorType.Q5_1 => new BlockShape(0, hasMinima: true),
        Gguf.GgufTensorType.Q5_0 => new BlockShape(16),
        Gguf.GgufTensorType.Q8_0 => new BlockShape(128),
        Gguf.GgufTensorType.Q2_K => new BlockShape(0, isSuperBlock: true, scaleLength: 16, hasMinima: true),
        Gguf.GgufTensorType.Q3_K => new BlockShape(4, isSuperBlock: true, scaleLength: 16),
        Gguf.GgufTensorType.Q4_K or Gguf.GgufTensorType.Q5_K => new BlockShape(0, isSuperBlock: true, hasMinima: true),
        Gguf.GgufTensorType.Q6_K => new BlockShape(32, isSuperBlock: true, scaleLength: 16),
        Gguf.GgufTensorType.IQ4_NL => new BlockShape(0, table: s_nonLinear),
        Gguf.GgufTensorType.IQ4_XS => new BlockShape(0, isSuperBlock: true, table: s_nonLinear),
        Gguf.GgufTensorType.IQ2_XXS => new BlockShape(0, isSuperBlock: true, table: s_twoBitGrid, unit: 1 / 8f),
        Gguf.GgufTensorType.IQ2_XS or Gguf.GgufTensorType.IQ2_S => new BlockShape(0, isSuperBlock: true, scaleLength: 16, table: s_twoBitGrid, unit: 1 / 8f),
        Gguf.GgufTensorType.IQ3_XXS => new BlockShape(0, isSuperBlock: true, table: s_threeBitGrid, unit: 1 / 4f),
        Gguf.GgufTensorType.IQ3_S => new BlockShape(0, isSuperBlock: true, table: s_oddGrid),
        Gguf.GgufTensorType.MXFP4 => new BlockShape(0, table: s_miniFloat),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Not a quantized type."),
    };

    /// <summary>The number that a code stands for.</summary>
    public int Value(int code) => _table is null ? code - _zero : _table[code];
}
