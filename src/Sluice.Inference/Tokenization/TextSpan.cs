namespace Sluice.Inference.Tokenization;

/// <summary>A range of UTF-16 units of a string.</summary>
/// <param name="Start">Index of the first unit.</param>
/// <param name="Length">Number of units.</param>
public readonly record struct TextSpan(int Start, int Length)
{
    /// <summary>Index one past the last unit.</summary>
    public int End => Start + Length;
}
