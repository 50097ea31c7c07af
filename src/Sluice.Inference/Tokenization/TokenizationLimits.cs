namespace Sluice.Inference.Tokenization;

/// <summary>Bounds on what a file's tokenizer may ask for, and on what is kept between calls.</summary>
internal static class TokenizationLimits
{
    /// <summary>Tokens of a vocabulary; the largest published ones have about 260,000.</summary>
    public const int VocabularySizeMax = 4 << 20;

    /// <summary>Merges of a vocabulary; the largest published ones have about 500,000.</summary>
    public const int MergeCountMax = 8 << 20;

    /// <summary>Pre-tokens whose tokens are remembered; about 1 MiB when full.</summary>
    public const int CachedPreTokensMax = 8192;

    /// <summary>Bytes of a pre-token that is remembered; longer ones seldom come again.</summary>
    public const int CachedPreTokenBytesMax = 48;

    /// <summary>Symbols up to which a plain search for the best merge beats a heap.</summary>
    public const int PlainMergeSymbolsMax = 32;
}
