using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat;

/// <summary>Writes and reads the elements of a <c>logprobs.content</c> array.</summary>
internal static class LogprobText
{
    // The API's number for "so unlikely that it is not computed".
    private const float LogprobMin = -9999;

    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<DeltaLogprob> tokens, bool hasBytes = true)
    {
        for (var i = 0; i < tokens.Length; i++)
        {
            if (i > 0) JsonText.WriteRaw(output, ","u8);
            WriteMembers(output, tokens[i], hasBytes);
            JsonText.WriteRaw(output, ",\"top_logprobs\":["u8);
            var top = tokens[i].Top;
            for (var j = 0; j < top.Count; j++)
            {
                if (j > 0) JsonText.WriteRaw(output, ","u8);
                WriteMembers(output, top[j], hasBytes);
                JsonText.WriteRaw(output, "}"u8);
            }

            JsonText.WriteRaw(output, "]}"u8);
        }
    }

    /// <summary>Reads one element; what it leaves out is empty.</summary>
    public static DeltaLogprob Read(JsonElement token)
    {
        var top = new List<DeltaLogprob>();
        if (token.TryGet("top_logprobs"u8, JsonValueKind.Array, out var others))
        {
            foreach (var other in others.EnumerateArray()) top.Add(new DeltaLogprob(ReadBytes(other), ReadLogprob(other)));
        }
        return new DeltaLogprob(ReadBytes(token), ReadLogprob(token), top);
    }

    private static ReadOnlyMemory<byte> ReadBytes(JsonElement token)
    {
        if (token.TryGet("bytes"u8, JsonValueKind.Array, out var bytes))
        {
            var read = new List<byte>();
            foreach (var value in bytes.EnumerateArray())
            {
                if (value.ValueKind == JsonValueKind.Number && value.TryGetByte(out var single)) read.Add(single);
            }
            return read.ToArray();
        }
        return token.TryGet("token"u8, JsonValueKind.String, out var text) ? Encoding.UTF8.GetBytes(text.GetString()!) : default;
    }

    private static float ReadLogprob(JsonElement token) =>
        token.TryGet("logprob"u8, JsonValueKind.Number, out var value) && value.TryGetSingle(out var logprob) ? logprob : LogprobMin;

    private static void WriteMembers(IBufferWriter<byte> output, in DeltaLogprob token, bool hasBytes)
    {
        JsonText.WriteRaw(output, "{\"token\":\""u8);
        JsonText.WriteEscaped(output, token.Bytes.Span);
        JsonText.WriteRaw(output, "\",\"logprob\":"u8);
        WriteLogprob(output, token.Logprob);
        if (!hasBytes) return;
        JsonText.WriteRaw(output, ",\"bytes\":["u8);
        WriteBytes(output, token.Bytes.Span);
        JsonText.WriteRaw(output, "]"u8);
    }

    /// <summary>Writes a log probability as a number that has a fraction.</summary>
    public static void WriteLogprob(IBufferWriter<byte> output, float value)
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
