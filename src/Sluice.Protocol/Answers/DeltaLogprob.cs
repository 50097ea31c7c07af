namespace Sluice.Protocol.Answers;

/// <summary>A token with its log probability.</summary>
/// <param name="Bytes">UTF-8 bytes of the token; may begin or end inside a code point.</param>
/// <param name="Logprob">Natural logarithm. Not a number, and anything below -9999, is written as -9999.0.</param>
/// <param name="Top">Most likely tokens at this position, best first; their own <see cref="Top"/> is not written.</param>
public readonly record struct DeltaLogprob(ReadOnlyMemory<byte> Bytes, float Logprob, IReadOnlyList<DeltaLogprob> Top)
{
    /// <summary>A token without alternatives.</summary>
    public DeltaLogprob(ReadOnlyMemory<byte> bytes, float logprob)
        : this(bytes, logprob, [])
    {
    }

    /// <summary>What a token is called that prints nothing; null for one that prints.</summary>
    public string? Name { get; init; }

    /// <summary>Whether nothing is before the token that would give it a probability: <see cref="Logprob"/> means nothing then.</summary>
    public bool IsFirst { get; init; }
}
