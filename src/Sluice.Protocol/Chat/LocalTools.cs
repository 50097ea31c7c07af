using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>What a request's tools and functions, in either form, mean for the local engine.</summary>
/// <param name="Functions">Objects with <c>name</c> and perhaps <c>description</c>, <c>parameters</c> and <c>strict</c>; at least one.</param>
/// <param name="IsRequired">Whether the answer has to call one.</param>
/// <param name="Required">The only one that may be called, and must be; null is any.</param>
public sealed record LocalTools(IReadOnlyList<JsonElement> Functions, bool IsRequired, string? Required)
{
    /// <summary>Null where the model is to know of no tool: there are none, or the choice is <c>none</c>.</summary>
    public static LocalTools? Find(ChatCompletionRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var choice = request.Tools is null ? request.FunctionCall : request.ToolChoice;
        JsonElement[] functions =
        [
            .. request.Tools?.EnumerateArray().Select(tool => tool.GetProperty("function"u8)) ?? request.Functions?.EnumerateArray() ?? default,
        ];
        if (functions.Length == 0 || (choice is { ValueKind: JsonValueKind.String } mode && mode.ValueEquals("none"u8))) return null;
        var required = choice is { ValueKind: JsonValueKind.Object } named
            ? (request.Tools is null ? named : named.GetProperty("function"u8)).GetProperty("name"u8).GetString()
            : null;
        return new LocalTools(functions, choice is { ValueKind: JsonValueKind.String } word && word.ValueEquals("required"u8), required);
    }

    /// <summary>The 400 for what the local engine can't do with tools; null if there is nothing.</summary>
    internal static ApiError? FindRefusal(ChatCompletionRequest request)
    {
        var index = 0;
        if (request.Tools is { } tools)
        {
            foreach (var tool in tools.EnumerateArray())
            {
                if (!tool.GetProperty("type"u8).ValueEquals("function"u8)) return ApiErrors.NotYetLocal($"tools[{index}].type");
                index++;
            }
        }

        if (request.ToolChoice is { ValueKind: JsonValueKind.Object } choice && !choice.TryGetProperty("function"u8, out _))
        {
            return ApiErrors.NotYetLocal("tool_choice.type");
        }

        return request.ResponseSchema is not null && Find(request) is not null ? ApiErrors.NotYetLocal("response_format") : null;
    }
}
