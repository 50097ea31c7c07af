using System.Buffers;
using System.Globalization;
using System.Text;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// BPE as SentencePiece has it: spaces become U+2581, neighbours whose joint text is the token with the highest score are joined, again and
/// again, and characters that are no token fall apart into byte tokens.
/// </summary>
internal sealed class SentencePieceTokenizer : Tokenizer
{
    private static ReadOnlySpan<byte> EscapedSpace => "\u2581"u8;

    private readonly Vocabulary _vocabulary;
    private readonly BytesTable _tokens;
    private readonly int[] _byteTokens = new int[0x100]; // -1 where there is none
    private readonly uint[] _priorities; // by token; a higher score is a lower number
    private readonly byte[] _bytes;
    private readonly int[] _ends;
    private readonly bool _addsSpacePrefix;

    private SentencePieceTokenizer(
        Vocabulary vocabulary, SpecialTokens specials, float[] scores, bool addsBeginOfSequence, bool addsSpacePrefix)
        : base(vocabulary, specials, addsBeginOfSequence)
    {
        _vocabulary = vocabulary;
        _addsSpacePrefix = addsSpacePrefix;
        _priorities = Array.ConvertAll(scores, Priority);
        _tokens = new BytesTable(vocabulary.Count);
        _bytes = new byte[vocabulary.PieceBytes];
        _ends = new int[vocabulary.Count];
        Array.Fill(_byteTokens, -1);
        for (int token = 0, end = 0; token < vocabulary.Count; token++)
        {
            end += AddToken(token, vocabulary.Piece(token), _bytes.AsSpan(end));
            _ends[token] = end;
        }
    }

    /// <inheritdoc cref="Tokenizer.Load"/>
    public static SentencePieceTokenizer Read(GgufMetadata metadata)
    {
        const string ScoresKey = "tokenizer.ggml.scores";
        var vocabulary = Vocabulary.Read(metadata, (1, 2, 0));
        var scores = metadata.FindSingles(ScoresKey) ?? throw metadata.Error(ScoresKey, "an array of numbers", "no such key");
        if (scores.Length != vocabulary.Count)
        {
            throw metadata.Error(
                ScoresKey,
                FormattableString.Invariant($"one score for each of {vocabulary.Count} tokens"),
                FormattableString.Invariant($"{scores.Length}"));
        }

        return new SentencePieceTokenizer(
            vocabulary,
            vocabulary.CreateSpecialTokens(StripsRight(metadata)),
            scores,
            metadata.GetBoolean("tokenizer.ggml.add_bos_token", true),
            metadata.GetBoolean("tokenizer.ggml.add_space_prefix", true));
    }

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte> GetBytes(int token) => _bytes.AsMemory((token == 0 ? 0 : _ends[token - 1]).._ends[token]);

    private protected override void EncodeText(ReadOnlySpan<char> text, bool isAfterSpecial, List<int> tokens)
    {
        var rentedBytes = ArrayPool<byte>.Shared.Rent((text.Length + 1) * 3);
        var rentedStarts = ArrayPool<int>.Shared.Rent(text.Length + 2);
        var byteCount = 0;
        var count = 0;
        if (_addsSpacePrefix && isAfterSpecial)
        {
            AddCharacter(EscapedSpace);
        }

        Span<byte> utf8 = stackalloc byte[4];
        while (!text.IsEmpty)
        {
            Rune.DecodeFromUtf16(text, out var rune, out var length);
            AddCharacter(rune.Value == ' ' ? EscapedSpace : utf8[..rune.EncodeToUtf8(utf8)]);
            text = text[length..];
        }

        rentedStarts[count] = byteCount;
        Merge(rentedBytes.AsSpan(0, byteCount), rentedStarts.AsSpan(0, count + 1), tokens);
        ArrayPool<byte>.Shared.Return(rentedBytes);
        ArrayPool<int>.Shared.Return(rentedStarts);

        void AddCharacter(ReadOnlySpan<byte> character)
        {
            rentedStarts[count++] = byteCount;
            character.CopyTo(rentedBytes.AsSpan(byteCount));
            byteCount += character.Length;
        }
    }

    /// <summary>Phi-3 was trained with white space dropped after its special tokens; its files do not say so.</summary>
    private static Predicate<string>? StripsRight(GgufMetadata metadata)
    {
        var name = metadata.FindString("general.name") ?? "";
        return name.Contains("phi-3", StringComparison.OrdinalIgnoreCase) || name.Contains("phi3", StringComparison.OrdinalIgnoreCase)
            ? static text => text is not ("<unk>" or "<s>" or "<|endoftext|>")
            : null;
    }

    // Orders floats as numbers, high scores first; equal scores give equal numbers.
    private static uint Priority(float score)
    {
        var bits = BitConverter.SingleToUInt32Bits(score + 0f);
        return ~((bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000);
    }

    private static int ParseByte(ReadOnlySpan<byte> piece) =>
        piece.Length == 6 && piece.StartsWith("<0x"u8) && piece[5] == '>'
            && byte.TryParse(piece[3..5], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var b)
            ? b
            : -1;

    /// <summary>Writes what a token prints and enters it under its text, if text can become it.</summary>
    private int AddToken(int token, ReadOnlySpan<byte> piece, Span<byte> bytes)
    {
        switch (_vocabulary.Type(token))
        {
            case TokenType.Control or TokenType.Unknown:
                return 0;
            case TokenType.Byte when ParseByte(piece) is >= 0 and var b:
                _byteTokens[b] = token;
                bytes[0] = (byte)b;
                return 1;
            case TokenType.Unused:
                _tokens.Set(piece, token);
                return 0;
            case TokenType.UserDefined:
                _tokens.Set(piece, token);
                piece.CopyTo(bytes);
                return piece.Length;
            default:
                _tokens.Set(piece, token);
                return UnescapeSpaces(piece, bytes);
        }
    }

    private static int UnescapeSpaces(ReadOnlySpan<byte> piece, Span<byte> bytes)
    {
        var count = 0;
        while (!piece.IsEmpty)
        {
            var isSpace = piece.StartsWith(EscapedSpace);
            bytes[count++] = isSpace ? (byte)' ' : piece[0];
            piece = piece[(isSpace ? EscapedSpace.Length : 1)..];
        }

        return count;
    }

    /// <summary>Joins characters and appends the tokens, in O(n log n).</summary>
    /// <param name="utf8">The escaped text.</param>
    /// <param name="starts">First byte of each character, and at the end the text's length.</param>
    /// <param name="tokens">Receives the tokens.</param>
    private void Merge(ReadOnlySpan<byte> utf8, ReadOnlySpan<int> starts, List<int> tokens)
    {
        // Invariant: character i starts a symbol while ends[i] > i; the symbol reaches to character ends[i].
        var count = starts.Length - 1;
        var rented = ArrayPool<int>.Shared.Rent(count * 2);
        var ends = rented.AsSpan(0, count);
        var previous = rented.AsSpan(count, count);
        var queue = new PriorityQueue<(int Left, int End), ulong>(count); // priority in the upper half, position in the lower
        for (var i = 0; i < count; i++)
        {
            ends[i] = i + 1;
            previous[i] = i - 1;
        }

        for (var i = 0; i + 1 < count; i++)
        {
            Enqueue(queue, utf8, starts, i, i + 2);
        }

        while (queue.TryDequeue(out var pair, out _))
        {
            // Stale if one of the two symbols has been joined with another meanwhile.
            var right = ends[pair.Left];
            if (right == 0 || right >= count || ends[right] != pair.End)
            {
                continue;
            }

            ends[pair.Left] = pair.End;
            ends[right] = 0;
            if (pair.End < count)
            {
                previous[pair.End] = pair.Left;
                Enqueue(queue, utf8, starts, pair.Left, ends[pair.End]);
            }

            if (previous[pair.Left] is >= 0 and var before)
            {
                Enqueue(queue, utf8, starts, before, pair.End);
            }
        }

        for (var i = 0; i < count; i = ends[i])
        {
            AppendSymbol(utf8[starts[i]..starts[ends[i]]], tokens);
        }

        ArrayPool<int>.Shared.Return(rented);
    }

    private void Enqueue(
        PriorityQueue<(int Left, int End), ulong> queue, ReadOnlySpan<byte> utf8, ReadOnlySpan<int> starts, int left, int end)
    {
        if (_tokens.Find(utf8[starts[left]..starts[end]]) is >= 0 and var token)
        {
            queue.Enqueue((left, end), ((ulong)_priorities[token] << 32) | (uint)left);
        }
    }

    private void AppendSymbol(ReadOnlySpan<byte> symbol, List<int> tokens)
    {
        if (_tokens.Find(symbol) is >= 0 and var token)
        {
            tokens.Add(token);
            return;
        }

        foreach (var b in symbol)
        {
            var byteToken = _byteTokens[b] >= 0 ? _byteTokens[b] : _tokens.Find([b]);
            if (byteToken < 0)
            {
                byteToken = _vocabulary.UnknownToken ?? -1;
            }

            if (byteToken >= 0)
            {
                tokens.Add(byteToken);
            }
        }
    }
}
