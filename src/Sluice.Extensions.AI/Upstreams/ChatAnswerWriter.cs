using System.Buffers;
using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI.Upstreams;

/// <summary>Writes what a chat client says as the events of one chat completion, or as one object.</summary>
/// <param name="model">The name under which it was asked.</param>
/// <param name="now">The answer's date, unless the client says another.</param>
internal sealed class ChatAnswerWriter(string model, DateTimeOffset now)
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string _id = "chatcmpl-" + Guid.NewGuid().ToString("N");
    private ChatFinishReason? _reason;
    private UsageDetails? _usage;
    private int _callCount;
    private bool _hasBegun;

    /// <summary>Events for one update; none where it says nothing.</summary>
    public ReadOnlyMemory<byte> Write(ChatResponseUpdate update)
    {
        var output = new ArrayBufferWriter<byte>();
        if (!_hasBegun)
        {
            _hasBegun = true;
            WriteChunk(output, static json => { json.WriteString("role", "assistant"); json.WriteString("content", ""); });
        }
        foreach (var content in update.Contents)
        {
            switch (content)
            {
                case TextReasoningContent { Text.Length: > 0 } reasoning:
                    WriteChunk(output, json => json.WriteString("reasoning_content", reasoning.Text));
                    break;
                case TextContent { Text.Length: > 0 } text:
                    WriteChunk(output, json => json.WriteString("content", text.Text));
                    break;
                case ErrorContent { ErrorCode: "Refusal" } refusal:
                    WriteChunk(output, json => json.WriteString("refusal", refusal.Message));
                    break;
                case FunctionCallContent { InformationalOnly: false } call:
                    WriteChunk(output, json => WriteCalls(json, [call], _callCount++));
                    break;
                case UsageContent usage:
                    (_usage ??= new UsageDetails()).Add(usage.Details);
                    break;
            }
        }
        _reason = update.FinishReason ?? _reason;
        return output.WrittenMemory;
    }

    /// <summary>The last events.</summary>
    public ReadOnlyMemory<byte> WriteEnd()
    {
        var output = new ArrayBufferWriter<byte>();
        WriteChunk(output, static _ => { }, ReasonOf(_reason, _callCount));
        if (_usage is { } usage) WriteEvent(output, json =>
        {
            json.WriteStartArray("choices");
            json.WriteEndArray();
            WriteUsage(json, usage);
        });
        output.Write("data: [DONE]\n\n"u8);
        return output.WrittenMemory;
    }

    /// <summary>The answer as one object.</summary>
    public static ReadOnlyMemory<byte> WriteWhole(ChatResponse answer, string model, DateTimeOffset now)
    {
        var writer = new ChatAnswerWriter(model, now);
        var contents = answer.Messages.Where(static message => message.Role == ChatRole.Assistant).SelectMany(static message => message.Contents).ToList();
        var calls = contents.OfType<FunctionCallContent>().Where(static call => !call.InformationalOnly).ToList();
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, s_options);
        json.WriteStartObject();
        writer.WriteHead(json, "chat.completion");
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        var text = string.Concat(contents.OfType<TextContent>().Select(static content => content.Text));
        if (text.Length == 0 && calls.Count > 0) json.WriteNull("content");
        else json.WriteString("content", text);
        var reasoning = string.Concat(contents.OfType<TextReasoningContent>().Select(static content => content.Text));
        if (reasoning.Length > 0) json.WriteString("reasoning_content", reasoning);
        if (contents.OfType<ErrorContent>().FirstOrDefault(static content => content.ErrorCode == "Refusal") is { } refusal) json.WriteString("refusal", refusal.Message);
        if (calls.Count > 0) WriteCalls(json, calls, first: 0);
        json.WriteEndObject();
        json.WriteString("finish_reason", ReasonOf(answer.FinishReason, calls.Count));
        json.WriteEndObject();
        json.WriteEndArray();
        if (answer.Usage is { } usage) WriteUsage(json, usage);
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    /// <summary>An error object.</summary>
    public static ReadOnlyMemory<byte> WriteError(string message, HttpStatusCode status)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, s_options);
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", message);
        json.WriteString("type", (int)status < 500 ? "invalid_request_error" : "server_error");
        json.WriteNull("param");
        json.WriteNull("code");
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    private static string ReasonOf(ChatFinishReason? reason, int callCount) => reason?.Value ?? (callCount > 0 ? "tool_calls" : "stop");

    private void WriteHead(Utf8JsonWriter json, string kind)
    {
        json.WriteString("id", _id);
        json.WriteString("object", kind);
        json.WriteNumber("created", now.ToUnixTimeSeconds());
        json.WriteString("model", model);
    }

    private void WriteChunk(ArrayBufferWriter<byte> output, Action<Utf8JsonWriter> writeDelta, string? reason = null) => WriteEvent(output, json =>
    {
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteStartObject("delta");
        writeDelta(json);
        json.WriteEndObject();
        json.WriteString("finish_reason", reason);
        json.WriteEndObject();
        json.WriteEndArray();
    });

    private void WriteEvent(ArrayBufferWriter<byte> output, Action<Utf8JsonWriter> write)
    {
        output.Write("data: "u8);
        using (var json = new Utf8JsonWriter(output, s_options))
        {
            json.WriteStartObject();
            WriteHead(json, "chat.completion.chunk");
            write(json);
            json.WriteEndObject();
        }
        output.Write("\n\n"u8);
    }

    private static void WriteCalls(Utf8JsonWriter json, List<FunctionCallContent> calls, int first)
    {
        json.WriteStartArray("tool_calls");
        for (var i = 0; i < calls.Count; i++)
        {
            json.WriteStartObject();
            json.WriteNumber("index", first + i);
            json.WriteString("id", calls[i].CallId);
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", calls[i].Name);
            json.WriteString("arguments", JsonValues.TextOf(calls[i].Arguments));
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteUsage(Utf8JsonWriter json, UsageDetails usage)
    {
        var (input, output) = (usage.InputTokenCount ?? 0, usage.OutputTokenCount ?? 0);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", input);
        json.WriteNumber("completion_tokens", output);
        json.WriteNumber("total_tokens", usage.TotalTokenCount ?? (input + output));
        if (usage.CachedInputTokenCount is { } cached)
        {
            json.WriteStartObject("prompt_tokens_details");
            json.WriteNumber("cached_tokens", cached);
            json.WriteEndObject();
        }
        if (usage.ReasoningTokenCount is { } reasoning)
        {
            json.WriteStartObject("completion_tokens_details");
            json.WriteNumber("reasoning_tokens", reasoning);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }
}
