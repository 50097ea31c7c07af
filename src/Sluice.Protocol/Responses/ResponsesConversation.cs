using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses;

/// <summary>
/// Writes the items of a Responses request as the messages of a chat: what the assistant said and called in one turn becomes one message, the
/// results of its calls follow in order, and what stood between a call and its result comes after.
/// </summary>
/// <param name="writer">Stands in the body.</param>
/// <param name="form">Who reads it.</param>
internal sealed class ResponsesConversation(Utf8JsonWriter writer, NeutralForm form)
{
    private readonly record struct Call(string Id, string Name, string Input, bool IsCustom);

    private readonly List<string> _texts = [];
    private readonly List<Call> _calls = [];
    private readonly HashSet<string> _openCalls = new(StringComparer.Ordinal);
    private readonly List<JsonElement> _waiting = [];
    private readonly List<(string CallId, JsonElement Part)> _images = [];
    private readonly StringBuilder _leading = new();
    private readonly StringBuilder _reasoning = new();
    private readonly List<ReadOnlyMemory<byte>> _thinking = [];
    private readonly List<ReadOnlyMemory<byte>> _items = [];
    private bool _hasBegun;

    /// <summary>Writes <c>messages</c>.</summary>
    /// <returns>A 400 that names what can't be said; null otherwise.</returns>
    public ApiError? Write(JsonElement root)
    {
        writer.WriteStartArray("messages"u8);
        if (root.TryGet("instructions"u8, JsonValueKind.String, out var instructions)) AddLeading(instructions.GetString()!);
        var input = root.GetProperty("input"u8);
        if (input.ValueKind == JsonValueKind.String)
        {
            WriteMessage("user", input.GetString()!);
        }
        else if (input.ValueKind != JsonValueKind.Array)
        {
            return ApiErrors.InvalidType("input", "a string or an array of items", input.ValueKind.ToString().ToLowerInvariant());
        }
        else
        {
            var index = 0;
            foreach (var item in input.EnumerateArray())
            {
                if (Add(item, string.Create(CultureInfo.InvariantCulture, $"input[{index}]")) is { } fault) return fault;
                index++;
            }
        }
        FlushAssistant();
        if (_openCalls.Count > 0) return ApiErrors.InvalidItem("input", $"No tool output found for function call {ApiErrors.Elide(_openCalls.First())}.");
        WriteLeading();
        writer.WriteEndArray();
        return null;
    }

    private ApiError? Add(JsonElement item, string path)
    {
        if (item.ValueKind != JsonValueKind.Object) return ApiErrors.InvalidType(path, "an object", item.ValueKind.ToString().ToLowerInvariant());
        var type = item.TryGet("type"u8, JsonValueKind.String, out var member) ? member.GetString() : "message";
        switch (type)
        {
            case "message":
                return AddMessage(item, path);
            case "function_call" or "custom_tool_call" or "tool_search_call":
                return AddCall(item, type, path);
            case "function_call_output" or "custom_tool_call_output" or "tool_search_output":
                return AddResult(item, type, path);
            case "reasoning":
                AddReasoning(item);
                return null;
            case "agent_message":
                return AddMessage(item, path);
            case "item_reference":
                var id = item.TryGet("id"u8, JsonValueKind.String, out var named) ? named.GetString() : "";
                return ApiErrors.InvalidItem(path, $"Item with id '{ApiErrors.Elide(id ?? "")}' not found.");
            default:
                // Of a vendor or of a later day: it means nothing to another model, and a session must go on.
                return null;
        }
    }

    private ApiError? AddMessage(JsonElement item, string path)
    {
        var role = item.TryGet("role"u8, JsonValueKind.String, out var member) ? member.GetString() : "user";
        if (role == "assistant")
        {
            AddAssistantText(item);
            return null;
        }
        if (role is not ("user" or "system" or "developer"))
            return ApiErrors.InvalidItem($"{path}.role", $"'{ApiErrors.Elide(role ?? "")}' is not a role: use 'user', 'assistant', 'system' or 'developer'.");
        // Nothing may stand between calls and their results.
        FlushAssistant();
        if (_openCalls.Count > 0)
        {
            _waiting.Add(item);
            return null;
        }
        return WriteItem(item, role, path);
    }

    private ApiError? WriteItem(JsonElement item, string role, string path)
    {
        if (!item.TryGetProperty("content"u8, out var content) || content.ValueKind is not (JsonValueKind.String or JsonValueKind.Array))
            return ApiErrors.InvalidType($"{path}.content", "a string or an array of parts", "something else");
        if (role != "user")
        {
            var text = ReadText(content);
            if (_hasBegun) WriteMessage("system", text);
            else AddLeading(text);
            return null;
        }
        WriteLeading();
        if (content.ValueKind == JsonValueKind.String || IsAllText(content))
        {
            WriteMessage(role, ReadText(content));
            return null;
        }
        BeginMessage(role);
        writer.WriteStartArray("content"u8);
        var index = 0;
        foreach (var part in content.EnumerateArray())
        {
            if (WritePart(part, string.Create(CultureInfo.InvariantCulture, $"{path}.content[{index}]")) is { } fault) return fault;
            index++;
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
        return null;
    }

    private ApiError? WritePart(JsonElement part, string path)
    {
        if (!part.TryGet("type"u8, JsonValueKind.String, out var type)) return ApiErrors.MissingParameter($"{path}.type");
        switch (type.GetString())
        {
            case "input_text" or "output_text" or "text" or "summary_text" or "reasoning_text":
                writer.WriteStartObject();
                writer.WriteString("type"u8, "text"u8);
                writer.WriteString("text"u8, TextOf(part));
                writer.WriteEndObject();
                return null;
            case "input_image":
                if (!part.TryGet("image_url"u8, JsonValueKind.String, out var url))
                    return ApiErrors.InvalidItem($"{path}.image_url", "The hub keeps no files: give the image as an https or data URL in 'image_url'.");
                writer.WriteStartObject();
                writer.WriteString("type"u8, "image_url"u8);
                writer.WriteStartObject("image_url"u8);
                Copy("url"u8, url);
                if (part.TryGet("detail"u8, JsonValueKind.String, out var detail) && !detail.ValueEquals("original"u8)) Copy("detail"u8, detail);
                writer.WriteEndObject();
                writer.WriteEndObject();
                return null;
            case "input_file":
                if (!part.TryGet("file_data"u8, JsonValueKind.String, out var file))
                    return ApiErrors.InvalidItem($"{path}.file_data", "The hub keeps no files: give the content as a data URL in 'file_data'.");
                writer.WriteStartObject();
                writer.WriteString("type"u8, "file"u8);
                writer.WriteStartObject("file"u8);
                Copy("file_data"u8, file);
                if (part.TryGet("filename"u8, JsonValueKind.String, out var name)) Copy("filename"u8, name);
                writer.WriteEndObject();
                writer.WriteEndObject();
                return null;
            case "input_audio":
                part.WriteTo(writer);
                return null;
            default:
                return ApiErrors.InvalidItem($"{path}.type", $"'{ApiErrors.Elide(type.GetString()!)}' is not a part that this model takes.");
        }
    }

    private void AddAssistantText(JsonElement item)
    {
        // The next turn of the assistant begins where the results of the last one end.
        if (_openCalls.Count > 0)
        {
            _waiting.Add(item);
            return;
        }
        if (item.TryGetProperty("content"u8, out var content) && ReadText(content) is { Length: > 0 } text) _texts.Add(text);
    }

    private ApiError? AddCall(JsonElement item, string type, string path)
    {
        if (!item.TryGet("call_id"u8, JsonValueKind.String, out var id)) return ApiErrors.MissingParameter($"{path}.call_id");
        if (_openCalls.Count > 0) return ApiErrors.InvalidItem("input", $"No tool output found for function call {ApiErrors.Elide(_openCalls.First())}.");
        var space = item.TryGet("namespace"u8, JsonValueKind.String, out var named) ? named.GetString() : null;
        var name = type == "tool_search_call" ? ResponsesTools.SearchName : item.TryGet("name"u8, JsonValueKind.String, out var member) ? member.GetString()! : "";
        if (name.Length == 0) return ApiErrors.MissingParameter($"{path}.name");
        var isCustom = type == "custom_tool_call";
        var input = item.TryGetProperty(isCustom ? "input"u8 : "arguments"u8, out var value)
            ? value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText()
            : "";
        if (!isCustom && input.Length == 0) input = "{}";
        if (isCustom && !form.KeepsCustomTools) (isCustom, input) = (false, CustomInputReader.ToArguments(input));
        _calls.Add(new Call(id.GetString()!, ResponsesTools.Flatten(space, name), input, isCustom));
        return null;
    }

    private ApiError? AddResult(JsonElement item, string type, string path)
    {
        if (!item.TryGet("call_id"u8, JsonValueKind.String, out var member)) return ApiErrors.MissingParameter($"{path}.call_id");
        var id = member.GetString()!;
        FlushAssistant();
        if (!_openCalls.Remove(id)) return ApiErrors.InvalidItem("input", $"No tool call found for function call output with call_id {ApiErrors.Elide(id)}.");
        BeginMessage("tool");
        writer.WriteString("tool_call_id"u8, id);
        if (type == "tool_search_output")
        {
            writer.WriteString("content"u8, item.TryGetProperty("tools"u8, out var tools) ? tools.GetRawText() : "[]");
        }
        else if (!item.TryGetProperty("output"u8, out var output) || output.ValueKind == JsonValueKind.Null)
        {
            writer.WriteString("content"u8, ""u8);
        }
        else if (WriteOutput(output, id, $"{path}.output") is { } fault)
        {
            return fault;
        }
        writer.WriteEndObject();
        return _openCalls.Count == 0 ? EndResults() : null;
    }

    private ApiError? WriteOutput(JsonElement output, string callId, string path)
    {
        if (output.ValueKind != JsonValueKind.Array)
        {
            writer.WriteString("content"u8, output.ValueKind == JsonValueKind.String ? output.GetString()! : output.GetRawText());
            return null;
        }
        if (IsAllText(output) || !form.KeepsMediaInResults)
        {
            writer.WriteString("content"u8, ReadText(output));
            foreach (var part in output.EnumerateArray())
            {
                if (!IsText(part)) _images.Add((callId, part));
            }
            return null;
        }
        writer.WriteStartArray("content"u8);
        var index = 0;
        foreach (var part in output.EnumerateArray())
        {
            if (WritePart(part, string.Create(CultureInfo.InvariantCulture, $"{path}[{index}]")) is { } fault) return fault;
            index++;
        }
        writer.WriteEndArray();
        return null;
    }

    // Images that results can't hold, then what waited for the results.
    private ApiError? EndResults()
    {
        if (_images.Count > 0)
        {
            BeginMessage("user");
            writer.WriteStartArray("content"u8);
            foreach (var (callId, part) in _images)
            {
                writer.WriteStartObject();
                writer.WriteString("type"u8, "text"u8);
                writer.WriteString("text"u8, $"[image of {callId}]");
                writer.WriteEndObject();
                if (WritePart(part, "input") is { } fault) return fault;
            }
            writer.WriteEndArray();
            writer.WriteEndObject();
            _images.Clear();
        }
        var waiting = _waiting.ToArray();
        _waiting.Clear();
        foreach (var item in waiting)
        {
            if (AddMessage(item, "input") is { } fault) return fault;
        }
        return null;
    }

    private void AddReasoning(JsonElement item)
    {
        // Of the next turn, unless it stands between calls that belong together.
        if (_calls.Count == 0 && _texts.Count > 0) FlushAssistant();
        if (item.TryGet("encrypted_content"u8, JsonValueKind.String, out var text))
        {
            if (form.Seal is not { } seal || !seal.TryOpen(text.GetString(), out var blob)) return;
            if (blob.Origin.StartsWith(ReasoningOrigins.Chat, StringComparison.Ordinal))
            {
                var reader = new Utf8JsonReader(blob.Json.Span);
                if (reader.Read() && reader.TokenType == JsonTokenType.String) _reasoning.Append(reader.GetString());
            }
            else if (blob.Origin == form.Origin)
            {
                (blob.Origin.StartsWith(ReasoningOrigins.Messages, StringComparison.Ordinal) ? _thinking : _items).Add(blob.Json);
            }
            return;
        }
        if (item.TryGet("content"u8, JsonValueKind.Array, out var content)) _reasoning.Append(ReadText(content));
    }

    private void FlushAssistant()
    {
        if (_texts.Count == 0 && _calls.Count == 0)
        {
            // Reasoning that led to nothing.
            ClearReasoning();
            return;
        }
        WriteLeading();
        BeginMessage("assistant");
        if (_texts.Count > 0) writer.WriteString("content"u8, string.Join("\n\n", _texts));
        else writer.WriteNull("content"u8);
        if (_reasoning.Length > 0) writer.WriteString("reasoning_content"u8, _reasoning.ToString());
        if (_thinking.Count + _items.Count > 0)
        {
            writer.WriteStartObject("sluice"u8);
            WriteBlobs("thinking"u8, _thinking);
            WriteBlobs("reasoning"u8, _items);
            writer.WriteEndObject();
        }
        if (_calls.Count > 0)
        {
            writer.WriteStartArray("tool_calls"u8);
            foreach (var call in _calls) WriteCall(call);
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
        _openCalls.UnionWith(_calls.Select(static call => call.Id));
        _texts.Clear();
        _calls.Clear();
        ClearReasoning();
    }

    private void ClearReasoning()
    {
        _reasoning.Clear();
        _thinking.Clear();
        _items.Clear();
    }

    private void WriteBlobs(ReadOnlySpan<byte> name, List<ReadOnlyMemory<byte>> blobs)
    {
        if (blobs.Count == 0) return;
        writer.WriteStartArray(name);
        foreach (var blob in blobs) writer.WriteRawValue(blob.Span, skipInputValidation: true);
        writer.WriteEndArray();
    }

    private void WriteCall(Call call)
    {
        var type = call.IsCustom ? "custom"u8 : "function"u8;
        writer.WriteStartObject();
        writer.WriteString("id"u8, call.Id);
        writer.WriteString("type"u8, type);
        writer.WriteStartObject(type);
        writer.WriteString("name"u8, call.Name);
        writer.WriteString(call.IsCustom ? "input"u8 : "arguments"u8, call.Input);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    // Several instructions before the first turn are one: templates allow no more.
    private void AddLeading(string text)
    {
        if (string.IsNullOrWhiteSpace(text)) return;
        if (_leading.Length > 0) _leading.Append("\n\n");
        _leading.Append(text);
    }

    private void WriteLeading()
    {
        if (_hasBegun) return;
        _hasBegun = true;
        if (_leading.Length > 0) WriteMessage("system", _leading.ToString());
    }

    private void WriteMessage(string role, string text)
    {
        if (role != "system") WriteLeading();
        BeginMessage(role);
        writer.WriteString("content"u8, text);
        writer.WriteEndObject();
    }

    private void BeginMessage(string role)
    {
        writer.WriteStartObject();
        writer.WriteString("role"u8, role);
    }

    private void Copy(ReadOnlySpan<byte> name, JsonElement value)
    {
        writer.WritePropertyName(name);
        value.WriteTo(writer);
    }

    private static bool IsAllText(JsonElement parts) => parts.EnumerateArray().All(IsText);

    private static bool IsText(JsonElement part) =>
        part.TryGet("type"u8, JsonValueKind.String, out var type)
        && type.GetString() is "input_text" or "output_text" or "text" or "summary_text" or "reasoning_text" or "refusal";

    private static string TextOf(JsonElement part)
    {
        if (part.TryGet("text"u8, JsonValueKind.String, out var text)) return text.GetString()!;
        return part.TryGet("refusal"u8, JsonValueKind.String, out var refusal) ? refusal.GetString()! : "";
    }

    private static string ReadText(JsonElement content)
    {
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        return content.ValueKind != JsonValueKind.Array ? "" : string.Join("\n", content.EnumerateArray().Where(IsText).Select(TextOf));
    }
}
