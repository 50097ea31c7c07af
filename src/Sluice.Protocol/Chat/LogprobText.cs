using System.Buffers;
using System.Buffers.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>Writes the elements of a <c>logprobs.content</c> array.</summary>
internal static class LogprobText
{
    // The API's number for "so unlikely that it is not computed".
    private const float LogprobMin = -9999;

    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<DeltaLogprob> tokens)
    {
        for (var i = 0; i < tokens.Length; i++)
        {
            if (i > 0) JsonText.WriteRaw(output, ","u8);
            WriteMembers(output, tokens[i]);
            JsonText.WriteRaw(output, ",\"top_logprobs\":["u8);
            var top = tokens[i].Top;
            for (var j = 0; j < top.Count; j++)
            {
                if (j > 0) JsonText.WriteRaw(output, ","u8);
                WriteMembers(output, top[j]);
                JsonText.WriteRaw(output, "}"u8);
            }

            JsonText.WriteRaw(output, "]}"u8);
        }
    }

    private static void WriteMembers(IBufferWriter<byte> output, in DeltaLogprob token)
    {
        JsonText.WriteRaw(output, "{\"token\":\""u8);
        JsonText.WriteEscaped(output, token.Bytes.Span);
        JsonText.WriteRaw(output, "\",\"logprob\":"u8);
        WriteLogprob(output, token.Logprob);
        JsonText.WriteRaw(output, ",\"bytes\":["u8);
        WriteBytes(output, token.Bytes.Span);
        JsonText.WriteRaw(output, "]"u8);
    }

    private static void WriteLogprob(IBufferWriter<byte> output, float value)
    {
        const int SingleBytesMax = 32;
        if (!(value > LogprobMin)) value = LogprobMin;
        value = Math.Min(value, float.MaxValue);
        if (value == 0) value = 0; // no "-0"

        var span = output.GetSpan(SingleBytesMax);
        Utf8Formatter.TryFormat(value, span, out var written);
        if (span[..written].IndexOfAny((byte)'.', (byte)'E') < 0)
        {
            ".0"u8.CopyTo(span[written..]);
            written += 2;
        }

        output.Advance(written);
    }

    private static void WriteBytes(IBufferWriter<byte> output, ReadOnlySpan<byte> bytes)
    {
        const int ByteWithCommaMax = 4;
        for (var i = 0; i < bytes.Length; i++)
        {
            var span = output.GetSpan(ByteWithCommaMax);
            var at = 0;
            if (i > 0) span[at++] = (byte)',';
            Utf8Formatter.TryFormat(bytes[i], span[at..], out var written);
            output.Advance(at + written);
        }
    }
}
