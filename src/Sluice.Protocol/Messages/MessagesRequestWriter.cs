using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>Makes of a chat request the body of a streamed request to Anthropic's <c>/v1/messages</c>.</summary>
public static class MessagesRequestWriter
{
    private const int BudgetTokensMin = 1024;

    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>
    /// Writes the body. Members that OpenAI's API doesn't know, such as <c>thinking</c>, are copied as they are; of what it knows,
    /// everything is translated, left out because it doesn't change the answer, or refused.
    /// </summary>
    /// <param name="body">A body that <see cref="ChatCompletionRequestReader"/> has accepted.</param>
    /// <param name="request">The same, read.</param>
    /// <param name="options">What the upstream is told beside it.</param>
    /// <param name="output">Receives the new body; of no use after an error.</param>
    /// <returns>A 400 that names the parameter which the upstream has no word for; null where there is none.</returns>
    /// <exception cref="ArgumentException">The body has not been accepted.</exception>
    public static ApiError? Write(ReadOnlyMemory<byte> body, ChatCompletionRequest request, MessagesOptions options, IBufferWriter<byte> output)
    {
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) throw new ArgumentException("The body is not valid JSON.", nameof(body));
        using (document)
        {
            var root = document.RootElement;
            if (MessagesParameters.FindRefusal(request, root) is { } refusal) return refusal;
            using var writer = new Utf8JsonWriter(output, s_writing);
            writer.WriteStartObject();
            return Write(writer, root, request, options);
        }
    }

    private static ApiError? Write(Utf8JsonWriter writer, JsonElement body, ChatCompletionRequest request, MessagesOptions options)
    {
        var maxTokens = request.MaxTokens ?? options.DefaultMaxTokens;
        writer.WriteString("model"u8, options.Model);
        writer.WriteNumber("max_tokens"u8, maxTokens);
        writer.WriteBoolean("stream"u8, true);
        var conversation = new MessagesConversation(writer, options.HasSystemTurns, hasThinking: !options.LeavesOutThinking);
        if (conversation.Write(body.GetProperty("messages"u8)) is { } fault) return fault;
        if (request.Stop.Count > 0)
        {
            writer.WriteStartArray("stop_sequences"u8);
            foreach (var sequence in request.Stop) writer.WriteStringValue(sequence);
            writer.WriteEndArray();
        }
        if (options.TakesSampling) WriteSampling(writer, request);
        if ((FindText(body, "user"u8) ?? FindText(body, "safety_identifier"u8)) is { Length: > 0 } user)
        {
            writer.WriteStartObject("metadata"u8);
            writer.WriteString("user_id"u8, user);
            writer.WriteEndObject();
        }
        if (request.Tools is { } tools)
        {
            var allowsParallelCalls = !body.TryGet("parallel_tool_calls"u8, JsonValueKind.False, out _);
            if (MessagesTools.Write(writer, tools, request.ToolChoice, allowsParallelCalls) is { } toolFault) return toolFault;
        }

        var foreign = MessagesParameters.FindForeign(body);
        if (WriteOutput(writer, body, request, options, maxTokens, foreign) is { } outputFault) return outputFault;
        foreach (var (name, value) in foreign)
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        writer.WriteEndObject();
        return null;
    }

    private static void WriteSampling(Utf8JsonWriter writer, ChatCompletionRequest request)
    {
        // The range ends at 1 there, and what lies above is as random as it gets.
        if (request.Temperature is { } temperature) writer.WriteNumber("temperature"u8, double.Min(temperature, 1));
        if (request.TopP is { } topP) writer.WriteNumber("top_p"u8, topP);
        if (request.TopK is > 0 and var topK) writer.WriteNumber("top_k"u8, topK);
    }

    // How much is thought, and in which form the answer comes.
    private static ApiError? WriteOutput(
        Utf8JsonWriter writer,
        JsonElement body,
        ChatCompletionRequest request,
        MessagesOptions options,
        int maxTokens,
        OrderedDictionary<string, JsonElement> foreign)
    {
        var (schema, schemaFault) = FindSchema(request);
        var (effort, effortFault) = FindEffort(body);
        if ((schemaFault ?? effortFault) is { } fault) return fault;
        if (options.LeavesOutThinking && (foreign.Remove("thinking") || effort is not null)) effort = "none";
        if (foreign.ContainsKey("output_config"))
        {
            return schema is null ? null : ApiErrors.NotInMessages("response_format", "'output_config' is there too, and has the place of both");
        }

        if (effort is not null && !foreign.ContainsKey("thinking")) WriteThinking(writer, effort, options.Thinking, maxTokens);
        var hasEffort = effort is not (null or "none") && options.Thinking == ThinkingMode.Adaptive;
        if (!hasEffort && schema is null) return null;
        writer.WriteStartObject("output_config"u8);
        if (hasEffort) writer.WriteString("effort"u8, effort == "minimal" ? "low" : effort);
        if (schema is { } format)
        {
            writer.WriteStartObject("format"u8);
            writer.WriteString("type"u8, "json_schema"u8);
            writer.WritePropertyName("schema"u8);
            format.WriteTo(writer);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
        return null;
    }

    private static void WriteThinking(Utf8JsonWriter writer, string effort, ThinkingMode mode, int maxTokens)
    {
        var share = effort switch { "none" => 0, "minimal" => 0.1, "low" => 0.2, "medium" => 0.5, "high" => 0.8, _ => 0.95 };
        var budget = int.Max(BudgetTokensMin, (int)(maxTokens * share));
        // An answer that short leaves no room for the least budget that there is.
        if (mode == ThinkingMode.Budget && effort != "none" && budget >= maxTokens) return;
        writer.WriteStartObject("thinking"u8);
        writer.WriteString("type"u8, effort == "none" ? "disabled" : mode == ThinkingMode.Adaptive ? "adaptive" : "enabled");
        if (mode == ThinkingMode.Budget && effort != "none") writer.WriteNumber("budget_tokens"u8, budget);
        writer.WriteEndObject();
    }

    private static (string? Effort, ApiError? Fault) FindEffort(JsonElement body)
    {
        var parameters = new ParameterReader(body);
        var effort = parameters.Choice("reasoning_effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"]);
        return (effort, parameters.Error);
    }

    private static (JsonElement? Schema, ApiError? Fault) FindSchema(ChatCompletionRequest request) => request.ResponseSchema switch
    {
        null => default,
        { Schema: { } schema } => (schema, null),
        { IsJson: false, Name: var param } => (null, ApiErrors.NotInMessages(param, "use 'response_format' with a JSON schema")),
        { IsAnyObject: true } => (null, ApiErrors.ValueNotInMessages("response_format", "use 'json_schema' with a schema")),
        _ => (null, ApiErrors.MissingParameter("response_format.json_schema.schema")),
    };

    private static string? FindText(JsonElement body, ReadOnlySpan<byte> name) => body.TryGet(name, JsonValueKind.String, out var value) ? value.GetString() : null;
}
