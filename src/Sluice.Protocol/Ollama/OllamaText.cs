using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>Prompts that reach the model as they are, without a template: <c>raw</c>, and the two sides of a gap in <c>suffix</c>.</summary>
internal static class OllamaText
{
    /// <summary>The request as one for a text completion; null where it is a conversation of one turn.</summary>
    public static ReadOnlyMemory<byte>? Find(ReadOnlyMemory<byte> body)
    {
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) return null;
        using (document)
        {
            var root = document.RootElement;
            var hasSuffix = root.TryGetProperty("suffix"u8, out var suffix) && suffix.ValueKind == JsonValueKind.String && !suffix.ValueEquals(""u8);
            var isRaw = root.TryGetProperty("raw"u8, out var raw) && raw.ValueKind == JsonValueKind.True;
            if (!hasSuffix && !isRaw) return null;
            var output = new ArrayBufferWriter<byte>(body.Length + 64);
            using (var writer = new Utf8JsonWriter(output))
            {
                writer.WriteStartObject();
                foreach (var name in (ReadOnlySpan<string>)["model", "prompt"])
                {
                    if (!root.TryGetProperty(name, out var value)) continue;
                    writer.WritePropertyName(name);
                    value.WriteTo(writer);
                }
                if (hasSuffix) writer.WriteString("suffix"u8, suffix.GetString());
                new OllamaOptions(root, isText: true).Write(writer);
                writer.WriteEndObject();
            }
            return output.WrittenMemory;
        }
    }
}
