using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI.Upstreams;

/// <summary>Reads one message of a chat completion.</summary>
internal static class ChatMessageReader
{
    /// <exception cref="NotSupportedException">A part is of an unknown kind; the message names it.</exception>
    public static ChatMessage Read(JsonElement json)
    {
        var role = json.GetProperty("role").GetString()!;
        var content = json.TryGetProperty("content", out var found) ? found : default;
        if (role == "tool") return new ChatMessage(ChatRole.Tool, [new FunctionResultContent(json.GetProperty("tool_call_id").GetString()!, TextOf(content))]);
        // What it was thinking comes before what it said.
        List<AIContent> contents = [];
        if (json.TryGetProperty("reasoning_content", out var reasoning) && reasoning.ValueKind == JsonValueKind.String) contents.Add(new TextReasoningContent(reasoning.GetString()));
        if (content.ValueKind == JsonValueKind.String) contents.Add(new TextContent(content.GetString()));
        else if (content.ValueKind == JsonValueKind.Array) contents.AddRange(content.EnumerateArray().Select(ReadPart));
        if (json.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array) contents.AddRange(calls.EnumerateArray().Select(ReadCall));
        return new ChatMessage(new ChatRole(role == "developer" ? "system" : role), contents)
        {
            AuthorName = json.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String ? name.GetString() : null,
        };
    }

    private static string TextOf(JsonElement content) => content.ValueKind switch
    {
        JsonValueKind.String => content.GetString()!,
        JsonValueKind.Array => string.Concat(content.EnumerateArray().Select(static part => part.TryGetProperty("text", out var text) ? text.GetString() : "")),
        JsonValueKind.Undefined or JsonValueKind.Null => "",
        _ => content.GetRawText(),
    };

    private static FunctionCallContent ReadCall(JsonElement call)
    {
        var function = call.GetProperty("function");
        var arguments = function.TryGetProperty("arguments", out var given) ? given : default;
        var text = arguments.ValueKind switch { JsonValueKind.String => arguments.GetString()!, JsonValueKind.Object => arguments.GetRawText(), _ => "{}" };
        return FunctionCallContent.CreateFromParsedArguments(text, call.GetProperty("id").GetString()!, function.GetProperty("name").GetString()!, static text => JsonValues.Parse(text));
    }

    private static AIContent ReadPart(JsonElement part)
    {
        var type = part.GetProperty("type").GetString();
        switch (type)
        {
            case "text" or "refusal":
                return new TextContent(part.GetProperty(type).GetString());
            case "image_url":
                var image = part.GetProperty("image_url");
                var url = (image.ValueKind == JsonValueKind.String ? image : image.GetProperty("url")).GetString()!;
                return url.StartsWith("data:", StringComparison.OrdinalIgnoreCase) ? new DataContent(url) : new UriContent(new Uri(url), "image/*");
            case "input_audio":
                var audio = part.GetProperty("input_audio");
                return new DataContent(audio.GetProperty("data").GetBytesFromBase64(), audio.GetProperty("format").GetString() == "wav" ? "audio/wav" : "audio/mpeg");
            case "file":
                var file = part.GetProperty("file");
                if (file.TryGetProperty("file_id", out var id)) return new HostedFileContent(id.GetString()!);
                return new DataContent(file.GetProperty("file_data").GetString()!) { Name = file.TryGetProperty("filename", out var name) ? name.GetString() : null };
            default:
                throw new NotSupportedException($"This model of the application has no parts of the type '{type}'; say text, image_url, input_audio or file.");
        }
    }
}
