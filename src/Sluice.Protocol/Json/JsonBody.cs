using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Unicode;

namespace Sluice.Protocol.Json;

/// <summary>Parses a request body so that nothing in it can throw later.</summary>
public static class JsonBody
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

        if (FindUnpairedSurrogate(bytes.Span) < 0) return true;
        document.Dispose();
        document = JsonDocument.Parse(ReplaceUnpairedSurrogates(bytes.ToArray()), Options);
        return true;
    }

    // Some editors and terminals cut a character in two. What is left of it is no text, and becomes U+FFFD, as in JavaScript and Python.
    private static byte[] ReplaceUnpairedSurrogates(byte[] json)
    {
        for (int at = FindUnpairedSurrogate(json), from = 0; at >= 0;)
        {
            from += at;
            "\\ufffd"u8.CopyTo(json.AsSpan(from));
            at = FindUnpairedSurrogate(json.AsSpan(from));
        }

        return json;
    }

    /// <summary>Where an escape such as <c>\ud83d</c> stands without its other half; -1 if none does. Expects valid JSON.</summary>
    private static int FindUnpairedSurrogate(ReadOnlySpan<byte> json)
    {
        const int EscapeBytes = 6;
        for (var at = 0; ;)
        {
            // In valid JSON a backslash begins an escape, always inside a string.
            var next = json[at..].IndexOf((byte)'\\');
            if (next < 0) return -1;
            at += next;
            if (json[at + 1] != (byte)'u')
            {
                at += 2;
                continue;
            }

            var unit = (char)ReadHex(json.Slice(at + 2, EscapeBytes - 2));
            if (char.IsSurrogate(unit))
            {
                var rest = json[(at + EscapeBytes)..];
                if (char.IsLowSurrogate(unit) || !rest.StartsWith("\\u"u8)) return at;
                if (!char.IsLowSurrogate((char)ReadHex(rest[2..EscapeBytes]))) return at;
                at += EscapeBytes;
            }

            at += EscapeBytes;
        }
    }

    private static int ReadHex(ReadOnlySpan<byte> digits)
    {
        var value = 0;
        foreach (var digit in digits) value = (value << 4) | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        return value;
    }
}
