using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// What byte-level BPE needs of a file: the bytes of each token, and the merges over symbols. A symbol is a token, or, from the
/// vocabulary's size on, a byte string that merging passes through but that is no token.
/// </summary>
internal sealed class BytePairVocabulary
{
    private const string MergesKey = "tokenizer.ggml.merges";
    private readonly Vocabulary _vocabulary;
    private readonly byte[] _bytes;
    private readonly int[] _ends;
    private readonly BytesTable _symbols;
    private readonly List<byte[]> _extraSymbols = [];
    private readonly int[] _byteSymbols = new int[0x100];
    private MergeTable _merges = new(0);

    private BytePairVocabulary(Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _bytes = new byte[vocabulary.PieceBytes];
        _ends = new int[vocabulary.Count];
        _symbols = new BytesTable(vocabulary.Count);
        for (int token = 0, end = 0; token < vocabulary.Count; token++)
        {
            end += AddToken(token, vocabulary.Piece(token), _bytes.AsSpan(end));
            _ends[token] = end;
        }

        for (var b = 0; b < _byteSymbols.Length; b++)
        {
            _byteSymbols[b] = FindOrAddSymbol([(byte)b]);
        }
    }

    public MergeTable Merges => _merges;

    /// <summary>Symbols of the 256 bytes.</summary>
    public ReadOnlySpan<int> ByteSymbols => _byteSymbols;

    /// <exception cref="GgufException">Merges are missing or malformed.</exception>
    public static BytePairVocabulary Read(GgufMetadata metadata, Vocabulary vocabulary)
    {
        var merges = metadata.FindUtf8Strings(MergesKey) ?? throw metadata.Error(MergesKey, "an array of strings", "no such key");
        if (merges.Count > TokenizationLimits.MergeCountMax)
        {
            throw metadata.Error(
                MergesKey,
                FormattableString.Invariant($"at most {TokenizationLimits.MergeCountMax} merges"),
                FormattableString.Invariant($"{merges.Count}"));
        }

        var pairs = new BytePairVocabulary(vocabulary) { _merges = new MergeTable(merges.Count) };
        pairs.AddMerges(metadata, merges);
        return pairs;
    }

    /// <summary>The bytes that a token prints.</summary>
    public ReadOnlyMemory<byte> Bytes(int token) => _bytes.AsMemory((token == 0 ? 0 : _ends[token - 1]).._ends[token]);

    /// <summary>The symbol of a byte string, or -1.</summary>
    public int Find(ReadOnlySpan<byte> bytes) => _symbols.Find(bytes) is var symbol && symbol < _vocabulary.Count ? symbol : -1;

    /// <summary>
    /// Appends a symbol's token. One that is no token falls apart into its bytes, and a byte that is no token either into the unknown
    /// token.
    /// </summary>
    public void Append(int symbol, List<int> tokens)
    {
        if (symbol < _vocabulary.Count)
        {
            tokens.Add(symbol);
            return;
        }

        foreach (var b in _extraSymbols[symbol - _vocabulary.Count])
        {
            // Some files give the end of a text as the unknown token; a byte must not end one.
            var token = _byteSymbols[b] < _vocabulary.Count ? _byteSymbols[b] : _vocabulary.UnknownToken;
            if (token is { } known && !_vocabulary.IsEndOfGeneration(known))
            {
                tokens.Add(known);
            }
        }
    }

    /// <summary>Writes what a token prints and enters it under that, if text can become it.</summary>
    private int AddToken(int token, ReadOnlySpan<byte> piece, Span<byte> bytes)
    {
        switch (_vocabulary.Type(token))
        {
            case TokenType.Control or TokenType.Unknown or TokenType.Unused:
                return 0;
            case TokenType.UserDefined:
                piece.CopyTo(bytes);
                return piece.Length;
            default:
                var count = ByteAlphabet.Decode(piece, bytes, out var isPure);
                if (isPure && count > 0)
                {
                    _symbols.Set(bytes[..count], token);
                }

                return count;
        }
    }

    private void AddMerges(GgufMetadata metadata, GgufStringArray merges)
    {
        var buffer = new byte[256];
        var rank = 0;
        foreach (var merge in merges)
        {
            var space = merge.Length > 1 ? merge[1..].IndexOf((byte)' ') + 1 : 0;
            if (space == 0 || space == merge.Length - 1)
            {
                throw metadata.Error(
                    MergesKey,
                    "two texts separated by a space",
                    FormattableString.Invariant($"{GgufErrors.Quote(Encoding.UTF8.GetString(merge))} as merge {rank}"));
            }

            if (buffer.Length < merge.Length)
            {
                buffer = new byte[merge.Length * 2];
            }

            var leftCount = ByteAlphabet.Decode(merge[..space], buffer, out var isLeftPure);
            var count = leftCount + ByteAlphabet.Decode(merge[(space + 1)..], buffer.AsSpan(leftCount), out var isRightPure);
            if (isLeftPure && isRightPure)
            {
                var left = FindOrAddSymbol(buffer.AsSpan(0, leftCount));
                var right = FindOrAddSymbol(buffer.AsSpan(leftCount..count));
                _merges.Add(left, right, rank, FindOrAddSymbol(buffer.AsSpan(0, count)));
            }

            rank++;
        }
    }

    private int FindOrAddSymbol(ReadOnlySpan<byte> bytes)
    {
        var symbol = _symbols.Find(bytes);
        if (symbol < 0)
        {
            symbol = _vocabulary.Count + _extraSymbols.Count;
            _extraSymbols.Add(bytes.ToArray());
            _symbols.Set(bytes, symbol);
        }

        return symbol;
    }
}
