using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Unicode;

namespace Sluice.Protocol.Json;

/// <summary>Parses a request body so that nothing in it can throw later.</summary>
internal static class JsonBody
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = ProtocolLimits.JsonDepthMax };

    /// <summary>
    /// Takes exactly one JSON text in well-formed UTF-8, nested at most <see cref="ProtocolLimits.JsonDepthMax"/> deep. A byte order
    /// mark is skipped, for some .NET clients write one. Of a key that is there twice the last one counts.
    /// </summary>
    /// <param name="body">May be reused only after <paramref name="document"/> is disposed.</param>
    /// <param name="document">The caller disposes it. Every string in it can be read.</param>
    public static bool TryParse(ReadOnlySequence<byte> body, [NotNullWhen(true)] out JsonDocument? document)
    {
        document = null;
        var bytes = body.IsSingleSegment ? body.First : body.ToArray();
        if (bytes.Span.StartsWith("\uFEFF"u8)) bytes = bytes["\uFEFF"u8.Length..];

        // The parser leaves strings alone until they are read, and then throws.
        if (!Utf8.IsValid(bytes.Span)) return false;
        try
        {
            document = JsonDocument.Parse(bytes, Options);
        }
        catch (JsonException)
        {
            return false;
        }

        if (!HasUnpairedSurrogate(bytes.Span)) return true;
        document.Dispose();
        document = null;
        return false;
    }

    /// <summary>Whether an escape such as <c>\ud83d</c> stands without its other half, which is no text. Expects valid JSON.</summary>
    private static bool HasUnpairedSurrogate(ReadOnlySpan<byte> json)
    {
        const int EscapeBytes = 6;
        while (true)
        {
            // In valid JSON a backslash begins an escape, always inside a string.
            var at = json.IndexOf((byte)'\\');
            if (at < 0) return false;
            json = json[at..];
            if (json[1] != (byte)'u')
            {
                json = json[2..];
                continue;
            }

            var unit = (char)ReadHex(json[2..EscapeBytes]);
            json = json[EscapeBytes..];
            if (!char.IsSurrogate(unit)) continue;
            if (char.IsLowSurrogate(unit) || !json.StartsWith("\\u"u8)) return true;
            if (!char.IsLowSurrogate((char)ReadHex(json[2..EscapeBytes]))) return true;
            json = json[EscapeBytes..];
        }
    }

    private static int ReadHex(ReadOnlySpan<byte> digits)
    {
        var value = 0;
        foreach (var digit in digits) value = (value << 4) | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        return value;
    }
}
