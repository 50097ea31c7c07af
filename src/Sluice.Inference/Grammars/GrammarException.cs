namespace Sluice.Inference.Grammars;

/// <summary>A grammar that can't be made: what it asks for isn't supported, is too large, or can never be written.</summary>
/// <param name="path">Where in the schema, as member names and indexes from its root; empty at the root and outside of schemas.</param>
/// <param name="reason">What is wrong there, as the end of a sentence.</param>
public sealed class GrammarException(IReadOnlyList<string> path, string reason) : Exception(reason)
{
    /// <summary>Member names and indexes from the root of the schema.</summary>
    public IReadOnlyList<string> Path { get; } = path;

    internal GrammarException(string reason) : this([], reason)
    {
    }
}
