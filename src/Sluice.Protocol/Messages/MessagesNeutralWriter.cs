using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Writes a request of the Messages API in the neutral form. What changes the answer is translated or refused; what says how it is made, stored
/// or billed is left out. Texts are not changed, and equal requests give equal bytes.
/// </summary>
internal static class MessagesNeutralWriter
{
    // What a model was given would be another thing without these.
    private static readonly string[] s_refused = ["mcp_servers", "thread", "compaction"];

    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>See <see cref="AnswerDialect.WriteNeutral"/>.</summary>
    public static ApiError? Write(ReadOnlyMemory<byte> body, NeutralForm form, IBufferWriter<byte> output)
    {
        if (!JsonBody.TryParse(new ReadOnlySequence<byte>(body), out var document)) return ApiErrors.UnparsableBody();
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object) return ApiErrors.BodyNotAnObject(ApiErrors.Describe(document.RootElement));
            var parameters = new ParameterReader(document.RootElement);
            using var writer = new Utf8JsonWriter(output, s_writing);
            writer.WriteStartObject();
            Write(writer, parameters, form);
            writer.WriteEndObject();
            return parameters.Error;
        }
    }

    private static void Write(Utf8JsonWriter writer, ParameterReader parameters, NeutralForm form)
    {
        foreach (var name in s_refused)
        {
            if (parameters.Find(name) is { } value && !IsEmpty(value)) parameters.Fail(ApiErrors.NotInMessages(name, "only Anthropic's own servers have it"));
        }
        writer.WriteString("model"u8, parameters.RequireText("model", ProtocolLimits.ModelNameLengthMax));
        if (parameters.Find("max_tokens") is null) parameters.Fail(ApiErrors.MissingParameter("max_tokens"));
        if (parameters.Integer("max_tokens", 1, int.MaxValue) is { } maxTokens) writer.WriteNumber("max_tokens"u8, maxTokens);
        // What has to be translated is asked for as a stream; who answers the client folds it.
        writer.WriteBoolean("stream"u8, true);
        var conversation = new MessagesTurns(parameters, form);
        conversation.Read();
        if (parameters.Error is not null) return;
        MessagesTurnWriter.Write(writer, conversation, form);
        if (parameters.Decimal("temperature", 0, 1) is { } temperature) writer.WriteNumber("temperature"u8, temperature);
        if (parameters.Decimal("top_p", 0, 1) is { } topP) writer.WriteNumber("top_p"u8, topP);
        if (parameters.Integer("top_k", 0, ProtocolLimits.TopKMax) is { } topK) writer.WriteNumber("top_k"u8, topK);
        WriteStop(writer, parameters);
        MessagesNeutralTools.Write(writer, parameters);
        WriteThinking(writer, parameters, form);
        WriteFormat(writer, parameters);
        WriteUser(writer, parameters);
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind is JsonValueKind.Array && value.GetArrayLength() == 0;

    private static void WriteStop(Utf8JsonWriter writer, ParameterReader parameters)
    {
        if (parameters.Find("stop_sequences", JsonValueKind.Array, "an array of strings") is not { } sequences) return;
        var count = sequences.GetArrayLength();
        if (count > ProtocolLimits.StopSequencesMax)
        {
            parameters.Fail(ApiErrors.ArrayTooLong("stop_sequences", ProtocolLimits.StopSequencesMax, count));
            return;
        }
        writer.WriteStartArray("stop"u8);
        for (var i = 0; i < count; i++)
        {
            var sequence = sequences[i];
            if (sequence.ValueKind != JsonValueKind.String)
            {
                parameters.Fail(ApiErrors.InvalidType(MessagesTurns.PathOf("stop_sequences", i), "a string", ApiErrors.Describe(sequence)));
                return;
            }
            var length = JsonStrings.CountCharacters(sequence.GetString()!);
            if (length > ProtocolLimits.StopSequenceLengthMax)
                parameters.Fail(ApiErrors.StringTooLong(MessagesTurns.PathOf("stop_sequences", i), ProtocolLimits.StopSequenceLengthMax, length));
            sequence.WriteTo(writer);
        }
        writer.WriteEndArray();
    }

    // How hard a model thinks: a word where there is one, else a number of tokens becomes one.
    private static void WriteThinking(Utf8JsonWriter writer, ParameterReader parameters, NeutralForm form)
    {
        string? type = null;
        string? effort = null;
        if (parameters.Find("thinking", JsonValueKind.Object, "an object") is { } thinking)
        {
            var members = new ParameterReader(thinking, "thinking");
            if (members.Find("type") is null) members.Fail(ApiErrors.MissingParameter("thinking.type"));
            type = members.Choice("type", ["enabled", "adaptive", "disabled", "between_tools"]);
            var budget = type == "enabled" ? members.Integer("budget_tokens", 1, int.MaxValue) : null;
            effort = budget switch { null => null, < 4_000 => "low", < 16_000 => "medium", _ => "high" };
            parameters.Fail(members.Error);
        }
        if (parameters.Find("output_config", JsonValueKind.Object, "an object") is { } config)
        {
            var members = new ParameterReader(config, "output_config");
            effort = members.Choice("effort", ["low", "medium", "high", "xhigh", "max"]) ?? effort;
            parameters.Fail(members.Error);
        }
        if (type == "disabled") effort = "none";
        if (effort is not null) writer.WriteString("reasoning_effort"u8, effort);
        // The engine's templates know a switch, where they know one.
        if (type is not null && form is { KeepsCustomTools: true, KeepsMediaInResults: false }) writer.WriteBoolean("enable_thinking"u8, type != "disabled");
    }

    private static void WriteFormat(Utf8JsonWriter writer, ParameterReader parameters)
    {
        var path = "output_config.format";
        var found = parameters.Find("output_config") is { ValueKind: JsonValueKind.Object } config ? new ParameterReader(config, "output_config").Find("format") : null;
        if (found is null) (path, found) = ("output_format", parameters.Find("output_format"));
        if (found is not { } value) return;
        if (value.ValueKind != JsonValueKind.Object)
        {
            parameters.Fail(ApiErrors.InvalidType(path, "an object", ApiErrors.Describe(value)));
            return;
        }
        var format = new ParameterReader(value, path);
        if (format.RequireText("type") is { } type && type != "json_schema") format.Fail(ApiErrors.InvalidValue(format.PathOf("type"), type, "'json_schema'"));
        var schema = format.Require("schema", JsonValueKind.Object, "an object");
        parameters.Fail(format.Error);
        if (format.Error is not null) return;
        writer.WriteStartObject("response_format"u8);
        writer.WriteString("type"u8, "json_schema"u8);
        writer.WriteStartObject("json_schema"u8);
        writer.WriteString("name"u8, "output"u8);
        writer.WriteBoolean("strict"u8, true);
        writer.WritePropertyName("schema"u8);
        schema!.Value.WriteTo(writer);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteUser(Utf8JsonWriter writer, ParameterReader parameters)
    {
        if (parameters.Find("metadata", JsonValueKind.Object, "an object") is not { } metadata) return;
        var members = new ParameterReader(metadata, "metadata");
        if (members.Text("user_id") is { Length: > 0 } user) writer.WriteString("user"u8, user);
        parameters.Fail(members.Error);
    }
}
