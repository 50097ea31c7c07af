using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>Writes <c>tools</c> and <c>tool_choice</c> as the Responses API has them: what chat nests is flat there.</summary>
internal static class FlatTools
{
    /// <param name="writer">Stands in the body.</param>
    /// <param name="tools">Validated.</param>
    /// <param name="choice">Validated; null leaves it to the model.</param>
    /// <returns>A 400 for what can't be said; null otherwise.</returns>
    public static ApiError? Write(Utf8JsonWriter writer, JsonElement tools, JsonElement? choice)
    {
        writer.WriteStartArray("tools"u8);
        foreach (var tool in tools.EnumerateArray())
        {
            if (tool.GetProperty("type"u8).ValueEquals("custom"u8)) WriteCustom(writer, tool.GetProperty("custom"u8));
            else WriteFunction(writer, tool.GetProperty("function"u8));
        }
        writer.WriteEndArray();
        if (choice is not { } chosen) return null;
        writer.WritePropertyName("tool_choice"u8);
        if (chosen.ValueKind == JsonValueKind.String)
        {
            chosen.WriteTo(writer);
            return null;
        }
        if (ToolParameters.AllowedTools(chosen) is { } allowed)
        {
            writer.WriteStartObject();
            writer.WriteString("type"u8, "allowed_tools"u8);
            Copy(writer, allowed, "mode"u8);
            writer.WriteStartArray("tools"u8);
            foreach (var tool in allowed.GetProperty("tools"u8).EnumerateArray())
            {
                if (!TryWriteNamed(writer, tool)) return Refuse();
            }
            writer.WriteEndArray();
            writer.WriteEndObject();
            return null;
        }
        return TryWriteNamed(writer, chosen) ? null : Refuse();
    }

    private static ApiError Refuse() => ApiErrors.ValueNotInMessages("tool_choice", "use 'none', 'auto', 'required' or one tool");

    private static bool TryWriteNamed(Utf8JsonWriter writer, JsonElement named)
    {
        var isCustom = named.TryGet("custom"u8, JsonValueKind.Object, out var tool);
        if (!isCustom && !named.TryGet("function"u8, JsonValueKind.Object, out tool)) return false;
        writer.WriteStartObject();
        writer.WriteString("type"u8, isCustom ? "custom"u8 : "function"u8);
        Copy(writer, tool, "name"u8);
        writer.WriteEndObject();
        return true;
    }

    private static void WriteFunction(Utf8JsonWriter writer, JsonElement function)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "function"u8);
        Copy(writer, function, "name"u8);
        if (function.TryGet("description"u8, JsonValueKind.String, out _)) Copy(writer, function, "description"u8);
        if (function.TryGet("parameters"u8, JsonValueKind.Object, out _))
        {
            Copy(writer, function, "parameters"u8);
        }
        else
        {
            writer.WriteStartObject("parameters"u8);
            writer.WriteString("type"u8, "object"u8);
            writer.WriteStartObject("properties"u8);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
        // Without it, chat takes a function for not strict, and this API for strict.
        writer.WriteBoolean("strict"u8, function.TryGet("strict"u8, JsonValueKind.True, out _));
        writer.WriteEndObject();
    }

    private static void WriteCustom(Utf8JsonWriter writer, JsonElement custom)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "custom"u8);
        Copy(writer, custom, "name"u8);
        if (custom.TryGet("description"u8, JsonValueKind.String, out _)) Copy(writer, custom, "description"u8);
        if (custom.TryGet("format"u8, JsonValueKind.Object, out var format))
        {
            writer.WriteStartObject("format"u8);
            Copy(writer, format, "type"u8);
            if (format.TryGet("grammar"u8, JsonValueKind.Object, out var grammar))
            {
                Copy(writer, grammar, "syntax"u8);
                Copy(writer, grammar, "definition"u8);
            }
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
    }

    private static void Copy(Utf8JsonWriter writer, JsonElement from, ReadOnlySpan<byte> name)
    {
        writer.WritePropertyName(name);
        from.GetProperty(name).WriteTo(writer);
    }
}
