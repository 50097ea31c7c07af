using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>Reads the lines that <see cref="OllamaDeltaWriter"/> has written.</summary>
internal static class OllamaLine
{
    // Only the last line has this, and in a text its quotation marks are escaped.
    public static bool IsEnd(ReadOnlySpan<byte> line) => line.IndexOf("\"done\":true,\"done_reason\""u8) >= 0;

    public static JsonDocument Parse(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line, JsonText.Reading);
        return JsonDocument.ParseValue(ref reader);
    }

    public static bool HasCalls(JsonElement line) => CallsOf(line).ValueKind == JsonValueKind.Array;

    /// <summary>Calls of a line; undefined where it has none.</summary>
    public static JsonElement CallsOf(JsonElement line)
    {
        if (line.TryGetProperty("tool_calls"u8, out var calls)) return calls;
        return line.TryGetProperty("message"u8, out var message) && message.TryGetProperty("tool_calls"u8, out calls) ? calls : default;
    }

    public static string? TextOf(JsonElement line, bool isGenerate) =>
        isGenerate ? Find(line, "response"u8) : line.TryGetProperty("message"u8, out var message) ? Find(message, "content"u8) : null;

    public static string? ThinkingOf(JsonElement line, bool isGenerate) =>
        isGenerate ? Find(line, "thinking"u8) : line.TryGetProperty("message"u8, out var message) ? Find(message, "thinking"u8) : null;

    private static string? Find(JsonElement element, ReadOnlySpan<byte> name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? JsonStrings.Read(value) : null;
}
