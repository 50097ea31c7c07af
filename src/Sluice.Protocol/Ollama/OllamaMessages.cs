using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Ollama;

/// <summary>
/// Writes the messages of a conversation as a chat request has them: images as parts, calls with ids, and results of tools with the id of the call
/// that they answer, which is found by its name or its place.
/// </summary>
/// <param name="writer">Stands in the body.</param>
/// <param name="parameters">The request.</param>
internal sealed class OllamaMessages(Utf8JsonWriter writer, ParameterReader parameters)
{
    // Calls whose results have not come yet.
    private readonly List<(string Id, string Name)> _open = [];

    /// <summary>Writes <c>messages</c>.</summary>
    public void Write()
    {
        if (parameters.Require("messages", JsonValueKind.Array, "an array of objects") is not { } messages) return;
        writer.WriteStartArray("messages"u8);
        var index = 0;
        foreach (var element in messages.EnumerateArray())
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"messages[{index}]");
            if (element.ValueKind != JsonValueKind.Object)
            {
                parameters.Fail(ApiErrors.InvalidType(path, "an object", ApiErrors.Describe(element)));
                break;
            }
            var message = new ParameterReader(element, path);
            WriteMessage(message, index);
            parameters.Fail(message.Error);
            if (parameters.Error is not null) break;
            index++;
        }
        writer.WriteEndArray();
    }

    /// <summary>Writes <c>content</c>, as parts where there are images.</summary>
    /// <param name="writer">Stands in a message.</param>
    /// <param name="text">Of the message.</param>
    /// <param name="message">May have <c>images</c>.</param>
    public static void WriteContent(Utf8JsonWriter writer, string text, ParameterReader message)
    {
        if (message.Find("images", JsonValueKind.Array, "an array of strings") is not { } images || images.GetArrayLength() == 0)
        {
            writer.WriteString("content"u8, text);
            return;
        }
        writer.WriteStartArray("content"u8);
        if (text.Length > 0)
        {
            writer.WriteStartObject();
            writer.WriteString("type"u8, "text"u8);
            writer.WriteString("text"u8, text);
            writer.WriteEndObject();
        }
        foreach (var image in images.EnumerateArray())
        {
            if (image.ValueKind != JsonValueKind.String)
            {
                message.Fail(ApiErrors.InvalidType(message.PathOf("images"), "an array of strings in base64", ApiErrors.Describe(image)));
                break;
            }
            writer.WriteStartObject();
            writer.WriteString("type"u8, "image_url"u8);
            writer.WriteStartObject("image_url"u8);
            writer.WriteString("url"u8, ToUrl(image.GetString()!));
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    private void WriteMessage(ParameterReader message, int index)
    {
        var role = message.RequireText("role");
        var text = message.Text("content") ?? "";
        var call = role == "tool" ? TakeCall(message, index) : null;
        writer.WriteStartObject();
        if (call is not null)
        {
            writer.WriteString("role"u8, "tool"u8);
            writer.WriteString("tool_call_id"u8, call);
            writer.WriteString("content"u8, text);
        }
        else
        {
            writer.WriteString("role"u8, role);
            WriteContent(writer, text, message);
            if (role == "assistant") WriteAnswer(message, index);
        }
        writer.WriteEndObject();
    }

    private void WriteAnswer(ParameterReader message, int index)
    {
        if (message.Text("thinking") is { Length: > 0 } thinking) writer.WriteString("reasoning_content"u8, thinking);
        if (message.Find("tool_calls", JsonValueKind.Array, "an array of objects") is not { } calls || calls.GetArrayLength() == 0) return;
        _open.Clear();
        writer.WriteStartArray("tool_calls"u8);
        foreach (var element in calls.EnumerateArray())
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"messages[{index}].tool_calls[{_open.Count}]");
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty("function"u8, out var function) || function.ValueKind != JsonValueKind.Object)
            {
                message.Fail(ApiErrors.MissingParameter(path + ".function"));
                break;
            }
            var called = new ParameterReader(function, path + ".function");
            var name = called.RequireText("name") ?? "";
            message.Fail(called.Error);
            var id = element.TryGetProperty("id"u8, out var given) && given.ValueKind == JsonValueKind.String && !given.ValueEquals(""u8)
                ? given.GetString()!
                : string.Create(CultureInfo.InvariantCulture, $"call_{index}_{_open.Count}");
            _open.Add((id, name));
            WriteCall(id, name, called.Find("arguments") is { } arguments ? ToText(arguments) : "{}");
        }
        writer.WriteEndArray();
    }

    private static string ToText(JsonElement arguments) => arguments.ValueKind == JsonValueKind.String ? arguments.GetString()! : arguments.GetRawText();

    private string TakeCall(ParameterReader message, int index)
    {
        var (id, name) = (message.Text("tool_call_id"), message.Text("tool_name") ?? message.Text("name"));
        var found = id is { Length: > 0 } ? _open.FindIndex(call => call.Id == id) : -1;
        if (found < 0 && name is not null) found = _open.FindIndex(call => call.Name == name);
        if (found < 0 && _open.Count > 0) found = 0;
        if (found < 0) return WriteMissingCall(id is { Length: > 0 } ? id : string.Create(CultureInfo.InvariantCulture, $"call_{index}"), name);
        var taken = _open[found].Id;
        _open.RemoveAt(found);
        return taken;
    }

    // Ollama takes a result that answers nothing, and clients that cut their history send some; other servers want the call before it.
    private string WriteMissingCall(string id, string? name)
    {
        writer.WriteStartObject();
        writer.WriteString("role"u8, "assistant"u8);
        writer.WriteString("content"u8, ""u8);
        writer.WriteStartArray("tool_calls"u8);
        WriteCall(id, name is { Length: > 0 } ? name : "tool", "{}");
        writer.WriteEndArray();
        writer.WriteEndObject();
        return id;
    }

    private void WriteCall(string id, string name, string arguments)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, id);
        writer.WriteString("type"u8, "function"u8);
        writer.WriteStartObject("function"u8);
        writer.WriteString("name"u8, name);
        writer.WriteString("arguments"u8, arguments);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    // Its first bytes tell what it is; most servers look themselves, and take a wrong word for none.
    private static string ToUrl(string base64)
    {
        if (base64.StartsWith("data:", StringComparison.Ordinal)) return base64;
        var type = base64 switch
        {
            _ when base64.StartsWith("/9j/", StringComparison.Ordinal) => "jpeg",
            _ when base64.StartsWith("R0lGOD", StringComparison.Ordinal) => "gif",
            _ when base64.StartsWith("UklGR", StringComparison.Ordinal) => "webp",
            _ => "png",
        };
        return $"data:image/{type};base64,{base64}";
    }
}
