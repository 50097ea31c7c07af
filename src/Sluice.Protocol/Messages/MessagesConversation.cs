using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Writes a conversation as the Messages API wants it: the instructions before the first turn apart, later ones in their place, roles in
/// turns, results of tools in the user's message that follows their calls, and no text without a character in it.
/// </summary>
/// <param name="writer">Stands in the body.</param>
/// <param name="hasSystemTurns">Whether later instructions are a message of the role <c>system</c>, or a text of the user's.</param>
/// <param name="hasThinking">Whether what earlier answers thought goes back.</param>
internal sealed class MessagesConversation(Utf8JsonWriter writer, bool hasSystemTurns, bool hasThinking = true)
{
    // Those before the first turn. What came later there would change with every turn, and the model's prompt cache with it.
    private readonly List<JsonElement> _instructions = [];
    private readonly MessagesContent _content = new(writer);
    private string? _role;
    private bool _hasMessages;

    /// <summary>Writes <c>messages</c> and <c>system</c>.</summary>
    /// <param name="messages">Validated.</param>
    /// <returns>A 400 for what can't be said; null otherwise.</returns>
    public ApiError? Write(JsonElement messages)
    {
        writer.WriteStartArray("messages"u8);
        var last = FindLast(messages);
        var index = 0;
        foreach (var message in messages.EnumerateArray())
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"messages[{index}]");
            var fault = RoleOf(message) switch
            {
                ChatRole.System or ChatRole.Developer => TakeInstructions(message, path),
                ChatRole.Assistant => WriteAssistant(message, path, isLast: index == last),
                ChatRole.Tool => WriteToolResult(message, path),
                _ => WriteContent("user", message, path, isLast: false),
            };
            if (fault is not null) return fault;
            index++;
        }
        EndMessage();
        writer.WriteEndArray();
        if (!_hasMessages) return ApiErrors.ValueNotInMessages("messages", "a conversation needs a message of the user that is not empty");
        WriteInstructions();
        return null;
    }

    // The message that an answer would go on with, if it is the assistant's.
    private static int FindLast(JsonElement messages)
    {
        var last = messages.GetArrayLength() - 1;
        while (last >= 0 && IsEmptyInstruction(messages[last])) last--;
        return last;
    }

    private static bool IsEmptyInstruction(JsonElement message)
    {
        if (RoleOf(message) is not (ChatRole.System or ChatRole.Developer)) return false;
        if (!message.TryGetProperty("content"u8, out var content)) return true;
        return content.ValueKind == JsonValueKind.String
            ? MessagesContent.IsEmpty(content.GetString())
            : content.EnumerateArray().All(static part => MessagesContent.FindText(part) is { } text && MessagesContent.IsEmpty(text));
    }

    private static ChatRole? RoleOf(JsonElement message) => ChatRoles.Find(message.GetProperty("role"u8).GetString()!);

    private ApiError? TakeInstructions(JsonElement message, string path)
    {
        if (!message.TryGetProperty("content"u8, out var content)) return null;
        if (content.ValueKind == JsonValueKind.String)
        {
            TakeInstruction(content);
            return null;
        }
        var index = 0;
        foreach (var part in content.EnumerateArray())
        {
            if (!part.GetProperty("type"u8).ValueEquals("text"u8))
            {
                var partPath = string.Create(CultureInfo.InvariantCulture, $"{path}.content[{index}].type");
                return ApiErrors.ValueNotInMessages(partPath, "instructions are text");
            }
            TakeInstruction(part);
            index++;
        }
        return null;
    }

    private void TakeInstruction(JsonElement part)
    {
        if (_hasMessages) WriteTextOf(hasSystemTurns ? "system" : "user", TextOf(part)!, part, isTrimmed: false);
        else _instructions.Add(part);
    }

    private void WriteInstructions()
    {
        if (!_instructions.Exists(static text => !MessagesContent.IsEmpty(TextOf(text)))) return;
        writer.WriteStartArray("system"u8);
        foreach (var text in _instructions)
        {
            if (!MessagesContent.IsEmpty(TextOf(text))) _content.WriteText(TextOf(text)!, text);
        }
        writer.WriteEndArray();
    }

    private static string? TextOf(JsonElement text) => (text.ValueKind == JsonValueKind.String ? text : text.GetProperty("text"u8)).GetString();

    private ApiError? WriteContent(string role, JsonElement message, string path, bool isLast)
    {
        if (!message.TryGetProperty("content"u8, out var content) || content.ValueKind == JsonValueKind.Null) return null;
        if (content.ValueKind == JsonValueKind.String)
        {
            WriteTextOf(role, content.GetString()!, content, isTrimmed: isLast);
            return null;
        }
        var index = 0;
        var count = content.GetArrayLength();
        foreach (var part in content.EnumerateArray())
        {
            var partPath = string.Create(CultureInfo.InvariantCulture, $"{path}.content[{index}]");
            index++;
            if (MessagesContent.FindText(part) is { } text)
            {
                WriteTextOf(role, text, part, isTrimmed: isLast && index == count);
                continue;
            }
            if (role == "assistant") return ApiErrors.ValueNotInMessages($"{partPath}.type", "an assistant's message is text");
            BeginMessage(role);
            if (_content.WriteMedia(part, partPath) is { } fault) return fault;
        }
        return null;
    }

    // An answer can't go on from white space there.
    private void WriteTextOf(string role, string text, JsonElement part, bool isTrimmed)
    {
        if (isTrimmed) text = text.TrimEnd();
        if (MessagesContent.IsEmpty(text)) return;
        BeginMessage(role);
        _content.WriteText(text, part);
    }

    private ApiError? WriteAssistant(JsonElement message, string path, bool isLast)
    {
        if (hasThinking) WriteThinking(message);
        if (WriteContent("assistant", message, path, isLast) is { } fault) return fault;
        if (message.TryGet("refusal"u8, JsonValueKind.String, out var refusal)) WriteTextOf("assistant", refusal.GetString()!, refusal, isLast);
        if (!message.TryGet("tool_calls"u8, JsonValueKind.Array, out var calls)) return null;
        var index = 0;
        foreach (var call in calls.EnumerateArray())
        {
            var callPath = string.Create(CultureInfo.InvariantCulture, $"{path}.tool_calls[{index}]");
            var isCustom = call.GetProperty("type"u8).ValueEquals("custom"u8);
            BeginMessage("assistant");
            var called = call.GetProperty(isCustom ? "custom"u8 : "function"u8);
            writer.WriteStartObject();
            writer.WriteString("type"u8, "tool_use"u8);
            writer.WriteString("id"u8, MessagesIds.Clean(call.GetProperty("id"u8).GetString()!));
            writer.WritePropertyName("name"u8);
            called.GetProperty("name"u8).WriteTo(writer);
            writer.WritePropertyName("input"u8);
            if (!TryWriteArguments(ReadArguments(called, isCustom)))
                return ApiErrors.ValueNotInMessages($"{callPath}.function.arguments", "arguments are a JSON object");
            writer.WriteEndObject();
            index++;
        }
        return null;
    }

    // A tool whose input is text is a function of one argument there.
    private static string ReadArguments(JsonElement called, bool isCustom)
    {
        if (isCustom) return CustomInputReader.ToArguments(called.GetProperty("input"u8).GetString()!);
        var arguments = called.GetProperty("arguments"u8);
        return arguments.ValueKind == JsonValueKind.Object ? arguments.GetRawText() : arguments.GetString()!;
    }

    // What an earlier answer thought before it called tools has to be given back to the model, signature and all: see MessagesTranslation.
    private void WriteThinking(JsonElement message)
    {
        if (!message.TryGet("sluice"u8, JsonValueKind.Object, out var ours) || !ours.TryGet("thinking"u8, JsonValueKind.Array, out var blocks)) return;
        foreach (var block in blocks.EnumerateArray())
        {
            if (!block.TryGet("type"u8, JsonValueKind.String, out var type)) continue;
            if (!type.ValueEquals("thinking"u8) && !type.ValueEquals("redacted_thinking"u8)) continue;
            BeginMessage("assistant");
            block.WriteTo(writer);
        }
    }

    // A model's arguments may be anything; a call without any has none.
    private bool TryWriteArguments(string arguments)
    {
        if (string.IsNullOrWhiteSpace(arguments)) arguments = "{}";
        try
        {
            using var document = JsonDocument.Parse(arguments);
            if (document.RootElement.ValueKind != JsonValueKind.Object) return false;
            document.RootElement.WriteTo(writer);
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private ApiError? WriteToolResult(JsonElement message, string path)
    {
        BeginMessage("user");
        writer.WriteStartObject();
        writer.WriteString("type"u8, "tool_result"u8);
        writer.WriteString("tool_use_id"u8, MessagesIds.Clean(message.GetProperty("tool_call_id"u8).GetString()!));
        var content = message.GetProperty("content"u8);
        if (content.ValueKind == JsonValueKind.String)
        {
            if (!content.ValueEquals(""u8))
            {
                writer.WritePropertyName("content"u8);
                content.WriteTo(writer);
            }
        }
        else if (content.ValueKind == JsonValueKind.Object)
        {
            writer.WriteString("content"u8, content.GetRawText());
        }
        else
        {
            writer.WriteStartArray("content"u8);
            var index = 0;
            foreach (var part in content.EnumerateArray())
            {
                var partPath = string.Create(CultureInfo.InvariantCulture, $"{path}.content[{index}]");
                index++;
                if (MessagesContent.FindText(part) is not { } text)
                {
                    if (_content.WriteMedia(part, partPath) is { } fault) return fault;
                }
                else if (!MessagesContent.IsEmpty(text))
                {
                    _content.WriteText(text, part);
                }
            }
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
        return null;
    }

    // Neighbours of one role are one message.
    private void BeginMessage(string role)
    {
        if (_role == role) return;
        EndMessage();
        _role = role;
        _hasMessages = true;
        writer.WriteStartObject();
        writer.WriteString("role"u8, role);
        writer.WriteStartArray("content"u8);
    }

    private void EndMessage()
    {
        if (_role is null) return;
        writer.WriteEndArray();
        writer.WriteEndObject();
        _role = null;
    }
}
