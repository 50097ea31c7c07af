using System.Buffers;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Byte-level BPE as GPT-2 has it: text is split into pre-tokens, and within each the pair of neighbours with the lowest rank is joined,
/// again and again.
/// </summary>
internal sealed class BytePairTokenizer : Tokenizer
{
    private readonly PreTokenizer _preTokenizer;
    private readonly BytePairVocabulary _vocabulary;
    private readonly PreTokenCache _cache = new();

    private BytePairTokenizer(Vocabulary vocabulary, BytePairVocabulary pairs, PreTokenizer preTokenizer, TokenFrame frame)
        : base(vocabulary, vocabulary.CreateSpecialTokens(null), frame)
    {
        _preTokenizer = preTokenizer;
        _vocabulary = pairs;
    }

    /// <inheritdoc cref="Tokenizer.Load"/>
    public static BytePairTokenizer Read(GgufMetadata metadata)
    {
        const string PreKey = "tokenizer.ggml.pre";
        var name = metadata.GetString(PreKey);
        var preTokenizer = PreTokenizer.Find(name)
            ?? throw metadata.Error(PreKey, "one of " + PreTokenizer.KnownNames, GgufErrors.Quote(name));
        var vocabulary = Vocabulary.Read(metadata, default);
        var frame = TokenFrame.Read(metadata, preTokenizer.AddsBeginOfSequence, addsEnd: false);
        return new BytePairTokenizer(vocabulary, BytePairVocabulary.Read(metadata, vocabulary), preTokenizer, frame);
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> GetBytes(int token) => _vocabulary.Bytes(token);

    private protected override void EncodeText(ReadOnlySpan<char> text, bool isAfterSpecial, List<int> tokens)
    {
        using var scanned = new ScannedText(text, _preTokenizer.HasMarksInWords);
        var limit = 0;
        for (int start = 0, end; start < scanned.Count; start = end)
        {
            end = _preTokenizer.NextEnd(scanned, start, ref limit);
            EncodePreToken(scanned.Bytes(start, end), tokens);
        }
    }

    private void EncodePreToken(ReadOnlySpan<byte> preToken, List<int> tokens)
    {
        var isCacheable = preToken.Length <= TokenizationLimits.CachedPreTokenBytesMax;
        var hash = isCacheable ? BytesTable.Hash(preToken) : 0;
        if (isCacheable && _cache.TryAppend(preToken, hash, tokens))
        {
            return;
        }

        var first = tokens.Count;
        if (_preTokenizer.IgnoresMerges && _vocabulary.Find(preToken) is >= 0 and var token)
        {
            tokens.Add(token);
        }
        else
        {
            AppendMerged(preToken, tokens);
        }

        if (isCacheable)
        {
            _cache.Set(preToken, hash, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(tokens)[first..]);
        }
    }

    private void AppendMerged(ReadOnlySpan<byte> preToken, List<int> tokens)
    {
        var rented = preToken.Length > TokenizationLimits.PlainMergeSymbolsMax ? ArrayPool<int>.Shared.Rent(preToken.Length) : null;
        var symbols = rented is null ? stackalloc int[TokenizationLimits.PlainMergeSymbolsMax] : rented.AsSpan();
        for (var i = 0; i < preToken.Length; i++)
        {
            symbols[i] = _vocabulary.ByteSymbols[preToken[i]];
        }

        foreach (var symbol in symbols[..BytePairMerger.Merge(symbols[..preToken.Length], _vocabulary.Merges)])
        {
            _vocabulary.Append(symbol, tokens);
        }

        if (rented is not null)
        {
            ArrayPool<int>.Shared.Return(rented);
        }
    }
}
