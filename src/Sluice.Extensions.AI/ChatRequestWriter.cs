using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI;

/// <summary>A conversation and its options as the body of a chat completion.</summary>
internal static class ChatRequestWriter
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="messages">The conversation.</param>
    /// <param name="options">What the caller wants; null for nothing.</param>
    /// <param name="model">The model, unless the options name another.</param>
    /// <exception cref="NotSupportedException">Something can't be said in this API; the message names it.</exception>
    public static ReadOnlyMemory<byte> Write(IEnumerable<ChatMessage> messages, ChatOptions? options, string model)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, s_options);
        json.WriteStartObject();
        json.WriteString("model", options?.ModelId ?? model);
        json.WriteBoolean("stream", true);
        json.WriteStartObject("stream_options");
        json.WriteBoolean("include_usage", true);
        json.WriteEndObject();
        json.WriteStartArray("messages");
        if (options?.Instructions is { Length: > 0 } instructions) WriteText(json, "system", instructions);
        foreach (var message in messages) ChatMessageWriter.Write(json, message);
        json.WriteEndArray();
        if (options is not null) WriteOptions(json, options);
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    private static void WriteText(Utf8JsonWriter json, string role, string text)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", text);
        json.WriteEndObject();
    }

    private static void WriteOptions(Utf8JsonWriter json, ChatOptions options)
    {
        if (options.Temperature is { } temperature) json.WriteNumber("temperature", temperature);
        if (options.TopP is { } topP) json.WriteNumber("top_p", topP);
        if (options.TopK is { } topK) json.WriteNumber("top_k", topK);
        if (options.MaxOutputTokens is { } maxTokens) json.WriteNumber("max_completion_tokens", maxTokens);
        if (options.FrequencyPenalty is { } frequency) json.WriteNumber("frequency_penalty", frequency);
        if (options.PresencePenalty is { } presence) json.WriteNumber("presence_penalty", presence);
        if (options.Seed is { } seed) json.WriteNumber("seed", seed);
        if (options.StopSequences is { Count: > 0 } stops)
        {
            json.WriteStartArray("stop");
            foreach (var stop in stops) json.WriteStringValue(stop);
            json.WriteEndArray();
        }
        if (options.Reasoning?.Effort is { } effort) json.WriteString("reasoning_effort", WordOf(effort));
        if (options.ResponseFormat is ChatResponseFormatJson format) WriteFormat(json, format);
        if (options.Tools is { Count: > 0 } tools) WriteTools(json, tools, options);
        foreach (var (name, value) in options.AdditionalProperties ?? [])
        {
            json.WritePropertyName(name);
            JsonValues.Write(json, value);
        }
    }

    private static string WordOf(ReasoningEffort effort) => effort switch
    {
        ReasoningEffort.None => "none",
        ReasoningEffort.Low => "low",
        ReasoningEffort.Medium => "medium",
        ReasoningEffort.High => "high",
        _ => "xhigh",
    };

    private static void WriteFormat(Utf8JsonWriter json, ChatResponseFormatJson format)
    {
        json.WriteStartObject("response_format");
        if (format.Schema is not { } schema)
        {
            json.WriteString("type", "json_object");
        }
        else
        {
            json.WriteString("type", "json_schema");
            json.WriteStartObject("json_schema");
            json.WriteString("name", format.SchemaName ?? "answer");
            if (format.SchemaDescription is { } description) json.WriteString("description", description);
            json.WritePropertyName("schema");
            schema.WriteTo(json);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    private static void WriteTools(Utf8JsonWriter json, IList<AITool> tools, ChatOptions options)
    {
        json.WriteStartArray("tools");
        foreach (var tool in tools)
        {
            if (tool is not AIFunctionDeclaration function) throw new NotSupportedException($"The tool '{tool.Name}' is a {tool.GetType().Name}; only functions can be given to a chat completion.");
            json.WriteStartObject();
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", function.Name);
            if (function.Description is { Length: > 0 } description) json.WriteString("description", description);
            json.WritePropertyName("parameters");
            function.JsonSchema.WriteTo(json);
            if (function.AdditionalProperties.TryGetValue("strict", out var strict) && strict is bool isStrict) json.WriteBoolean("strict", isStrict);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (options.AllowMultipleToolCalls is { } parallel) json.WriteBoolean("parallel_tool_calls", parallel);
        switch (options.ToolMode)
        {
            case NoneChatToolMode:
                json.WriteString("tool_choice", "none");
                break;
            case RequiredChatToolMode { RequiredFunctionName: { } name }:
                json.WriteStartObject("tool_choice");
                json.WriteString("type", "function");
                json.WriteStartObject("function");
                json.WriteString("name", name);
                json.WriteEndObject();
                json.WriteEndObject();
                break;
            case RequiredChatToolMode:
                json.WriteString("tool_choice", "required");
                break;
            case AutoChatToolMode:
                json.WriteString("tool_choice", "auto");
                break;
        }
    }
}
