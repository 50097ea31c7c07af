using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>Validates <c>tools</c>, <c>tool_choice</c> and their older forms <c>functions</c> and <c>function_call</c>.</summary>
internal static class ToolParameters
{
    private const string NamePattern = "^[a-zA-Z0-9_-]+$";

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
                _ = parameters.Choice("tool_choice", ["none", "auto", "required"]);
                break;
            case JsonValueKind.Object:
                var members = new ParameterReader(choice, "tool_choice");
                var name = ReadChosenName(members);
                parameters.Fail(members.Error);
                if (name is not null && tools is { } among && !HasName(among, name, isNested: true))
                {
                    parameters.Fail(ApiErrors.UnknownToolName("tool_choice", name, "tools"));
                }

                break;
            default:
                // "one of one of" is the API's own wording.
                parameters.Fail(ApiErrors.InvalidType(
                    "tool_choice", "one of one of 'none', 'auto', or 'required' or object", ApiErrors.Describe(choice)));
                break;
        }

        if (tools is null) parameters.Fail(ApiErrors.OnlyAllowedWithTools("tool_choice", "tools"));
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

        if (functions is null) parameters.Fail(ApiErrors.OnlyAllowedWithTools("function_call", "functions"));
        return call;
    }

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
        else CheckName(members);
        tool.Fail(members.Error);
    }

    private static void CheckFunction(ParameterReader function)
    {
        CheckName(function);
        _ = function.Text("description");
        _ = function.Find("parameters", JsonValueKind.Object, "an object");
        _ = function.Boolean("strict");
    }

    private static string? ReadChosenName(ParameterReader choice)
    {
        var type = choice.RequireText("type");
        if (type == "allowed_tools")
        {
            _ = choice.Require("allowed_tools", JsonValueKind.Object, "an object");
            return null;
        }

        // The API takes any other type for a function.
        var kind = type == "custom" ? "custom" : "function";
        if (choice.Require(kind, JsonValueKind.Object, "an object") is not { } named) return null;
        var members = new ParameterReader(named, choice.PathOf(kind));
        var name = members.RequireText("name");
        choice.Fail(members.Error);
        return name;
    }

    private static JsonElement? ReadArray(ParameterReader parameters, string name, string expected)
    {
        if (parameters.Find(name, JsonValueKind.Array, expected) is not { } array) return null;
        var count = array.GetArrayLength();
        if (count == 0) parameters.Fail(ApiErrors.EmptyArray(name));
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
