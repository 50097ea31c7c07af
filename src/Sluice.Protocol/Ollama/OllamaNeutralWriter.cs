using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Ollama;

/// <summary>Writes a request of Ollama's API in the neutral form.</summary>
internal static class OllamaNeutralWriter
{
    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>See <see cref="AnswerDialect.WriteNeutral"/>.</summary>
    public static ApiError? Write(ReadOnlyMemory<byte> body, bool isGenerate, NeutralForm form, IBufferWriter<byte> output)
    {
        if (isGenerate && OllamaText.Find(body) is not null) return ApiErrors.OnlyLocalText();
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) return ApiErrors.UnparsableBody();
        using (document)
        {
            var parameters = new ParameterReader(document.RootElement);
            using var writer = new Utf8JsonWriter(output, s_writing);
            writer.WriteStartObject();
            writer.WriteString("model"u8, parameters.RequireText("model", ProtocolLimits.ModelNameLengthMax));
            // What has to be translated is asked for as a stream; who answers the client folds it.
            writer.WriteBoolean("stream"u8, true);
            if (isGenerate) WritePrompt(writer, parameters);
            else new OllamaMessages(writer, parameters).Write();
            WriteTools(writer, parameters);
            var options = new OllamaOptions(document.RootElement, isText: false);
            options.Write(writer);
            parameters.Fail(options.Error);
            WriteFormat(writer, parameters);
            WriteThinking(writer, parameters, form);
            writer.WriteEndObject();
            return parameters.Error;
        }
    }

    private static void WritePrompt(Utf8JsonWriter writer, ParameterReader parameters)
    {
        // Both would have to change what the hub keeps as the model's own.
        if (parameters.Text("template") is { Length: > 0 }) parameters.Fail(ApiErrors.NotInOllama("template", "the model's own template is used; 'raw': true takes none"));
        if (parameters.Find("context") is { ValueKind: JsonValueKind.Array } context && context.GetArrayLength() > 0)
            parameters.Fail(ApiErrors.NotInOllama("context", "earlier turns go to /api/chat as messages"));
        writer.WriteStartArray("messages"u8);
        if (parameters.Text("system") is { Length: > 0 } system)
        {
            writer.WriteStartObject();
            writer.WriteString("role"u8, "system"u8);
            writer.WriteString("content"u8, system);
            writer.WriteEndObject();
        }
        writer.WriteStartObject();
        writer.WriteString("role"u8, "user"u8);
        OllamaMessages.WriteContent(writer, parameters.Text("prompt") ?? "", parameters);
        writer.WriteEndObject();
        writer.WriteEndArray();
    }

    private static void WriteTools(Utf8JsonWriter writer, ParameterReader parameters)
    {
        if (parameters.Find("tools", JsonValueKind.Array, "an array of objects") is not { } tools || tools.GetArrayLength() == 0) return;
        writer.WritePropertyName("tools"u8);
        tools.WriteTo(writer);
    }

    private static void WriteFormat(Utf8JsonWriter writer, ParameterReader parameters)
    {
        if (parameters.Find("format") is not { } format || (format.ValueKind == JsonValueKind.String && format.ValueEquals(""u8))) return;
        if (format.ValueKind == JsonValueKind.String && format.ValueEquals("json"u8))
        {
            writer.WriteStartObject("response_format"u8);
            writer.WriteString("type"u8, "json_object"u8);
            writer.WriteEndObject();
            return;
        }
        if (format.ValueKind != JsonValueKind.Object)
        {
            parameters.Fail(ApiErrors.InvalidType("format", "'json' or a JSON schema", ApiErrors.Describe(format)));
            return;
        }
        writer.WriteStartObject("response_format"u8);
        writer.WriteString("type"u8, "json_schema"u8);
        writer.WriteStartObject("json_schema"u8);
        writer.WriteString("name"u8, "output"u8);
        writer.WritePropertyName("schema"u8);
        format.WriteTo(writer);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    // A switch for the engine's templates. Servers that don't know one would refuse it, so that only a word goes there.
    private static void WriteThinking(Utf8JsonWriter writer, ParameterReader parameters, NeutralForm form)
    {
        if (parameters.Find("think") is not { } think) return;
        var isEngine = form is { KeepsCustomTools: true, KeepsMediaInResults: false };
        switch (think.ValueKind)
        {
            case JsonValueKind.String:
                writer.WriteString("reasoning_effort"u8, think.GetString());
                if (isEngine) writer.WriteBoolean("enable_thinking"u8, true);
                return;
            case JsonValueKind.True or JsonValueKind.False:
                if (isEngine) writer.WriteBoolean("enable_thinking"u8, think.GetBoolean());
                return;
            default:
                parameters.Fail(ApiErrors.InvalidType("think", "a boolean, or 'low', 'medium' or 'high'", ApiErrors.Describe(think)));
                return;
        }
    }
}
