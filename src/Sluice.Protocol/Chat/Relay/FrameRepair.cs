using System.Buffers;
using System.Text.Unicode;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>Mends what would make a strict parser refuse a whole frame for one byte.</summary>
internal static class FrameRepair
{
    /// <summary>Replaces bytes that are not UTF-8 by U+FFFD, as every decoder of text does.</summary>
    public static byte[] ToUtf8(ReadOnlySpan<byte> data)
    {
        var output = new ArrayBufferWriter<byte>(data.Length + 16);
        while (!data.IsEmpty)
        {
            var status = System.Text.Rune.DecodeFromUtf8(data, out var rune, out var consumed);
            if (status == OperationStatus.Done) output.Write(data[..consumed]);
            else output.Write("\uFFFD"u8);
            data = data[consumed..];
        }
        return output.WrittenSpan.ToArray();
    }

    /// <summary>Escapes control characters inside of strings; null where there are none.</summary>
    public static byte[]? EscapeControls(ReadOnlySpan<byte> json)
    {
        var output = new ArrayBufferWriter<byte>(json.Length + 16);
        var (isInString, isEscaped, isChanged) = (false, false, false);
        foreach (var value in json)
        {
            if (isInString && value < 0x20)
            {
                output.Write(System.Text.Encoding.ASCII.GetBytes($"\\u{value:x4}"));
                (isEscaped, isChanged) = (false, true);
                continue;
            }
            if (isInString && !isEscaped && value == '\\')
            {
                isEscaped = true;
            }
            else
            {
                if (value == '"' && !isEscaped) isInString = !isInString;
                isEscaped = false;
            }
            output.Write([value]);
        }
        return isChanged ? output.WrittenSpan.ToArray() : null;
    }

    public static bool IsValid(ReadOnlySpan<byte> data) => Utf8.IsValid(data);
}
