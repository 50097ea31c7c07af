using System.Globalization;
using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;

namespace Sluice.Server.Upstreams;

/// <summary>The API's messages and tools as the engine's.</summary>
internal static class PromptMessages
{
    /// <summary>The conversation; the older function calls become tool calls.</summary>
    public static IReadOnlyList<PromptMessage> From(IReadOnlyList<ChatMessage> messages)
    {
        var converted = new List<PromptMessage>(messages.Count);
        var names = new Dictionary<string, string>();
        var functionId = "";
        for (var i = 0; i < messages.Count; i++)
        {
            var message = messages[i];
            var text = message.Text ?? message.Refusal ?? "";
            if (message.Role == ChatRole.Function)
            {
                converted.Add(new PromptMessage("tool", text, message.Name) { ToolCallId = functionId });
                continue;
            }
            if (message.Role == ChatRole.Tool)
            {
                converted.Add(new PromptMessage("tool", text, message.Name ?? names.GetValueOrDefault(message.ToolCallId!)) { ToolCallId = message.ToolCallId });
                continue;
            }
            functionId = string.Create(CultureInfo.InvariantCulture, $"call_{i}");
            IReadOnlyList<PromptToolCall> calls = [.. Calls(message, functionId)];
            foreach (var call in calls) names[call.Id] = call.Name;
            converted.Add(new PromptMessage(message.Role.ToWireName(), text, message.Name) { ToolCalls = calls, Reasoning = message.Reasoning });
        }
        return converted;
    }

    /// <summary>
    /// The conversation for a template that knows instructions only at its beginning, as many do: later ones become words of the user, and
    /// messages of one side that follow one another become one. Agents give instructions in the middle of a conversation.
    /// </summary>
    /// <param name="messages">A conversation that a template has refused.</param>
    /// <param name="moved">The other one.</param>
    /// <returns>False where there are no later instructions, so that the refusal stands.</returns>
    public static bool TryMoveInstructions(IReadOnlyList<PromptMessage> messages, out IReadOnlyList<PromptMessage> moved)
    {
        var (list, hasBegun, hasMoved) = (new List<PromptMessage>(messages.Count), false, false);
        foreach (var message in messages)
        {
            var isInstruction = message.Role is "system" or "developer";
            var isLater = isInstruction && hasBegun;
            hasBegun |= !isInstruction;
            hasMoved |= isLater || (isInstruction && list.Count > 0);
            var next = isLater ? new PromptMessage("user", message.Content) : message;
            var isJoined = list is [.., var last] && last.Role == next.Role && next.Role is "user" or "system" or "developer" && list.Count > 0;
            if (isJoined) list[^1] = list[^1] with { Content = $"{list[^1].Content}\n\n{next.Content}" };
            else list.Add(next);
        }
        moved = list;
        return hasMoved;
    }

    /// <summary>The tools that an answer may call; null where there are none.</summary>
    /// <param name="request">A request.</param>
    /// <param name="textGrammar">What an answer without calls has to be; null is anything.</param>
    /// <param name="grammars">Those of the tools' inputs.</param>
    public static PromptTools? From(ChatCompletionRequest request, Grammar? textGrammar, GrammarCache grammars)
    {
        if (LocalTools.Find(request) is not { } tools) return null;
        return new PromptTools([.. tools.Tools.Select(tool => ToTool(tool, grammars)).DistinctBy(tool => tool.Name)])
        {
            IsRequired = tools.IsRequired,
            Required = tools.Required,
            AllowsSeveral = request.ParallelToolCalls && request.Functions is null,
            TextGrammar = textGrammar,
        };
    }

    private static PromptTool ToTool(LocalTool tool, GrammarCache grammars) => tool.IsCustom
        ? CustomTools.ToFunction(tool, grammars)
        : new(tool.Name, tool.Definition, tool.Definition.TryGetProperty("strict"u8, out var strict) && strict.ValueKind == JsonValueKind.True);

    private static IEnumerable<PromptToolCall> Calls(ChatMessage message, string functionId)
    {
        if (message.FunctionCall is { } function)
        {
            yield return new PromptToolCall(functionId, Text(function, "name"), Text(function, "arguments"));
        }
        if (message.ToolCalls is not { } calls) yield break;
        foreach (var call in calls.EnumerateArray())
        {
            var isFunction = Text(call, "type") == "function";
            var called = call.GetProperty(isFunction ? "function" : "custom");
            yield return new PromptToolCall(Text(call, "id"), Text(called, "name"), isFunction ? Text(called, "arguments") : CustomInputReader.ToArguments(Text(called, "input")));
        }
    }

    // Arguments may also be an object.
    private static string Text(JsonElement element, string name) =>
        element.GetProperty(name) is { ValueKind: JsonValueKind.Object } value ? value.GetRawText() : element.GetProperty(name).GetString()!;
}
