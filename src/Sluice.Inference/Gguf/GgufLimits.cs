namespace Sluice.Inference.Gguf;

/// <summary>
/// Bounds on what a file may claim, far above every published model, so that a lying header costs little time and memory.
/// </summary>
internal static class GgufLimits
{
    /// <summary>Bytes of metadata and tensor descriptions together; the largest vocabularies take about 20 MiB.</summary>
    public const int HeaderBytesMax = 256 << 20;

    /// <summary>Metadata keys; real files have fewer than 100.</summary>
    public const ulong KeyCountMax = 65_536;

    /// <summary>Tensors; the largest published models have a few thousand.</summary>
    public const ulong TensorCountMax = 262_144;

    /// <summary>Bytes of a key, from the GGUF specification.</summary>
    public const int KeyBytesMax = 65_535;

    /// <summary>Bytes of a tensor name, from the GGUF specification.</summary>
    public const int TensorNameBytesMax = 64;

    /// <summary>Dimensions of a tensor, from the GGUF specification.</summary>
    public const uint DimensionCountMax = 4;

    /// <summary>Arrays inside arrays; llama.cpp writes none.</summary>
    public const int ArrayDepthMax = 4;

    /// <summary>Bytes between the starts of two tensors are a multiple of at most this.</summary>
    public const long AlignmentMax = 1 << 20;

    /// <summary>Files of one model; each is kept open.</summary>
    public const long ShardCountMax = 1_000;

    /// <summary>Characters of a name from the file that an error message repeats.</summary>
    public const int QuotedCharsMax = 100;
}
