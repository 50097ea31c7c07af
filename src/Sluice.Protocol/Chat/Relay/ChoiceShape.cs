using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>Gives the choices of a frame their <c>delta</c>, where an upstream has a <c>message</c> or a <c>text</c> in its place.</summary>
internal static class ChoiceShape
{
    private static readonly byte[] s_deltaName = "\"delta\""u8.ToArray();

    /// <summary>Writes the frame anew where that is needed.</summary>
    /// <param name="json">A frame with choices.</param>
    /// <param name="mended">The frame with deltas.</param>
    /// <returns>False where the frame has its shape.</returns>
    /// <exception cref="JsonException">It is not well-formed.</exception>
    public static bool TryMend(ReadOnlySpan<byte> json, out byte[] mended)
    {
        mended = [];
        // Most frames don't even have the words.
        if (json.IndexOf("\"delta\""u8) >= 0 || (json.IndexOf("\"message\""u8) < 0 && json.IndexOf("\"text\""u8) < 0)) return false;
        var (root, elements, choice) = (new JsonObjectText(), new JsonArrayText(), new JsonObjectText());
        root.Read(json, 0);
        var choices = root.Find(json, "choices"u8);
        elements.Read(json, root.ValueStart(choices));
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(output, "["u8);
        for (var i = 0; i < elements.Count; i++)
        {
            if (i > 0) JsonText.WriteRaw(output, ","u8);
            choice.Read(json, elements[i].Start);
            var (message, text) = (choice.Find(json, "message"u8), choice.Find(json, "text"u8));
            choice.Drop(message);
            choice.Drop(text);
            if (choice.TypeOf(message) == JsonTokenType.StartObject) choice.Set(-1, s_deltaName, choice.Value(json, message).ToArray());
            else if (choice.TypeOf(text) == JsonTokenType.String) choice.Set(-1, s_deltaName, Content(choice.Value(json, text)));
            else if (choice.TypeOf(message) == JsonTokenType.String) choice.Set(-1, s_deltaName, Content(choice.Value(json, message)));
            choice.WriteTo(output, json);
        }
        JsonText.WriteRaw(output, "]"u8);
        root.Set(choices, default, output.WrittenMemory);
        var frame = new ArrayBufferWriter<byte>();
        root.WriteTo(frame, json);
        mended = frame.WrittenSpan.ToArray();
        return true;
    }

    private static byte[] Content(ReadOnlySpan<byte> text) => [.. "{\"content\":"u8, .. text, .. "}"u8];
}
