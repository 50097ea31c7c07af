using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Completions;

/// <summary>
/// Writes the <c>logprobs</c> object of a text completion: four arrays side by side, with one element for each token. A token that is not
/// text by itself is written as the API does it: <c>bytes:\xe2\x80</c>.
/// </summary>
internal static class CompletionLogprobs
{
    /// <summary>Writes the object.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="tokens">At least none.</param>
    /// <param name="start">Characters of the text before the tokens.</param>
    /// <param name="end">Characters of the text up to the end of the last token.</param>
    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<DeltaLogprob> tokens, long start, long end)
    {
        JsonText.WriteRaw(output, "{\"tokens\":["u8);
        for (var i = 0; i < tokens.Length; i++)
        {
            Separate(output, i);
            WriteName(output, tokens[i]);
        }

        JsonText.WriteRaw(output, "],\"token_logprobs\":["u8);
        for (var i = 0; i < tokens.Length; i++)
        {
            Separate(output, i);
            if (tokens[i].IsFirst) JsonText.WriteRaw(output, "null"u8);
            else LogprobText.WriteLogprob(output, tokens[i].Logprob);
        }

        JsonText.WriteRaw(output, "],\"top_logprobs\":["u8);
        for (var i = 0; i < tokens.Length; i++)
        {
            Separate(output, i);
            if (tokens[i].IsFirst) JsonText.WriteRaw(output, "null"u8);
            else WriteTop(output, tokens[i]);
        }

        JsonText.WriteRaw(output, "],\"text_offset\":["u8);
        var at = start;
        for (var i = 0; i < tokens.Length; i++)
        {
            Separate(output, i);
            var bytes = tokens[i].Bytes.Span;
            // A token that begins inside a character is where that one is.
            var isInside = bytes is [var head, ..] && IsContinuation(head);
            JsonText.WriteInteger(output, long.Clamp(isInside ? at - 1 : at, start, end));
            foreach (var value in bytes) at += IsContinuation(value) ? 0 : 1;
        }

        JsonText.WriteRaw(output, "]}"u8);
    }

    /// <summary>Characters of a text, counted as Python does; what is ill-formed counts as what is written for it.</summary>
    public static long CountCharacters(ReadOnlySpan<byte> utf8)
    {
        long count = 0;
        for (; !utf8.IsEmpty; count++)
        {
            Rune.DecodeFromUtf8(utf8, out _, out var consumed);
            utf8 = utf8[consumed..];
        }

        return count;
    }

    // Two tokens of the same text would be one member twice: the more likely one stays. The token itself is there even if it is none of the
    // most likely ones.
    private static void WriteTop(IBufferWriter<byte> output, in DeltaLogprob token)
    {
        JsonText.WriteRaw(output, "{"u8);
        var count = token.Top.Count;
        var isFirst = true;
        for (var i = 0; i <= count; i++)
        {
            var entry = i < count ? token.Top[i] : token;
            var isKnown = false;
            for (var j = 0; j < i && !isKnown; j++) isKnown = IsSame(token.Top[j], entry);
            if (isKnown) continue;
            if (!isFirst) JsonText.WriteRaw(output, ","u8);
            isFirst = false;
            WriteName(output, entry);
            JsonText.WriteRaw(output, ":"u8);
            LogprobText.WriteLogprob(output, entry.Logprob);
        }

        JsonText.WriteRaw(output, "}"u8);
    }

    private static bool IsSame(in DeltaLogprob one, in DeltaLogprob other) =>
        (one.Name, other.Name) switch
        {
            (null, null) => one.Bytes.Span.SequenceEqual(other.Bytes.Span),
            ({ } name, { } otherName) => name == otherName,
            ({ } name, null) => Encoding.UTF8.GetBytes(name).AsSpan().SequenceEqual(other.Bytes.Span),
            (null, { } name) => Encoding.UTF8.GetBytes(name).AsSpan().SequenceEqual(one.Bytes.Span),
        };

    private static void WriteName(IBufferWriter<byte> output, in DeltaLogprob token)
    {
        var bytes = token.Bytes.Span;
        if (token.Name is not null)
        {
            JsonText.WriteStringOrNull(output, token.Name);
        }
        else if (Utf8.IsValid(bytes))
        {
            JsonText.WriteRaw(output, "\""u8);
            JsonText.WriteEscaped(output, bytes);
            JsonText.WriteRaw(output, "\""u8);
        }
        else
        {
            var name = new StringBuilder("bytes:");
            foreach (var value in bytes) name.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
            JsonText.WriteStringOrNull(output, name.ToString());
        }
    }

    private static void Separate(IBufferWriter<byte> output, int index)
    {
        if (index > 0) JsonText.WriteRaw(output, ","u8);
    }

    private static bool IsContinuation(byte value) => (value & 0xC0) == 0x80;
}
