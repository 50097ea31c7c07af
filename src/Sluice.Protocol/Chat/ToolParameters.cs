using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>Validates <c>tools</c>, <c>tool_choice</c> and their older forms <c>functions</c> and <c>function_call</c>.</summary>
internal static class ToolParameters
{
    private const string NamePattern = "^[a-zA-Z0-9_-]+$";

    private static readonly JsonElement s_required = JsonElement.Parse("\"required\"");

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    public static JsonElement? ReadTools(ParameterReader parameters)
    {
        if (ReadArray(parameters, "tools", "an array of objects") is not { } tools) return null;
        for (var i = 0; i < tools.GetArrayLength() && parameters.Error is null; i++)
        {
            if (OpenObject(parameters, tools[i], $"tools[{i}]") is not { } tool) break;
            CheckTool(tool);
            parameters.Fail(tool.Error);
        }

        return tools;
    }

    public static JsonElement? ReadFunctions(ParameterReader parameters)
    {
        if (ReadArray(parameters, "functions", "an array of function definitions") is not { } functions) return null;
        for (var i = 0; i < functions.GetArrayLength() && parameters.Error is null; i++)
        {
            if (OpenObject(parameters, functions[i], $"functions[{i}]") is not { } function) break;
            CheckFunction(function);
            parameters.Fail(function.Error);
        }

        return functions;
    }

    /// <param name="parameters">The request.</param>
    /// <param name="tools">What <see cref="ReadTools"/> returned.</param>
    public static JsonElement? ReadToolChoice(ParameterReader parameters, JsonElement? tools)
    {
        if (parameters.Find("tool_choice") is not { } choice) return null;
        switch (choice.ValueKind)
        {
            case JsonValueKind.String:
                // Other servers call it so.
                if (choice.ValueEquals("any"u8))
                {
                    choice = s_required;
                    break;
                }

                _ = parameters.Choice("tool_choice", ["none", "auto", "required"]);
                break;
            case JsonValueKind.Object:
                var members = new ParameterReader(choice, "tool_choice");
                var names = ReadChosenNames(members);
                parameters.Fail(members.Error);
                if (tools is { } among && parameters.Error is null && names.FirstOrDefault(name => !HasName(among, name, isNested: true)) is { } unknown)
                {
                    parameters.Fail(ApiErrors.UnknownToolName("tool_choice", unknown, "tools"));
                }

                break;
            default:
                // "one of one of" is the API's own wording.
                parameters.Fail(ApiErrors.InvalidType(
                    "tool_choice", "one of one of 'none', 'auto', or 'required' or object", ApiErrors.Describe(choice)));
                break;
        }

        if (tools is null)
        {
            // A word that asks for no call means the same without tools.
            if (choice.ValueKind == JsonValueKind.String && (choice.ValueEquals("none"u8) || choice.ValueEquals("auto"u8))) return null;
            parameters.Fail(ApiErrors.OnlyAllowedWithTools("tool_choice", "tools"));
        }

        return choice;
    }

    /// <param name="parameters">The request.</param>
    /// <param name="functions">What <see cref="ReadFunctions"/> returned.</param>
    public static JsonElement? ReadFunctionCall(ParameterReader parameters, JsonElement? functions)
    {
        if (parameters.Find("function_call") is not { } call) return null;
        switch (call.ValueKind)
        {
            case JsonValueKind.String:
                _ = parameters.Choice("function_call", ["none", "auto"]);
                break;
            case JsonValueKind.Object:
                var members = new ParameterReader(call, "function_call");
                var name = members.RequireText("name");
                parameters.Fail(members.Error);
                if (name is not null && functions is { } among && !HasName(among, name, isNested: false))
                {
                    parameters.Fail(ApiErrors.UnknownToolName("function_call", name, "functions"));
                }

                break;
            default:
                parameters.Fail(ApiErrors.InvalidType(
                    "function_call", "one of one of 'none' or 'auto' or object", ApiErrors.Describe(call)));
                break;
        }

        if (functions is null)
        {
            if (call.ValueKind == JsonValueKind.String) return null;
            parameters.Fail(ApiErrors.OnlyAllowedWithTools("function_call", "functions"));
        }

        return call;
    }

    /// <summary>What a <c>tool_choice</c> of the type <c>allowed_tools</c> allows, with <c>mode</c> and <c>tools</c>; null where it is of another type.</summary>
    public static JsonElement? AllowedTools(JsonElement choice) =>
        choice.TryGetProperty("type"u8, out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("allowed_tools"u8) ? choice.GetProperty("allowed_tools"u8) : null;

    /// <summary>Checks the member <c>name</c>: there, 1 to 64 of a few characters.</summary>
    public static void CheckName(ParameterReader parameters)
    {
        if (parameters.RequireText("name", ProtocolLimits.NameLengthMax) is not { } name) return;
        var path = parameters.PathOf("name");
        if (name.Length == 0) parameters.Fail(ApiErrors.EmptyString(path));
        if (name.AsSpan().ContainsAnyExcept(NameCharacters)) parameters.Fail(ApiErrors.PatternMismatch(path, NamePattern));
    }

    /// <summary>A reader of the element, or null after noting that it is no object.</summary>
    public static ParameterReader? OpenObject(ParameterReader parameters, JsonElement element, string path)
    {
        if (element.ValueKind == JsonValueKind.Object) return new ParameterReader(element, path);
        parameters.Fail(ApiErrors.InvalidType(path, "an object", ApiErrors.Describe(element)));
        return null;
    }

    private static void CheckTool(ParameterReader tool)
    {
        if (tool.Find("type") is null) tool.Fail(ApiErrors.MissingParameter(tool.PathOf("type")));
        var type = tool.Choice("type", ["function", "custom"]);
        if (type is null || tool.Require(type, JsonValueKind.Object, "an object") is not { } definition) return;
        var members = new ParameterReader(definition, tool.PathOf(type));
        if (type == "function") CheckFunction(members);
        else CheckCustom(members);
        tool.Fail(members.Error);
    }

    private static void CheckFunction(ParameterReader function)
    {
        CheckName(function);
        _ = function.Text("description");
        _ = function.Find("parameters", JsonValueKind.Object, "an object");
        _ = function.Boolean("strict");
    }

    private static void CheckCustom(ParameterReader custom)
    {
        CheckName(custom);
        _ = custom.Text("description");
        if (custom.Find("format", JsonValueKind.Object, "an object") is not { } format) return;
        var members = new ParameterReader(format, custom.PathOf("format"));
        if (members.Find("type") is null) members.Fail(ApiErrors.MissingParameter(members.PathOf("type")));
        if (members.Choice("type", ["text", "grammar"]) == "grammar" && members.Require("grammar", JsonValueKind.Object, "an object") is { } grammar)
        {
            var rules = new ParameterReader(grammar, members.PathOf("grammar"));
            _ = rules.RequireText("definition");
            if (rules.Find("syntax") is null) rules.Fail(ApiErrors.MissingParameter(rules.PathOf("syntax")));
            _ = rules.Choice("syntax", ["lark", "regex"]);
            members.Fail(rules.Error);
        }

        custom.Fail(members.Error);
    }

    private static List<string> ReadChosenNames(ParameterReader choice)
    {
        var type = choice.RequireText("type");
        if (type == "allowed_tools") return ReadAllowedNames(choice);
        return ReadName(choice, type) is { } name ? [name] : [];
    }

    private static List<string> ReadAllowedNames(ParameterReader choice)
    {
        var names = new List<string>();
        if (choice.Require("allowed_tools", JsonValueKind.Object, "an object") is not { } allowed) return names;
        var members = new ParameterReader(allowed, choice.PathOf("allowed_tools"));
        if (members.Find("mode") is null) members.Fail(ApiErrors.MissingParameter(members.PathOf("mode")));
        _ = members.Choice("mode", ["auto", "required"]);
        var path = members.PathOf("tools");
        if (members.Require("tools", JsonValueKind.Array, "an array of objects") is { } tools)
        {
            if (tools.GetArrayLength() == 0) members.Fail(ApiErrors.EmptyArray(path));
            for (var i = 0; i < tools.GetArrayLength() && members.Error is null; i++)
            {
                if (OpenObject(members, tools[i], $"{path}[{i}]") is not { } tool) break;
                if (ReadName(tool, tool.RequireText("type")) is { } name) names.Add(name);
                members.Fail(tool.Error);
            }
        }

        choice.Fail(members.Error);
        return names;
    }

    // The API takes any other type for a function.
    private static string? ReadName(ParameterReader tool, string? type)
    {
        var kind = type == "custom" ? "custom" : "function";
        if (tool.Require(kind, JsonValueKind.Object, "an object") is not { } named) return null;
        var members = new ParameterReader(named, tool.PathOf(kind));
        var name = members.RequireText("name");
        tool.Fail(members.Error);
        return name;
    }

    private static JsonElement? ReadArray(ParameterReader parameters, string name, string expected)
    {
        if (parameters.Find(name, JsonValueKind.Array, expected) is not { } array) return null;
        var count = array.GetArrayLength();
        if (count == 0) return null;
        if (count > ProtocolLimits.ToolsMax) parameters.Fail(ApiErrors.ArrayTooLong(name, ProtocolLimits.ToolsMax, count));
        return array;
    }

    // Called only after every element has been validated, or after a fault, when the answer no longer counts.
    private static bool HasName(JsonElement array, string name, bool isNested)
    {
        foreach (var element in array.EnumerateArray())
        {
            var named = isNested ? element.GetProperty(element.GetProperty("type"u8).GetString()!) : element;
            if (named.GetProperty("name"u8).ValueEquals(name)) return true;
        }

        return false;
    }
}
