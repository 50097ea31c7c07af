using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>Reads <c>messages</c>, each by itself; <see cref="ConversationRules"/> has what they must be together.</summary>
internal static class ChatMessagesReader
{
    public static IReadOnlyList<ChatMessage> Read(ParameterReader parameters)
    {
        if (parameters.Find("messages", JsonValueKind.Array, "an array of objects") is not { } array) return [];
        var count = array.GetArrayLength();
        if (count == 0) parameters.Fail(ApiErrors.EmptyArray("messages"));
        if (count > ProtocolLimits.MessagesMax) parameters.Fail(ApiErrors.ArrayTooLong("messages", ProtocolLimits.MessagesMax, count));
        if (parameters.Error is not null) return [];

        var messages = new List<ChatMessage>(count);
        foreach (var element in array.EnumerateArray())
        {
            if (ToolParameters.OpenObject(parameters, element, $"messages[{messages.Count}]") is not { } message) break;
            var read = ReadMessage(message, messages.Count);
            parameters.Fail(message.Error);
            if (read is null || parameters.Error is not null) break;
            messages.Add(read);
        }

        return messages;
    }

    private static ChatMessage? ReadMessage(ParameterReader message, int index)
    {
        if (ReadRole(message) is not { } role) return null;
        var media = new List<MediaPart>();
        var text = ReadContent(message, role, index, media);
        var name = ReadName(message, role);
        var toolCallId = role == ChatRole.Tool ? message.RequireText("tool_call_id") : null;
        if (role != ChatRole.Assistant)
        {
            return new ChatMessage { Role = role, Text = text, Name = name, ToolCallId = toolCallId, MediaParts = media };
        }

        var toolCalls = ReadToolCalls(message);
        var functionCall = message.Find("function_call", JsonValueKind.Object, "an object");
        if (functionCall is { } call) CheckCall(message, call, message.PathOf("function_call"), "arguments");
        return new ChatMessage
        {
            Role = role,
            Text = text,
            Name = name,
            MediaParts = media,
            ToolCalls = toolCalls?.Clone(),
            FunctionCall = functionCall?.Clone(),
            Refusal = message.Text("refusal"),
            Reasoning = ReadReasoning(message, "reasoning_content") ?? ReadReasoning(message, "reasoning"),
            HasAudio = message.Find("audio", JsonValueKind.Object, "an object") is not null,
        };
    }

    // No part of the API: what has another form there means something else.
    private static string? ReadReasoning(ParameterReader message, string name) =>
        message.Find(name) is { ValueKind: JsonValueKind.String } text && text.GetString() is { Length: > 0 } reasoning ? reasoning : null;

    private static ChatRole? ReadRole(ParameterReader message)
    {
        if (message.RequireText("role") is not { } name) return null;
        var role = ChatRoles.Find(name);
        if (role is null)
        {
            message.Fail(ApiErrors.InvalidValue(
                message.PathOf("role"), name, "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"));
        }

        return role;
    }

    private static string? ReadName(ParameterReader message, ChatRole role)
    {
        // Templates print it as text, so any characters do. Empty is what a form sends for no name.
        if (role != ChatRole.Function) return message.Text("name", ProtocolLimits.NameLengthMax) is { Length: > 0 } name ? name : null;
        var function = message.RequireText("name", ProtocolLimits.NameLengthMax);
        if (function is { Length: 0 }) message.Fail(ApiErrors.EmptyString(message.PathOf("name")));
        return function;
    }

    private static string? ReadContent(ParameterReader message, ChatRole role, int index, List<MediaPart> media)
    {
        if (message.Find("content") is not { } content)
        {
            // The other roles are told last, and in other words: see ConversationRules.
            if (role == ChatRole.Developer) message.Fail(ApiErrors.MissingParameter(message.PathOf("content")));
            return null;
        }

        switch (content.ValueKind)
        {
            case JsonValueKind.String:
                return content.GetString();
            case JsonValueKind.Array:
                return ReadParts(message, content, index, media);
            case JsonValueKind.Object when role is ChatRole.Tool or ChatRole.Function:
                return content.GetRawText();
            default:
                message.Fail(ApiErrors.InvalidType(
                    message.PathOf("content"), "one of a string or array of objects", ApiErrors.Describe(content)));
                return null;
        }
    }

    private static string? ReadParts(ParameterReader message, JsonElement parts, int messageIndex, List<MediaPart> media)
    {
        var path = message.PathOf("content");
        var count = parts.GetArrayLength();
        if (count == 0) message.Fail(ApiErrors.EmptyArray(path));
        List<string>? texts = null;
        var partIndex = 0;
        foreach (var element in parts.EnumerateArray())
        {
            if (ToolParameters.OpenObject(message, element, $"{path}[{partIndex}]") is not { } part) break;
            if (ReadPart(part, messageIndex, partIndex, media) is { } text) (texts ??= []).Add(text);
            message.Fail(part.Error);
            if (message.Error is not null) break;
            partIndex++;
        }

        return texts is null ? null : string.Join('\n', texts);
    }

    private static string? ReadPart(ParameterReader part, int messageIndex, int partIndex, List<MediaPart> media)
    {
        if (part.Find("type") is null) part.Fail(ApiErrors.MissingParameter(part.PathOf("type")));
        switch (part.Choice("type", ["text", "image_url", "input_audio", "refusal", "audio", "file"]))
        {
            case null:
                return null;
            case "text":
                return part.RequireText("text");
            case "refusal":
                return part.RequireText("refusal");
            case var type:
                _ = part.Require(type, JsonValueKind.Object, "an object");
                media.Add(new MediaPart(type, messageIndex, partIndex));
                return null;
        }
    }

    private static JsonElement? ReadToolCalls(ParameterReader message)
    {
        if (message.Find("tool_calls", JsonValueKind.Array, "an array of objects") is not { } calls) return null;
        var path = message.PathOf("tool_calls");
        if (calls.GetArrayLength() == 0) return null;
        var index = 0;
        foreach (var element in calls.EnumerateArray())
        {
            if (ToolParameters.OpenObject(message, element, $"{path}[{index}]") is not { } call) break;
            _ = call.RequireText("id");
            if (call.Find("type") is null) call.Fail(ApiErrors.MissingParameter(call.PathOf("type")));
            if (call.Choice("type", ["function", "custom"]) is { } type
                && call.Require(type, JsonValueKind.Object, "an object") is { } called)
            {
                CheckCall(call, called, call.PathOf(type), type == "function" ? "arguments" : "input");
            }

            message.Fail(call.Error);
            if (message.Error is not null) break;
            index++;
        }

        return calls;
    }

    private static void CheckCall(ParameterReader owner, JsonElement call, string path, string argumentsName)
    {
        var members = new ParameterReader(call, path);
        _ = members.RequireText("name");
        // Some clients send the arguments as the object that they are.
        if (argumentsName == "input" || members.Find(argumentsName) is not { ValueKind: JsonValueKind.Object }) _ = members.RequireText(argumentsName);
        owner.Fail(members.Error);
    }
}
