using System.Buffers;
using System.Text.Json;
using Sluice.Inference.Prompting;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;

namespace Sluice.Server.Upstreams;

/// <summary>Tools whose input is a text, as models know them: functions whose only argument is that text.</summary>
internal static class CustomTools
{
    private const string Argument = CustomInputReader.Argument;

    /// <summary>
    /// The function that stands for a custom tool. Strict, so that a pattern which can't be followed is refused. A Lark grammar stands in its
    /// description, and is enforced where it can be.
    /// </summary>
    public static PromptTool ToFunction(LocalTool tool, GrammarCache grammars)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("name"u8, tool.Name);
            if (Describe(tool) is { } description) writer.WriteString("description"u8, description);
            writer.WriteStartObject("parameters"u8);
            writer.WriteString("type"u8, "object"u8);
            writer.WriteStartObject("properties"u8);
            writer.WriteStartObject(Argument);
            writer.WriteString("type"u8, "string"u8);
            // The whole input has to match.
            if (tool.Pattern is { } pattern) writer.WriteString("pattern"u8, IsAnchored(pattern) ? pattern : $"^(?:{pattern})$");
            writer.WriteEndObject();
            writer.WriteEndObject();
            writer.WriteStartArray("required"u8);
            writer.WriteStringValue(Argument);
            writer.WriteEndArray();
            writer.WriteBoolean("additionalProperties"u8, false);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
        return new PromptTool(tool.Name, JsonElement.Parse(buffer.WrittenSpan), IsStrict: true)
        {
            Arguments = tool.Lark is { } definition && grammars.FindLark(definition, Argument) is { } grammar ? new ArgumentsGrammar(definition, grammar) : null,
        };
    }

    private static string? Describe(LocalTool tool)
    {
        var text = tool.Definition.TryGetProperty("description"u8, out var description) && description.ValueKind == JsonValueKind.String ? description.GetString() : null;
        if (tool.Lark is not { } definition) return text;
        return (string.IsNullOrEmpty(text) ? "" : text + "\n\n") + $"'{Argument}' follows this Lark grammar:\n{definition}";
    }

    private static bool IsAnchored(string pattern) => pattern.StartsWith('^') && pattern.EndsWith('$') && !pattern.EndsWith("\\$", StringComparison.Ordinal) && !pattern.Contains('|', StringComparison.Ordinal);
}
