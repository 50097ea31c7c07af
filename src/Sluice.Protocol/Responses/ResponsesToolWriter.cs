using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses;

/// <summary>Writes the tools of a Responses request, and the choice among them, as chat has them.</summary>
internal static class ResponsesToolWriter
{
    /// <summary>Writes <c>tools</c>, <c>tool_choice</c> and <c>parallel_tool_calls</c>.</summary>
    /// <returns>A 400 for a choice that can't be made; null otherwise.</returns>
    public static ApiError? Write(Utf8JsonWriter writer, JsonElement root, ResponsesTools tools, NeutralForm form)
    {
        var (mode, only, fault) = ReadChoice(root, tools);
        if (fault is not null) return fault;
        var offered = tools.All.Where(tool => only is null || only.Contains(tool.FlatName)).ToList();
        if (offered.Count == 0)
        {
            return mode == "required" ? ApiErrors.ValueNotInResponses("tool_choice", "it requires a tool, and the hub can run none of those that are there") : null;
        }
        writer.WriteStartArray("tools"u8);
        foreach (var (name, tool) in offered) WriteTool(writer, name, tool, form);
        writer.WriteEndArray();
        if (only is { Count: 1 } && mode == "named") WriteNamed(writer, offered[0].FlatName, offered[0].Tool, form);
        else if (mode is not null and not "named") writer.WriteString("tool_choice"u8, mode);
        if (root.TryGet("parallel_tool_calls"u8, JsonValueKind.False, out _)) writer.WriteBoolean("parallel_tool_calls"u8, false);
        return null;
    }

    private static (string? Mode, HashSet<string>? Only, ApiError? Fault) ReadChoice(JsonElement root, ResponsesTools tools)
    {
        if (!root.TryGetProperty("tool_choice"u8, out var choice) || choice.ValueKind == JsonValueKind.Null) return default;
        if (choice.ValueKind == JsonValueKind.String)
        {
            var word = choice.GetString();
            return word is "auto" or "none" or "required" ? (word, null, null) : (null, null, Unsupported(word));
        }
        if (!choice.TryGet("type"u8, JsonValueKind.String, out var type)) return (null, null, ApiErrors.MissingParameter("tool_choice.type"));
        if (type.ValueEquals("allowed_tools"u8))
        {
            var mode = choice.TryGet("mode"u8, JsonValueKind.String, out var asked) ? asked.GetString() : "auto";
            var allowed = new HashSet<string>(StringComparer.Ordinal);
            if (choice.TryGet("tools"u8, JsonValueKind.Array, out var list))
            {
                foreach (var tool in list.EnumerateArray())
                {
                    if (FlatNameOf(tool) is { } name) allowed.Add(name);
                }
            }
            return (mode, allowed, null);
        }
        var named = type.ValueEquals("tool_search"u8) ? ResponsesTools.SearchName : FlatNameOf(choice);
        if (named is not null && tools.Find(named) is not null) return ("named", [named], null);
        return (null, null, Unsupported(named ?? type.GetString()));
    }

    private static string? FlatNameOf(JsonElement tool)
    {
        if (!tool.TryGet("name"u8, JsonValueKind.String, out var name)) return null;
        var space = tool.TryGet("namespace"u8, JsonValueKind.String, out var member) ? member.GetString() : null;
        return ResponsesTools.Flatten(space, name.GetString()!);
    }

    private static ApiError Unsupported(string? what) =>
        ApiErrors.ValueNotInResponses("tool_choice", $"'{ApiErrors.Elide(what ?? "")}' is not one of the tools that the hub can offer");

    private static void WriteNamed(Utf8JsonWriter writer, string name, ResponsesTool tool, NeutralForm form)
    {
        var type = tool.Kind == ResponsesToolKind.Custom && form.KeepsCustomTools ? "custom"u8 : "function"u8;
        writer.WriteStartObject("tool_choice"u8);
        writer.WriteString("type"u8, type);
        writer.WriteStartObject(type);
        writer.WriteString("name"u8, name);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteTool(Utf8JsonWriter writer, string name, ResponsesTool tool, NeutralForm form)
    {
        writer.WriteStartObject();
        if (tool.Kind != ResponsesToolKind.Custom)
        {
            WriteFunction(writer, name, tool.Definition);
        }
        else if (form.KeepsCustomTools)
        {
            writer.WriteString("type"u8, "custom"u8);
            writer.WriteStartObject("custom"u8);
            writer.WriteString("name"u8, name);
            Copy(writer, tool.Definition, "description"u8);
            WriteFormat(writer, tool.Definition);
            writer.WriteEndObject();
        }
        else
        {
            WriteInputFunction(writer, name, tool.Definition);
        }
        writer.WriteEndObject();
    }

    private static void WriteFunction(Utf8JsonWriter writer, string name, JsonElement definition)
    {
        writer.WriteString("type"u8, "function"u8);
        writer.WriteStartObject("function"u8);
        writer.WriteString("name"u8, name);
        Copy(writer, definition, "description"u8);
        if (definition.TryGet("parameters"u8, JsonValueKind.Object, out _)) Copy(writer, definition, "parameters"u8);
        if (definition.TryGet("strict"u8, JsonValueKind.True, out _)) writer.WriteBoolean("strict"u8, true);
        writer.WriteEndObject();
    }

    // What others have in place of a tool that takes text. They can't be held to its grammar, so the model is told.
    private static void WriteInputFunction(Utf8JsonWriter writer, string name, JsonElement definition)
    {
        writer.WriteString("type"u8, "function"u8);
        writer.WriteStartObject("function"u8);
        writer.WriteString("name"u8, name);
        var description = definition.TryGet("description"u8, JsonValueKind.String, out var text) ? text.GetString()! : "";
        if (definition.TryGet("format"u8, JsonValueKind.Object, out var format) && format.TryGet("definition"u8, JsonValueKind.String, out var grammar))
        {
            var syntax = format.TryGet("syntax"u8, JsonValueKind.String, out var named) ? named.GetString() : "";
            description = $"{description}\n\nThe input must match this {syntax} grammar:\n{grammar.GetString()}".TrimStart();
        }
        if (description.Length > 0) writer.WriteString("description"u8, description);
        writer.WritePropertyName("parameters"u8);
        writer.WriteRawValue(
            "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"],\"additionalProperties\":false}"u8,
            skipInputValidation: true);
        writer.WriteEndObject();
    }

    private static void WriteFormat(Utf8JsonWriter writer, JsonElement definition)
    {
        if (!definition.TryGet("format"u8, JsonValueKind.Object, out var format) || !format.TryGet("type"u8, JsonValueKind.String, out var type)) return;
        writer.WriteStartObject("format"u8);
        writer.WritePropertyName("type"u8);
        type.WriteTo(writer);
        if (type.ValueEquals("grammar"u8))
        {
            writer.WriteStartObject("grammar"u8);
            Copy(writer, format, "syntax"u8);
            Copy(writer, format, "definition"u8);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
    }

    private static void Copy(Utf8JsonWriter writer, JsonElement from, ReadOnlySpan<byte> name)
    {
        if (!from.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return;
        writer.WritePropertyName(name);
        value.WriteTo(writer);
    }
}
