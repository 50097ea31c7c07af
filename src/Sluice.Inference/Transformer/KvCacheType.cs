namespace Sluice.Inference.Transformer;

/// <summary>In what the keys and values of a context are kept.</summary>
public enum KvCacheType
{
    /// <summary>Half precision: 16 bits a value.</summary>
    F16,

    /// <summary>Bytes with a scale for each 32 of them: 8.5 bits a value. Answers differ slightly from those with <see cref="F16"/>.</summary>
    Q8_0,
}
