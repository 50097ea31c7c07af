using System.Text.Json;

namespace Sluice.Protocol.Chat;

/// <summary>A tool as the local engine takes it.</summary>
/// <param name="Definition">An object with <c>name</c> and perhaps <c>description</c>; of a function perhaps <c>parameters</c> and <c>strict</c>, of a custom tool perhaps <c>format</c>.</param>
/// <param name="IsCustom">Whether its input is a text instead of JSON.</param>
public readonly record struct LocalTool(JsonElement Definition, bool IsCustom)
{
    /// <summary>What a call of it says.</summary>
    public string Name => Definition.GetProperty("name"u8).GetString()!;

    /// <summary>The regular expression that the input of a custom tool has to match; null where there is none.</summary>
    public string? Pattern => DefinitionIn("regex"u8);

    /// <summary>The Lark grammar that the input of a custom tool has to follow; null where there is none.</summary>
    public string? Lark => DefinitionIn("lark"u8);

    private string? DefinitionIn(ReadOnlySpan<byte> syntax) =>
        IsCustom && Definition.TryGetProperty("format"u8, out var format) && format.ValueKind == JsonValueKind.Object
        && format.TryGetProperty("grammar"u8, out var grammar) && grammar.GetProperty("syntax"u8).ValueEquals(syntax)
            ? grammar.GetProperty("definition"u8).GetString() : null;
}

/// <summary>What a request's tools and functions, in either form, mean for the local engine.</summary>
/// <param name="Tools">Those that may be called; at least one.</param>
/// <param name="IsRequired">Whether the answer has to call one.</param>
/// <param name="Required">The only one that may be called, and must be; null is any.</param>
public sealed record LocalTools(IReadOnlyList<LocalTool> Tools, bool IsRequired, string? Required)
{
    /// <summary>Null where the model is to know of no tool: there are none, or the choice is <c>none</c>.</summary>
    public static LocalTools? Find(ChatCompletionRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var choice = request.Tools is null ? request.FunctionCall : request.ToolChoice;
        LocalTool[] tools =
        [
            .. request.Tools?.EnumerateArray().Select(ToTool) ?? request.Functions?.EnumerateArray().Select(static function => new LocalTool(function, IsCustom: false)) ?? [],
        ];
        if (tools.Length == 0) return null;
        switch (choice)
        {
            case { ValueKind: JsonValueKind.String } word:
                return word.ValueEquals("none"u8) ? null : new LocalTools(tools, word.ValueEquals("required"u8), Required: null);
            case { ValueKind: JsonValueKind.Object } named when request.Tools is null:
                return new LocalTools(tools, IsRequired: false, named.GetProperty("name"u8).GetString());
            case { ValueKind: JsonValueKind.Object } some when ToolParameters.AllowedTools(some) is { } allowed:
                var names = allowed.GetProperty("tools"u8).EnumerateArray().Select(static tool => ToTool(tool).Name).ToHashSet();
                return new LocalTools([.. tools.Where(tool => names.Contains(tool.Name))], allowed.GetProperty("mode"u8).ValueEquals("required"u8), Required: null);
            case { ValueKind: JsonValueKind.Object } named:
                return new LocalTools(tools, IsRequired: false, named.GetProperty(named.TryGetProperty("function"u8, out _) ? "function"u8 : "custom"u8).GetProperty("name"u8).GetString());
            default:
                return new LocalTools(tools, IsRequired: false, Required: null);
        }
    }

    private static LocalTool ToTool(JsonElement tool) =>
        tool.TryGetProperty("function"u8, out var function) && function.ValueKind == JsonValueKind.Object
            ? new LocalTool(function, IsCustom: false)
            : new LocalTool(tool.GetProperty("custom"u8), IsCustom: true);
}
