using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>Writes <c>tools</c> and <c>tool_choice</c> of a request of the Messages API in the neutral form.</summary>
/// <remarks>
/// Tools that Anthropic's servers run are left out, because agents send them unasked; a request that needs one is refused. Tools whose schema
/// only Anthropic's models know are refused, because another model could only guess it.
/// </remarks>
internal static class MessagesNeutralTools
{
    // There are a dozen; whoever sends more learns of the first ones.
    private const int IgnoredMax = 64;

    private static readonly string[] s_clientTools = ["bash_", "text_editor_", "memory_", "computer_", "browser_toolset_"];

    public static void Write(Utf8JsonWriter writer, ParameterReader parameters)
    {
        var (tools, isLeftOut) = Read(parameters);
        var choice = parameters.Find("tool_choice", JsonValueKind.Object, "an object") is { } given ? new ParameterReader(given, "tool_choice") : null;
        if (choice is not null && choice.Find("type") is null) choice.Fail(ApiErrors.MissingParameter("tool_choice.type"));
        var type = choice?.Choice("type", ["auto", "any", "tool", "none"]);
        var name = type == "tool" ? choice!.RequireText("name") : null;
        var isSerial = choice?.Boolean("disable_parallel_tool_use") == true;
        parameters.Fail(choice?.Error);
        if (parameters.Error is not null) return;
        if (name is not null && !tools.Exists(tool => tool.Name == name))
        {
            var hint = isLeftOut ? ": tools that Anthropic's servers run can't be called with this model" : "";
            parameters.Fail(MessagesTurns.Invalid("tool_choice.name", $"tool_choice.name: Tool '{ApiErrors.Elide(name)}' not found in provided tools{hint}"));
        }
        if (type == "any" && tools.Count == 0)
            parameters.Fail(MessagesTurns.Invalid("tool_choice", "tool_choice: 'any' needs a tool that this model can call; add one to 'tools'"));
        if (parameters.Error is not null || tools.Count == 0) return;
        writer.WriteStartArray("tools"u8);
        foreach (var tool in tools) WriteTool(writer, tool);
        writer.WriteEndArray();
        WriteChoice(writer, type, name);
        if (isSerial && type != "none") writer.WriteBoolean("parallel_tool_calls"u8, false);
    }

    /// <summary>Types of the tools of a request that another model is not told of, each once.</summary>
    /// <param name="body">A request that has been accepted, or nothing.</param>
    public static IReadOnlyList<string> FindIgnored(ReadOnlySpan<byte> body)
    {
        if (body.StartsWith("\uFEFF"u8)) body = body["\uFEFF"u8.Length..];
        if (body.IndexOf("\"tools\""u8) < 0) return [];
        var (item, tools, types) = (new JsonObjectText(), new JsonArrayText(), new List<string>());
        item.Read(body, 0);
        var member = item.Find(body, "tools"u8);
        if (item.TypeOf(member) != JsonTokenType.StartArray) return [];
        tools.Read(body, item.ValueStart(member));
        for (var i = 0; i < tools.Count && types.Count < IgnoredMax; i++)
        {
            if (tools[i].Type != JsonTokenType.StartObject) continue;
            item.Read(body, tools[i].Start);
            if (item.Text(body, item.Find(body, "type"u8)) is { } type and not "custom" && !types.Contains(type)) types.Add(type);
        }
        return types;
    }

    private readonly record struct Tool(string Name, string? Description, JsonElement? Schema, bool IsStrict);

    private static (List<Tool> Tools, bool IsLeftOut) Read(ParameterReader parameters)
    {
        var (tools, isLeftOut) = (new List<Tool>(), false);
        if (parameters.Find("tools", JsonValueKind.Array, "an array of objects") is not { } array) return (tools, false);
        var count = array.GetArrayLength();
        for (var i = 0; i < count && parameters.Error is null; i++)
        {
            if (ToolParameters.OpenObject(parameters, array[i], MessagesTurns.PathOf("tools", i)) is not { } tool) break;
            if (tool.Text("type") is { } type and not "custom")
            {
                if (Array.Exists(s_clientTools, prefix => type.StartsWith(prefix, StringComparison.Ordinal)))
                    tool.Fail(ApiErrors.ValueNotInMessages(tool.PathOf("type"), "only Anthropic's models know this tool; describe it with 'input_schema'"));
                isLeftOut = true;
            }
            else if (tool.RequireText("name") is { } name)
            {
                var schema = tool.Find("input_schema", JsonValueKind.Object, "an object");
                tools.Add(new Tool(name, tool.Text("description"), schema, tool.Boolean("strict") == true));
            }
            parameters.Fail(tool.Error);
        }
        if (tools.Count > ProtocolLimits.ToolsMax) parameters.Fail(ApiErrors.ArrayTooLong("tools", ProtocolLimits.ToolsMax, tools.Count));
        return (tools, isLeftOut);
    }

    private static void WriteTool(Utf8JsonWriter writer, Tool tool)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "function"u8);
        writer.WriteStartObject("function"u8);
        writer.WriteString("name"u8, tool.Name);
        if (tool.Description is { Length: > 0 } description) writer.WriteString("description"u8, description);
        writer.WritePropertyName("parameters"u8);
        if (tool.Schema is { } schema) schema.WriteTo(writer);
        else writer.WriteRawValue("{\"type\":\"object\",\"properties\":{}}"u8);
        if (tool.IsStrict) writer.WriteBoolean("strict"u8, true);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteChoice(Utf8JsonWriter writer, string? type, string? name)
    {
        switch (type)
        {
            case "tool":
                writer.WriteStartObject("tool_choice"u8);
                writer.WriteString("type"u8, "function"u8);
                writer.WriteStartObject("function"u8);
                writer.WriteString("name"u8, name);
                writer.WriteEndObject();
                writer.WriteEndObject();
                break;
            case not null:
                writer.WriteString("tool_choice"u8, type == "any" ? "required" : type);
                break;
        }
    }
}
