namespace Sluice.Inference.Tokenization;

/// <summary>
/// Remembers the tokens of short pre-tokens, since words come again. A later one with the same hash takes the place of an earlier one, so
/// the size is bounded. Safe to use from any thread: entries never change and are put in place whole.
/// </summary>
internal sealed class PreTokenCache
{
    private readonly Entry?[] _entries = new Entry?[TokenizationLimits.CachedPreTokensMax];

    /// <summary>Appends the tokens of a remembered pre-token.</summary>
    /// <returns>Whether it was remembered.</returns>
    public bool TryAppend(ReadOnlySpan<byte> preToken, uint hash, List<int> tokens)
    {
        var entry = _entries[hash % TokenizationLimits.CachedPreTokensMax];
        if (entry is null || !preToken.SequenceEqual(entry.PreToken))
        {
            return false;
        }

        tokens.AddRange(entry.Tokens.AsSpan());
        return true;
    }

    public void Set(ReadOnlySpan<byte> preToken, uint hash, ReadOnlySpan<int> tokens) =>
        _entries[hash % TokenizationLimits.CachedPreTokensMax] = new Entry(preToken.ToArray(), tokens.ToArray());

    private sealed record Entry(byte[] PreToken, int[] Tokens);
}
