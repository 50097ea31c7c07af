namespace Sluice.Protocol.Chat;

/// <summary>A token with its log probability, as a chunk reports it.</summary>
/// <param name="Bytes">UTF-8 bytes of the token; may begin or end inside a code point.</param>
/// <param name="Logprob">Natural logarithm. Not a number, and anything below -9999, is written as -9999.0.</param>
/// <param name="Top">Most likely tokens at this position, best first; their own <see cref="Top"/> is not written.</param>
public readonly record struct ChunkTokenLogprob(ReadOnlyMemory<byte> Bytes, float Logprob, IReadOnlyList<ChunkTokenLogprob> Top)
{
    /// <summary>A token without alternatives.</summary>
    public ChunkTokenLogprob(ReadOnlyMemory<byte> bytes, float logprob)
        : this(bytes, logprob, [])
    {
    }
}
