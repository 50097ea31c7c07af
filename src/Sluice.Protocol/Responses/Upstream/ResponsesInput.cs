using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// Writes a conversation as items: each message, each call and each result is one, in the order of the chat. Instructions stay where they
/// stand, because a model that finds others at the beginning has to read the whole prompt again.
/// </summary>
/// <param name="writer">Stands in the body.</param>
/// <param name="options">Whose reasoning goes back.</param>
internal sealed class ResponsesInput(Utf8JsonWriter writer, ResponsesOptions options)
{
    private readonly ResponsesContent _content = new(writer);

    // Results bear the kind of their call in their type.
    private readonly HashSet<string> _customCalls = new(StringComparer.Ordinal);

    /// <summary>Writes <c>input</c>.</summary>
    /// <param name="messages">Validated.</param>
    /// <returns>A 400 for what can't be said; null otherwise.</returns>
    public ApiError? Write(JsonElement messages)
    {
        writer.WriteStartArray("input"u8);
        var index = 0;
        foreach (var message in messages.EnumerateArray())
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"messages[{index}]");
            var fault = ChatRoles.Find(message.GetProperty("role"u8).GetString()!) switch
            {
                ChatRole.System => WriteInstructions("system"u8, message, path),
                ChatRole.Developer => WriteInstructions("developer"u8, message, path),
                ChatRole.Assistant => WriteAssistant(message, path, index),
                ChatRole.Tool => WriteResult(message, path),
                _ => WriteUser(message, path),
            };
            if (fault is not null) return fault;
            index++;
        }
        writer.WriteEndArray();
        return null;
    }

    private ApiError? WriteInstructions(ReadOnlySpan<byte> role, JsonElement message, string path)
    {
        if (!message.TryGetProperty("content"u8, out var content) || content.ValueKind == JsonValueKind.Null) return null;
        var index = 0;
        if (content.ValueKind == JsonValueKind.Array)
        {
            foreach (var part in content.EnumerateArray())
            {
                if (!ResponsesContent.IsText(part))
                    return ApiErrors.ValueNotInMessages(string.Create(CultureInfo.InvariantCulture, $"{path}.content[{index}].type"), "instructions are text");
                index++;
            }
        }
        return WriteMessage(role, content, path);
    }

    private ApiError? WriteUser(JsonElement message, string path) =>
        message.TryGetProperty("content"u8, out var content) && content.ValueKind != JsonValueKind.Null ? WriteMessage("user"u8, content, path) : null;

    private ApiError? WriteMessage(ReadOnlySpan<byte> role, JsonElement content, string path)
    {
        BeginMessage(role);
        writer.WritePropertyName("content"u8);
        if (content.ValueKind == JsonValueKind.String) content.WriteTo(writer);
        else if (WriteParts(content, path) is { } fault) return fault;
        writer.WriteEndObject();
        return null;
    }

    private ApiError? WriteParts(JsonElement parts, string path)
    {
        writer.WriteStartArray();
        var index = 0;
        foreach (var part in parts.EnumerateArray())
        {
            if (_content.WriteInput(part, string.Create(CultureInfo.InvariantCulture, $"{path}.content[{index}]")) is { } fault) return fault;
            index++;
        }
        writer.WriteEndArray();
        return null;
    }

    private ApiError? WriteAssistant(JsonElement message, string path, int index)
    {
        // An item of reasoning stands directly before what it has led to.
        if (options.HasReasoning) WriteReasoning(message);
        if (WriteAnswer(message, path, index) is { } fault) return fault;
        if (!message.TryGet("tool_calls"u8, JsonValueKind.Array, out var calls)) return null;
        foreach (var call in calls.EnumerateArray()) WriteCall(call);
        return null;
    }

    private void WriteReasoning(JsonElement message)
    {
        if (!message.TryGet("sluice"u8, JsonValueKind.Object, out var ours)) return;
        if (ours.TryGet("reasoning"u8, JsonValueKind.Array, out var items))
        {
            foreach (var item in items.EnumerateArray())
            {
                if (item.TryGet("type"u8, JsonValueKind.String, out var type) && type.ValueEquals("reasoning"u8))
                    writer.WriteRawValue(item.GetRawText(), skipInputValidation: true);
            }
        }
        if (options.Seal is not { } seal || !ours.TryGet("sealed"u8, JsonValueKind.Array, out var texts)) return;
        foreach (var text in texts.EnumerateArray())
        {
            if (text.ValueKind != JsonValueKind.String || !seal.TryOpen(text.GetString(), out var blob) || blob.Origin != options.Origin) continue;
            writer.WriteRawValue(blob.Json.Span, skipInputValidation: true);
        }
    }

    private ApiError? WriteAnswer(JsonElement message, string path, int index)
    {
        var texts = new List<(string Text, bool IsRefusal)>();
        if (message.TryGet("content"u8, JsonValueKind.String, out var content))
        {
            texts.Add((content.GetString()!, false));
        }
        else if (message.TryGet("content"u8, JsonValueKind.Array, out var parts))
        {
            foreach (var part in parts.EnumerateArray())
            {
                var isText = ResponsesContent.IsText(part);
                if (!isText && !part.GetProperty("type"u8).ValueEquals("refusal"u8))
                {
                    var partPath = string.Create(CultureInfo.InvariantCulture, $"{path}.content[{texts.Count}].type");
                    return ApiErrors.ValueNotInMessages(partPath, "an assistant's message is text");
                }
                texts.Add((part.GetProperty(isText ? "text"u8 : "refusal"u8).GetString()!, !isText));
            }
        }
        if (message.TryGet("refusal"u8, JsonValueKind.String, out var refusal)) texts.Add((refusal.GetString()!, true));
        texts.RemoveAll(static text => text.Text.Length == 0);
        if (texts.Count == 0) return null;
        BeginMessage("assistant"u8);
        if (texts.Exists(static text => text.IsRefusal)) WriteOutput(texts, index);
        else writer.WriteString("content"u8, string.Join('\n', texts.Select(static text => text.Text)));
        writer.WriteEndObject();
        return null;
    }

    // A refusal is a part of an output only, and that has an id and a status.
    private void WriteOutput(List<(string Text, bool IsRefusal)> texts, int index)
    {
        writer.WriteString("id"u8, string.Create(CultureInfo.InvariantCulture, $"msg_{index}"));
        writer.WriteString("status"u8, "completed"u8);
        writer.WriteStartArray("content"u8);
        foreach (var (text, isRefusal) in texts)
        {
            if (isRefusal) _content.WriteRefusal(text);
            else _content.WriteOutputText(text);
        }
        writer.WriteEndArray();
    }

    private void WriteCall(JsonElement call)
    {
        var isCustom = call.GetProperty("type"u8).ValueEquals("custom"u8);
        var body = call.GetProperty(isCustom ? "custom"u8 : "function"u8);
        var id = call.GetProperty("id"u8).GetString()!;
        if (isCustom) _customCalls.Add(id);
        writer.WriteStartObject();
        writer.WriteString("type"u8, isCustom ? "custom_tool_call"u8 : "function_call"u8);
        writer.WriteString("call_id"u8, id);
        writer.WritePropertyName("name"u8);
        body.GetProperty("name"u8).WriteTo(writer);
        if (isCustom)
        {
            writer.WritePropertyName("input"u8);
            body.GetProperty("input"u8).WriteTo(writer);
        }
        else
        {
            var arguments = body.GetProperty("arguments"u8);
            writer.WriteString("arguments"u8, arguments.ValueKind == JsonValueKind.Object ? arguments.GetRawText() : arguments.GetString());
        }
        writer.WriteEndObject();
    }

    private ApiError? WriteResult(JsonElement message, string path)
    {
        var id = message.GetProperty("tool_call_id"u8).GetString()!;
        writer.WriteStartObject();
        writer.WriteString("type"u8, _customCalls.Contains(id) ? "custom_tool_call_output"u8 : "function_call_output"u8);
        writer.WriteString("call_id"u8, id);
        writer.WritePropertyName("output"u8);
        var content = message.GetProperty("content"u8);
        // Text is one string there, as every server takes it; lists came later.
        if (content.ValueKind == JsonValueKind.String) content.WriteTo(writer);
        else if (content.ValueKind == JsonValueKind.Object) writer.WriteStringValue(content.GetRawText());
        else if (content.EnumerateArray().All(ResponsesContent.IsText))
            writer.WriteStringValue(string.Join('\n', content.EnumerateArray().Select(static part => part.GetProperty("text"u8).GetString())));
        else if (WriteParts(content, path) is { } fault) return fault;
        writer.WriteEndObject();
        return null;
    }

    private void BeginMessage(ReadOnlySpan<byte> role)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, "message"u8);
        writer.WriteString("role"u8, role);
    }
}
