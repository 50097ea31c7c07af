using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Sluice.Protocol.Json;

/// <summary>
/// Writes JSON strings as the API does: only the quotation mark, the backslash and control characters are escaped; everything else
/// is raw UTF-8. Nothing is allocated.
/// </summary>
internal static class JsonText
{
    /// <summary>Bytes that one byte of text becomes at most: a control character as \u00XX.</summary>
    public const int ExpansionMax = 6;

    // Bounds the buffer asked for at once, so that a long text does not grow the output to six times its size.
    private const int PieceBytes = 4096;

    // RFC 8259, section 7: "the characters that MUST be escaped: quotation mark, reverse solidus, and the control characters
    // (U+0000 through U+001F)".
    private static readonly SearchValues<byte> MustEscape = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(value => (byte)value), (byte)'"', (byte)'\\']);

    private static ReadOnlySpan<byte> HexDigits => "0123456789abcdef"u8;

    /// <summary>For readers: as deep as requests may be.</summary>
    public static JsonReaderOptions Reading { get; } = new() { MaxDepth = ProtocolLimits.JsonDepthMax };

    /// <summary>Copies <paramref name="value"/> as it is.</summary>
    public static void WriteRaw(IBufferWriter<byte> output, ReadOnlySpan<byte> value)
    {
        value.CopyTo(output.GetSpan(value.Length));
        output.Advance(value.Length);
    }

    /// <summary>Writes an integer.</summary>
    public static void WriteInteger(IBufferWriter<byte> output, long value)
    {
        const int Int64BytesMax = 20;
        Utf8Formatter.TryFormat(value, output.GetSpan(Int64BytesMax), out var written);
        output.Advance(written);
    }

    /// <summary>Writes a string with its quotation marks, or <c>null</c>. Unpaired surrogates become U+FFFD.</summary>
    public static void WriteStringOrNull(IBufferWriter<byte> output, string? value)
    {
        if (value is null)
        {
            WriteRaw(output, "null"u8);
            return;
        }

        WriteRaw(output, "\""u8);
        var rented = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(value.Length));
        try
        {
            WriteEscaped(output, rented.AsSpan(0, Encoding.UTF8.GetBytes(value, rented)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        WriteRaw(output, "\""u8);
    }

    /// <summary>Writes the inside of a string, without quotation marks. Ill-formed UTF-8 becomes U+FFFD.</summary>
    public static void WriteEscaped(IBufferWriter<byte> output, ReadOnlySpan<byte> utf8)
    {
        if (!Utf8.IsValid(utf8))
        {
            WriteReplaced(output, utf8);
            return;
        }

        while (!utf8.IsEmpty)
        {
            // Only ASCII is escaped, so a piece may end inside a code point.
            var piece = utf8[..Math.Min(utf8.Length, PieceBytes)];
            output.Advance(Escape(piece, output.GetSpan(piece.Length * ExpansionMax)));
            utf8 = utf8[piece.Length..];
        }
    }

    /// <summary>Escapes well-formed UTF-8 into <paramref name="destination"/>, which holds at least six times as many bytes.</summary>
    /// <returns>Bytes written.</returns>
    public static int Escape(ReadOnlySpan<byte> utf8, Span<byte> destination)
    {
        var written = 0;
        while (true)
        {
            var plain = utf8.IndexOfAny(MustEscape);
            if (plain < 0)
            {
                utf8.CopyTo(destination[written..]);
                return written + utf8.Length;
            }

            utf8[..plain].CopyTo(destination[written..]);
            written += plain;
            written += EscapeOne(utf8[plain], destination[written..]);
            utf8 = utf8[(plain + 1)..];
        }
    }

    private static int EscapeOne(byte value, Span<byte> destination)
    {
        destination[0] = (byte)'\\';
        var letter = value switch
        {
            (byte)'"' => (byte)'"',
            (byte)'\\' => (byte)'\\',
            (byte)'\b' => (byte)'b',
            (byte)'\f' => (byte)'f',
            (byte)'\n' => (byte)'n',
            (byte)'\r' => (byte)'r',
            (byte)'\t' => (byte)'t',
            _ => (byte)'u',
        };
        destination[1] = letter;
        if (letter != (byte)'u') return 2;

        destination[2] = (byte)'0';
        destination[3] = (byte)'0';
        destination[4] = HexDigits[value >> 4];
        destination[5] = HexDigits[value & 0xF];
        return 6;
    }

    private static void WriteReplaced(IBufferWriter<byte> output, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            // A maximal ill-formed subsequence becomes one U+FFFD, which is what Rune reports.
            Rune.DecodeFromUtf8(bytes, out var rune, out var consumed);
            var span = output.GetSpan(ExpansionMax);
            output.Advance(rune.IsAscii ? Escape([(byte)rune.Value], span) : rune.EncodeToUtf8(span));
            bytes = bytes[consumed..];
        }
    }
}
