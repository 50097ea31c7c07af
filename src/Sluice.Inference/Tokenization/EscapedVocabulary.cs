using System.Globalization;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// A vocabulary as SentencePiece writes it: texts are UTF-8 in which spaces are U+2581, and bytes that are part of no token have tokens such as
/// <c>&lt;0x0A&gt;</c>.
/// </summary>
internal sealed class EscapedVocabulary
{
    private readonly Vocabulary _vocabulary;
    private readonly BytesTable _tokens;
    private readonly int[] _byteTokens = new int[0x100]; // -1 where there is none
    private readonly byte[] _bytes;
    private readonly int[] _ends;

    public EscapedVocabulary(Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
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

    /// <summary>What a space is written as.</summary>
    public static ReadOnlySpan<byte> Space => "\u2581"u8;

    /// <summary>The bytes that a token prints.</summary>
    public ReadOnlyMemory<byte> Bytes(int token) => _bytes.AsMemory((token == 0 ? 0 : _ends[token - 1]).._ends[token]);

    /// <summary>The token of a text, or -1; control tokens and bytes have none.</summary>
    public int Find(ReadOnlySpan<byte> text) => _tokens.Find(text);

    /// <summary>Appends the token of a text, or those of its bytes, or for a byte without one the unknown token.</summary>
    public void Append(ReadOnlySpan<byte> text, List<int> tokens)
    {
        if (_tokens.Find(text) is >= 0 and var token)
        {
            tokens.Add(token);
            return;
        }

        foreach (var b in text)
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
            var isSpace = piece.StartsWith(Space);
            bytes[count++] = isSpace ? (byte)' ' : piece[0];
            piece = piece[(isSpace ? Space.Length : 1)..];
        }

        return count;
    }
}
