using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// Makes of a chat request the body of a request to <c>/v1/responses</c>. Pure: equal requests give equal bytes, because caches of prompts
/// depend on that.
/// </summary>
public static class ResponsesRequestWriter
{
    /// <summary>Asks for reasoning in the form in which it goes back.</summary>
    internal const string SealedReasoning = "reasoning.encrypted_content";

    private const string Logprobs = "message.output_text.logprobs";

    // The API refuses less.
    private const int OutputTokensMin = 16;

    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>
    /// Writes the body. Members that the chat API doesn't know, such as <c>reasoning</c> and <c>truncation</c>, are copied as they are; of
    /// what it knows, everything is translated, left out because it doesn't change the answer, or refused. <c>stop</c> is left to
    /// <see cref="ResponsesTranslation"/>.
    /// </summary>
    /// <param name="body">A body that <see cref="ChatCompletionRequestReader"/> has accepted.</param>
    /// <param name="request">The same, read.</param>
    /// <param name="options">What the upstream is told beside it.</param>
    /// <param name="output">Receives the new body; of no use after an error.</param>
    /// <returns>A 400 that names the parameter which the upstream has no word for; null where there is none.</returns>
    /// <exception cref="ArgumentException">The body has not been accepted.</exception>
    public static ApiError? Write(ReadOnlyMemory<byte> body, ChatCompletionRequest request, ResponsesOptions options, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(options);
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) throw new ArgumentException("The body is not valid JSON.", nameof(body));
        using (document)
        {
            var root = document.RootElement;
            if (ResponsesParameters.FindRefusal(request, root) is { } refusal) return refusal;
            using var writer = new Utf8JsonWriter(output, s_writing);
            writer.WriteStartObject();
            return Write(writer, root, request, options);
        }
    }

    private static ApiError? Write(Utf8JsonWriter writer, JsonElement body, ChatCompletionRequest request, ResponsesOptions options)
    {
        writer.WriteString("model"u8, options.Model);
        if (new ResponsesInput(writer, options).Write(body.GetProperty("messages"u8)) is { } fault) return fault;
        if (request.MaxTokens is { } maxTokens) writer.WriteNumber("max_output_tokens"u8, int.Max(maxTokens, OutputTokensMin));
        if (request.Temperature is { } temperature) writer.WriteNumber("temperature"u8, temperature);
        if (request.TopP is { } topP) writer.WriteNumber("top_p"u8, topP);
        if (request.Tools is { } tools && FlatTools.Write(writer, tools, request.ToolChoice) is { } toolFault) return toolFault;
        if (!request.ParallelToolCalls) writer.WriteBoolean("parallel_tool_calls"u8, false);

        var foreign = ResponsesParameters.FindForeign(body);
        var formFault = WriteFormat(writer, body, request, foreign) ?? WriteEffort(writer, body, foreign) ?? WriteInclude(writer, request, options, foreign);
        if (formFault is not null) return formFault;
        foreach (var name in ResponsesParameters.Shared)
        {
            if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) continue;
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        foreach (var (name, value) in foreign)
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        // Conversations are the hub's, and so no server has to keep them.
        writer.WriteBoolean("store"u8, false);
        if (options.IsStream) writer.WriteBoolean("stream"u8, true);
        writer.WriteEndObject();
        return null;
    }

    private static ApiError? WriteFormat(Utf8JsonWriter writer, JsonElement body, ChatCompletionRequest request, OrderedDictionary<string, JsonElement> foreign)
    {
        var parameters = new ParameterReader(body);
        var verbosity = parameters.Text("verbosity");
        if (parameters.Error is { } error) return error;
        var format = request.ResponseSchema;
        if (format is null && verbosity is null) return null;
        if (foreign.ContainsKey("text"))
            return ApiErrors.NotInMessages(format is null ? "verbosity" : "response_format", "'text' is there too, and has the place of both");
        if (format is { IsAnyObject: false, Schema: null }) return ApiErrors.MissingParameter("response_format.json_schema.schema");
        writer.WriteStartObject("text"u8);
        if (format is not null)
        {
            writer.WriteStartObject("format"u8);
            writer.WriteString("type"u8, format.IsAnyObject ? "json_object"u8 : "json_schema"u8);
            if (format.Schema is { } schema)
            {
                writer.WriteString("name"u8, format.Name);
                if (FindDescription(body) is { } description) writer.WriteString("description"u8, description);
                writer.WritePropertyName("schema"u8);
                schema.WriteTo(writer);
                writer.WriteBoolean("strict"u8, format.IsStrict);
            }
            writer.WriteEndObject();
        }
        if (verbosity is not null) writer.WriteString("verbosity"u8, verbosity);
        writer.WriteEndObject();
        return null;
    }

    private static string? FindDescription(JsonElement body) =>
        body.TryGet("response_format"u8, JsonValueKind.Object, out var format) && format.TryGet("json_schema"u8, JsonValueKind.Object, out var definition)
        && definition.TryGet("description"u8, JsonValueKind.String, out var description) ? description.GetString() : null;

    // The API's own object may be there too, for what chat has no word for, such as summaries.
    private static ApiError? WriteEffort(Utf8JsonWriter writer, JsonElement body, OrderedDictionary<string, JsonElement> foreign)
    {
        var parameters = new ParameterReader(body);
        var effort = parameters.Text("reasoning_effort");
        if (parameters.Error is { } error) return error;
        if (effort is null) return null;
        var hasOwn = foreign.Remove("reasoning", out var own);
        if (hasOwn && own.ValueKind != JsonValueKind.Object) return ApiErrors.InvalidType("reasoning", "an object", ApiErrors.Describe(own));
        writer.WriteStartObject("reasoning"u8);
        if (!hasOwn || !own.TryGetProperty("effort"u8, out _)) writer.WriteString("effort"u8, effort);
        if (hasOwn)
        {
            foreach (var member in own.EnumerateObject()) member.WriteTo(writer);
        }
        writer.WriteEndObject();
        return null;
    }

    private static ApiError? WriteInclude(
        Utf8JsonWriter writer, ChatCompletionRequest request, ResponsesOptions options, OrderedDictionary<string, JsonElement> foreign)
    {
        var included = new List<string>();
        if (foreign.Remove("include", out var own))
        {
            if (own.ValueKind != JsonValueKind.Array) return ApiErrors.InvalidType("include", "an array of strings", ApiErrors.Describe(own));
            foreach (var value in own.EnumerateArray())
            {
                if (value.ValueKind == JsonValueKind.String) included.Add(value.GetString()!);
            }
        }
        if (options.HasReasoning) included.Add(SealedReasoning);
        if (request.Logprobs) included.Add(Logprobs);
        if (included.Count > 0)
        {
            writer.WriteStartArray("include"u8);
            foreach (var value in included.Distinct(StringComparer.Ordinal)) writer.WriteStringValue(value);
            writer.WriteEndArray();
        }
        if (request.Logprobs) writer.WriteNumber("top_logprobs"u8, request.TopLogprobs);
        return null;
    }
}
