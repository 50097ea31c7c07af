using System.Text.Json;

namespace Sluice.Server.Answers;

/// <summary>
/// Finds messages in requests and answers, whatever door they came by: requests are in the neutral form, answers in the words of their door.
/// Members that are not what they should be are passed over.
/// </summary>
internal static class ContentMessages
{
    /// <summary>Messages of a request but those of the system, whose texts go to <paramref name="instructions"/>.</summary>
    public static void AddRequest(JsonElement request, ContentText messages, ContentText instructions)
    {
        if (Find(request, "messages") is { ValueKind: JsonValueKind.Array } list)
        {
            foreach (var message in list.EnumerateArray())
            {
                if (message.ValueKind != JsonValueKind.Object) continue;
                var role = Text(message, "role") ?? "user";
                if (role is "system" or "developer") AddContent(Find(message, "content"), instructions);
                else AddMessage(message, role, messages);
            }
            return;
        }
        // The older completions.
        if ((Text(request, "prompt") ?? Text(request, "input")) is not { } text || !messages.TryBeginMessage("user")) return;
        messages.AddText("text", text);
        messages.EndMessage();
    }

    /// <summary>Tools of a request.</summary>
    public static void AddTools(JsonElement request, ContentText definitions)
    {
        foreach (var name in (string[])["tools", "functions"])
        {
            if (Find(request, name) is { ValueKind: JsonValueKind.Array } tools)
                foreach (var tool in tools.EnumerateArray()) definitions.AddValue(tool);
        }
    }

    /// <summary>What was answered, of each choice.</summary>
    public static void AddAnswer(JsonElement answer, ContentText messages)
    {
        if (Find(answer, "choices") is { ValueKind: JsonValueKind.Array } choices)
        {
            foreach (var choice in choices.EnumerateArray()) AddChoice(choice, messages);
        }
        else if (Find(answer, "output") is { ValueKind: JsonValueKind.Array } output)
        {
            if (!messages.TryBeginMessage("assistant")) return;
            foreach (var item in output.EnumerateArray()) AddItem(item, messages);
            messages.EndMessage(Text(answer, "status"));
        }
        else if (Find(answer, "content") is { ValueKind: JsonValueKind.Array } blocks)
        {
            if (!messages.TryBeginMessage("assistant")) return;
            foreach (var block in blocks.EnumerateArray()) AddPart(block, messages);
            messages.EndMessage(Text(answer, "stop_reason"));
        }
        else if (Find(answer, "message") is { ValueKind: JsonValueKind.Object } message)
        {
            AddMessage(message, "assistant", messages, Text(answer, "done_reason"));
        }
        else if (Text(answer, "response") is { } text && messages.TryBeginMessage("assistant"))
        {
            messages.AddText("text", text);
            messages.EndMessage(Text(answer, "done_reason"));
        }
    }

    private static void AddChoice(JsonElement choice, ContentText messages)
    {
        if (choice.ValueKind != JsonValueKind.Object) return;
        var reason = Text(choice, "finish_reason");
        if (Find(choice, "message") is { ValueKind: JsonValueKind.Object } message)
        {
            AddMessage(message, "assistant", messages, reason);
        }
        else if (Text(choice, "text") is { } text && messages.TryBeginMessage("assistant"))
        {
            messages.AddText("text", text);
            messages.EndMessage(reason);
        }
    }

    private static void AddMessage(JsonElement message, string role, ContentText messages, string? finishReason = null)
    {
        if (!messages.TryBeginMessage(role)) return;
        foreach (var name in (string[])["reasoning_content", "reasoning", "thinking"]) messages.AddText("reasoning", Text(message, name));
        if (role == "tool") messages.AddResponse(Text(message, "tool_call_id"), Text(message, "content") ?? Find(message, "content")?.GetRawText());
        else AddContent(Find(message, "content"), messages);
        messages.AddText("text", Text(message, "refusal"));
        if (Find(message, "tool_calls") is { ValueKind: JsonValueKind.Array } calls)
        {
            foreach (var call in calls.EnumerateArray())
            {
                var function = Find(call, "function") ?? Find(call, "custom");
                if (function is not { ValueKind: JsonValueKind.Object } named) continue;
                var arguments = Find(named, "arguments") ?? Find(named, "input");
                messages.AddCall(Text(call, "id"), Text(named, "name"), arguments is { ValueKind: JsonValueKind.String } said ? said.GetString() : arguments?.GetRawText());
            }
        }
        messages.EndMessage(finishReason);
    }

    private static void AddContent(JsonElement? content, ContentText messages)
    {
        if (content is { ValueKind: JsonValueKind.String } text) messages.AddText("text", text.GetString());
        if (content is not { ValueKind: JsonValueKind.Array } parts) return;
        foreach (var part in parts.EnumerateArray()) AddPart(part, messages);
    }

    private static void AddPart(JsonElement part, ContentText messages)
    {
        if (part.ValueKind != JsonValueKind.Object) return;
        switch (Text(part, "type"))
        {
            case "text" or "input_text" or "output_text":
                messages.AddText("text", Text(part, "text"));
                break;
            case "refusal":
                messages.AddText("text", Text(part, "refusal"));
                break;
            case "thinking":
                messages.AddText("reasoning", Text(part, "thinking"));
                break;
            case "summary_text" or "reasoning_text":
                messages.AddText("reasoning", Text(part, "text"));
                break;
            case "tool_use":
                messages.AddCall(Text(part, "id"), Text(part, "name"), Find(part, "input")?.GetRawText());
                break;
            case var type:
                messages.AddMedia(type ?? "unknown");
                break;
        }
    }

    // Of the Responses API.
    private static void AddItem(JsonElement item, ContentText messages)
    {
        if (item.ValueKind != JsonValueKind.Object) return;
        switch (Text(item, "type"))
        {
            case "function_call":
                messages.AddCall(Text(item, "call_id"), Text(item, "name"), Text(item, "arguments"));
                break;
            case "custom_tool_call":
                messages.AddCall(Text(item, "call_id"), Text(item, "name"), Text(item, "input"));
                break;
            case "reasoning":
                AddContent(Find(item, "summary"), messages);
                AddContent(Find(item, "content"), messages);
                break;
            default:
                AddContent(Find(item, "content"), messages);
                break;
        }
    }

    private static JsonElement? Find(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;

    private static string? Text(JsonElement element, string name) => Find(element, name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;
}
