using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI;

/// <summary>Writes one message of a conversation as chat completions have it; results of several tools are a message each.</summary>
internal static class ChatMessageWriter
{
    /// <exception cref="NotSupportedException">A content can't be said in this API; the message names it.</exception>
    public static void Write(Utf8JsonWriter json, ChatMessage message)
    {
        foreach (var result in message.Contents.OfType<FunctionResultContent>()) WriteResult(json, result);
        var contents = message.Contents.Where(static content => content is not (FunctionResultContent or UsageContent or ErrorContent)).ToList();
        if (contents.Count == 0 && (message.Role == ChatRole.Tool || message.Contents.Count > 0)) return;
        json.WriteStartObject();
        json.WriteString("role", message.Role.Value);
        if (message.AuthorName is { Length: > 0 } name) json.WriteString("name", name);
        WriteContent(json, [.. contents.Where(static content => content is not (FunctionCallContent or TextReasoningContent))], contents.OfType<FunctionCallContent>().Any());
        WriteReasoning(json, contents.OfType<TextReasoningContent>());
        WriteCalls(json, [.. contents.OfType<FunctionCallContent>()]);
        json.WriteEndObject();
    }

    private static void WriteResult(Utf8JsonWriter json, FunctionResultContent result)
    {
        json.WriteStartObject();
        json.WriteString("role", "tool");
        json.WriteString("tool_call_id", result.CallId);
        json.WriteString("content", result is { Result: null, Exception: { } exception } ? $"Error: {exception.Message}" : JsonValues.TextOf(result.Result));
        json.WriteEndObject();
    }

    private static void WriteReasoning(Utf8JsonWriter json, IEnumerable<TextReasoningContent> reasoning)
    {
        var text = string.Concat(reasoning.Select(static part => part.Text));
        if (text.Length > 0) json.WriteString("reasoning_content", text);
    }

    private static void WriteCalls(Utf8JsonWriter json, List<FunctionCallContent> calls)
    {
        if (calls.Count == 0) return;
        json.WriteStartArray("tool_calls");
        foreach (var call in calls)
        {
            json.WriteStartObject();
            json.WriteString("id", call.CallId);
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", call.Name);
            json.WriteString("arguments", JsonValues.TextOf(call.Arguments));
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteContent(Utf8JsonWriter json, List<AIContent> contents, bool hasCalls)
    {
        if (contents.Count == 0)
        {
            if (hasCalls) json.WriteNull("content");
            else json.WriteString("content", "");
            return;
        }
        if (contents.TrueForAll(static content => content is TextContent))
        {
            json.WriteString("content", string.Concat(contents.Cast<TextContent>().Select(static content => content.Text)));
            return;
        }
        json.WriteStartArray("content");
        foreach (var content in contents) WritePart(json, content);
        json.WriteEndArray();
    }

    private static void WritePart(Utf8JsonWriter json, AIContent content)
    {
        json.WriteStartObject();
        switch (content)
        {
            case TextContent text:
                json.WriteString("type", "text");
                json.WriteString("text", text.Text);
                break;
            case UriContent uri when uri.HasTopLevelMediaType("image"):
                WriteImage(json, uri.Uri.ToString());
                break;
            case DataContent data when data.HasTopLevelMediaType("image"):
                WriteImage(json, data.Uri);
                break;
            case DataContent data when data.HasTopLevelMediaType("audio"):
                json.WriteString("type", "input_audio");
                json.WriteStartObject("input_audio");
                json.WriteString("data", data.Base64Data.Span);
                json.WriteString("format", data.MediaType.Contains("wav", StringComparison.OrdinalIgnoreCase) ? "wav" : "mp3");
                json.WriteEndObject();
                break;
            case DataContent data:
                json.WriteString("type", "file");
                json.WriteStartObject("file");
                json.WriteString("filename", data.Name ?? "file");
                json.WriteString("file_data", data.Uri);
                json.WriteEndObject();
                break;
            case HostedFileContent file:
                json.WriteString("type", "file");
                json.WriteStartObject("file");
                json.WriteString("file_id", file.FileId);
                json.WriteEndObject();
                break;
            default:
                throw new NotSupportedException($"A chat completion can't have a {content.GetType().Name}.");
        }
        json.WriteEndObject();
    }

    private static void WriteImage(Utf8JsonWriter json, string url)
    {
        json.WriteString("type", "image_url");
        json.WriteStartObject("image_url");
        json.WriteString("url", url);
        json.WriteEndObject();
    }
}
