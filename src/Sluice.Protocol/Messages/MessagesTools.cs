using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>Writes <c>tools</c> and <c>tool_choice</c> as the Messages API has them.</summary>
internal static class MessagesTools
{
    /// <param name="writer">Stands in the body.</param>
    /// <param name="tools">Validated.</param>
    /// <param name="choice">Validated; null leaves it to the model.</param>
    /// <param name="allowsParallelCalls">Whether an answer may have several calls.</param>
    /// <returns>A 400 for what can't be said; null otherwise.</returns>
    public static ApiError? Write(Utf8JsonWriter writer, JsonElement tools, JsonElement? choice, bool allowsParallelCalls)
    {
        writer.WriteStartArray("tools"u8);
        var allowed = choice is { ValueKind: JsonValueKind.Object } some ? ToolParameters.AllowedTools(some) : null;
        foreach (var tool in tools.EnumerateArray())
        {
            var isCustom = tool.GetProperty("type"u8).ValueEquals("custom"u8);
            var definition = tool.GetProperty(isCustom ? "custom"u8 : "function"u8);
            if (allowed is not null && !IsAllowed(allowed.Value, definition)) continue;
            if (isCustom) WriteCustomTool(writer, definition);
            else WriteTool(writer, tool, definition);
        }
        writer.WriteEndArray();
        return WriteChoice(writer, choice, allowsParallelCalls);
    }

    private static bool IsAllowed(JsonElement allowed, JsonElement definition) => allowed.GetProperty("tools"u8).EnumerateArray().Any(
        tool => FindDefinition(tool) is { } named && named.GetProperty("name"u8).ValueEquals(definition.GetProperty("name"u8).GetString()));

    private static JsonElement? FindDefinition(JsonElement tool) =>
        tool.TryGet("function"u8, JsonValueKind.Object, out var function) || tool.TryGet("custom"u8, JsonValueKind.Object, out function) ? function : null;

    // The API has functions only. Nothing makes the model keep to a grammar, but it can read one.
    private static void WriteCustomTool(Utf8JsonWriter writer, JsonElement definition)
    {
        writer.WriteStartObject();
        Copy(writer, definition, "name"u8);
        var description = definition.TryGet("description"u8, JsonValueKind.String, out var text) ? text.GetString()! : "";
        if (definition.TryGet("format"u8, JsonValueKind.Object, out var format) && format.TryGet("grammar"u8, JsonValueKind.Object, out var grammar))
        {
            if (description.Length > 0) description += "\n\n";
            var syntax = grammar.GetProperty("syntax"u8).GetString();
            description += $"The input must match this {syntax} grammar:\n{grammar.GetProperty("definition"u8).GetString()}";
        }
        if (description.Length > 0) writer.WriteString("description"u8, description);
        writer.WriteStartObject("input_schema"u8);
        writer.WriteString("type"u8, "object"u8);
        writer.WriteStartObject("properties"u8);
        writer.WriteStartObject(CustomInputReader.Argument);
        writer.WriteString("type"u8, "string"u8);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteStartArray("required"u8);
        writer.WriteStringValue(CustomInputReader.Argument);
        writer.WriteEndArray();
        writer.WriteBoolean("additionalProperties"u8, false);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteTool(Utf8JsonWriter writer, JsonElement tool, JsonElement function)
    {
        writer.WriteStartObject();
        Copy(writer, function, "name"u8);
        if (function.TryGet("description"u8, JsonValueKind.String, out var description) && !description.ValueEquals(""u8))
            Copy(writer, function, "description"u8);
        writer.WritePropertyName("input_schema"u8);
        WriteSchema(writer, function);
        if (function.TryGet("strict"u8, JsonValueKind.True, out _)) writer.WriteBoolean("strict"u8, true);
        if (tool.TryGet("cache_control"u8, JsonValueKind.Object, out _)) Copy(writer, tool, "cache_control"u8);
        writer.WriteEndObject();
    }

    // A schema there needs a type, which is always an object's.
    private static void WriteSchema(Utf8JsonWriter writer, JsonElement function)
    {
        writer.WriteStartObject();
        if (function.TryGet("parameters"u8, JsonValueKind.Object, out var parameters))
        {
            if (!parameters.TryGetProperty("type"u8, out _)) writer.WriteString("type"u8, "object"u8);
            foreach (var member in parameters.EnumerateObject()) member.WriteTo(writer);
        }
        else
        {
            writer.WriteString("type"u8, "object"u8);
            writer.WriteStartObject("properties"u8);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
    }

    private static ApiError? WriteChoice(Utf8JsonWriter writer, JsonElement? choice, bool allowsParallelCalls)
    {
        string? type = null, name = null;
        switch (choice)
        {
            case { ValueKind: JsonValueKind.String } word:
                type = word.ValueEquals("required"u8) ? "any" : word.GetString();
                break;
            case { ValueKind: JsonValueKind.Object } named when FindDefinition(named) is { } definition:
                (type, name) = ("tool", definition.GetProperty("name"u8).GetString());
                break;
            case { } some when ToolParameters.AllowedTools(some) is { } allowed:
                type = allowed.GetProperty("mode"u8).ValueEquals("required"u8) ? "any" : "auto";
                break;
            case not null:
                return ApiErrors.ValueNotInMessages("tool_choice", "use 'none', 'auto', 'required' or one tool");
        }
        // Whoever may not call anything calls nothing twice.
        var isSerial = !allowsParallelCalls && type != "none";
        if (isSerial) type ??= "auto";
        if (type is null) return null;
        writer.WriteStartObject("tool_choice"u8);
        writer.WriteString("type"u8, type);
        if (name is not null) writer.WriteString("name"u8, name);
        if (isSerial) writer.WriteBoolean("disable_parallel_tool_use"u8, true);
        writer.WriteEndObject();
        return null;
    }

    private static void Copy(Utf8JsonWriter writer, JsonElement from, ReadOnlySpan<byte> name)
    {
        writer.WritePropertyName(name);
        from.GetProperty(name).WriteTo(writer);
    }
}
