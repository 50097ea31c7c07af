using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses;

/// <summary>Writes a Responses request in the neutral form.</summary>
internal static class ResponsesRequest
{
    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    // Not of this dialect, but taken by many servers and by the local engine.
    private static readonly string[] s_extensions =
    [
        "temperature", "top_p", "stop", "seed", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias",
        "chat_template_kwargs", "enable_thinking", "user",
    ];

    /// <summary>See <see cref="AnswerDialect.WriteNeutral"/>.</summary>
    public static ApiError? WriteNeutral(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output)
    {
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) return ApiErrors.UnparsableBody();
        using (document)
        {
            var root = document.RootElement;
            if (FindRefusal(root) is { } refusal) return refusal;
            var tools = new ResponsesTools(root);
            using var writer = new Utf8JsonWriter(output, s_writing);
            writer.WriteStartObject();
            writer.WritePropertyName("model"u8);
            root.GetProperty("model"u8).WriteTo(writer);
            writer.WriteBoolean("stream"u8, true);
            if (new ResponsesConversation(writer, form).Write(root) is { } fault) return fault;
            if (ResponsesToolWriter.Write(writer, root, tools, form) is { } toolFault) return toolFault;
            if (WriteParameters(writer, root) is { } parameterFault) return parameterFault;
            writer.WriteEndObject();
            return null;
        }
    }

    private static ApiError? FindRefusal(JsonElement root)
    {
        if (Has(root, "conversation"u8)) return ApiErrors.NotInResponses("conversation", "the hub keeps no conversations; use 'previous_response_id'");
        if (Has(root, "prompt"u8)) return ApiErrors.NotInResponses("prompt", "stored prompts are OpenAI's; write the instructions out");
        if (Has(root, "n"u8)) return ApiErrors.NotInResponses("n", "a response is one answer");
        if (Has(root, "truncation"u8) && (!root.TryGet("truncation"u8, JsonValueKind.String, out var truncation) || truncation.GetString() is not ("auto" or "disabled")))
            return ApiErrors.ValueNotInResponses("truncation", "use 'auto' or 'disabled'");
        if (Has(root, "input"u8)) return null;
        return Has(root, "messages"u8)
            ? ApiErrors.NotInResponses("messages", "here it is 'input'; 'messages' belongs to /v1/chat/completions")
            : ApiErrors.MissingParameter("input");
    }

    private static ApiError? WriteParameters(Utf8JsonWriter writer, JsonElement root)
    {
        foreach (var name in s_extensions)
        {
            if (!root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) continue;
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }
        if (root.TryGetProperty("max_output_tokens"u8, out var most) && most.ValueKind != JsonValueKind.Null)
        {
            if (most.ValueKind != JsonValueKind.Number || !most.TryGetInt32(out var tokens) || tokens < 1)
                return ApiErrors.InvalidType("max_output_tokens", "a whole number above 0", most.GetRawText());
            writer.WriteNumber("max_tokens"u8, tokens);
        }
        if (ReadIncludes(root).Contains("message.output_text.logprobs"))
        {
            writer.WriteBoolean("logprobs"u8, true);
            if (root.TryGet("top_logprobs"u8, JsonValueKind.Number, out var top)) CopyAs(writer, "top_logprobs"u8, top);
        }
        if (root.TryGet("reasoning"u8, JsonValueKind.Object, out var reasoning) && reasoning.TryGet("effort"u8, JsonValueKind.String, out var effort))
            CopyAs(writer, "reasoning_effort"u8, effort);
        if (!root.TryGet("text"u8, JsonValueKind.Object, out var text)) return null;
        if (text.TryGet("verbosity"u8, JsonValueKind.String, out var verbosity)) CopyAs(writer, "verbosity"u8, verbosity);
        return text.TryGet("format"u8, JsonValueKind.Object, out var format) ? WriteFormat(writer, format) : null;
    }

    // Flat here, nested there.
    private static ApiError? WriteFormat(Utf8JsonWriter writer, JsonElement format)
    {
        if (!format.TryGet("type"u8, JsonValueKind.String, out var type)) return ApiErrors.MissingParameter("text.format.type");
        if (type.ValueEquals("text"u8)) return null;
        writer.WriteStartObject("response_format"u8);
        CopyAs(writer, "type"u8, type);
        if (type.ValueEquals("json_schema"u8))
        {
            writer.WriteStartObject("json_schema"u8);
            foreach (var member in format.EnumerateObject())
            {
                if (!member.NameEquals("type"u8) && member.Value.ValueKind != JsonValueKind.Null) member.WriteTo(writer);
            }
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
        return null;
    }

    private static HashSet<string> ReadIncludes(JsonElement root)
    {
        var includes = new HashSet<string>(StringComparer.Ordinal);
        if (!root.TryGet("include"u8, JsonValueKind.Array, out var list)) return includes;
        foreach (var element in list.EnumerateArray())
        {
            if (element.ValueKind == JsonValueKind.String) includes.Add(element.GetString()!);
        }
        return includes;
    }

    private static bool Has(JsonElement root, ReadOnlySpan<byte> name) => root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    private static void CopyAs(Utf8JsonWriter writer, ReadOnlySpan<byte> name, JsonElement value)
    {
        writer.WritePropertyName(name);
        value.WriteTo(writer);
    }
}
