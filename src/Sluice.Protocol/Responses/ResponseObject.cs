using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Responses;

/// <summary>
/// The response object of one answer: what it repeats of the request is written once, what changes with every event that carries the object is
/// written each time.
/// </summary>
internal sealed class ResponseObject
{
    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly byte[] _head;
    private readonly byte[] _echo;
    private readonly byte[] _notes;

    /// <param name="head">What is known of the answer, with the request's body.</param>
    /// <param name="tools">Of the same request.</param>
    public ResponseObject(AnswerHead head, ResponsesTools tools)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(output, "{\"id\":"u8);
        JsonText.WriteStringOrNull(output, head.Id);
        JsonText.WriteRaw(output, ",\"object\":\"response\",\"created_at\":"u8);
        JsonText.WriteInteger(output, head.Created);
        JsonText.WriteRaw(output, ",\"status\":\""u8);
        _head = output.WrittenSpan.ToArray();
        using var document = JsonBody.TryParse(new ReadOnlySequence<byte>(head.Body), out var parsed) ? parsed : null;
        var body = document?.RootElement ?? default;
        _echo = WriteEcho(head, body);
        _notes = WriteNotes(tools, ResponsesTruncation.FindDropped(head.Body.Span));
    }

    /// <summary>Writes the object.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="status">One of the API's.</param>
    /// <param name="incomplete">The reason of an incomplete answer; null for none.</param>
    /// <param name="items">Items of the output, with commas between them.</param>
    /// <param name="usage">Null before the end.</param>
    /// <param name="isEstimated">Whether usage is a guess.</param>
    /// <param name="stopDetails">What the upstream says of a refusal, as JSON; empty for nothing.</param>
    /// <param name="budget">The budget that made it incomplete; null where none did.</param>
    public void WriteTo(
        IBufferWriter<byte> output, string status, string? incomplete, ReadOnlySpan<byte> items, AnswerUsage? usage, bool isEstimated,
        ReadOnlySpan<byte> stopDetails, BudgetMark? budget = null)
    {
        JsonText.WriteRaw(output, _head);
        WriteAscii(output, status);
        JsonText.WriteRaw(output, "\",\"error\":null,\"incomplete_details\":"u8);
        if (incomplete is null)
        {
            JsonText.WriteRaw(output, "null"u8);
        }
        else
        {
            JsonText.WriteRaw(output, "{\"reason\":\""u8);
            WriteAscii(output, incomplete);
            JsonText.WriteRaw(output, "\""u8);
            if (budget is not null) WriteAscii(output, $",\"sluice\":{{{budget.ToMembers()}}}");
            JsonText.WriteRaw(output, "}"u8);
        }
        JsonText.WriteRaw(output, ",\"output\":["u8);
        JsonText.WriteRaw(output, items);
        JsonText.WriteRaw(output, "],\"usage\":"u8);
        if (usage is { } known) WriteUsage(output, known);
        else JsonText.WriteRaw(output, "null"u8);
        JsonText.WriteRaw(output, _echo);
        WriteOurs(output, isEstimated, stopDetails);
        JsonText.WriteRaw(output, "}"u8);
    }

    private void WriteOurs(IBufferWriter<byte> output, bool isEstimated, ReadOnlySpan<byte> stopDetails)
    {
        if (_notes.Length == 0 && !isEstimated && stopDetails.IsEmpty) return;
        JsonText.WriteRaw(output, ",\"sluice\":{"u8);
        JsonText.WriteRaw(output, _notes);
        if (!stopDetails.IsEmpty)
        {
            JsonText.WriteRaw(output, _notes.Length > 0 ? ",\"stop_details\":"u8 : "\"stop_details\":"u8);
            JsonText.WriteRaw(output, stopDetails);
        }
        if (isEstimated) JsonText.WriteRaw(output, _notes.Length > 0 || !stopDetails.IsEmpty ? ",\"usage_estimated\":true"u8 : "\"usage_estimated\":true"u8);
        JsonText.WriteRaw(output, "}"u8);
    }

    /// <summary>
    /// Writes a whole response as a stream for a reader that wants one: its beginning, every item opened and closed, and its end. Items are as
    /// they are, known or not.
    /// </summary>
    /// <param name="json">The object.</param>
    /// <param name="output">Receives the bytes.</param>
    public static void WriteUnfolded(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        var root = new JsonObjectText();
        var items = new JsonArrayText();
        root.Read(json, 0);
        var (status, member, usage) = (root.Find(json, "status"u8), root.Find(json, "output"u8), root.Find(json, "usage"u8));
        var isIncomplete = root.Text(json, status) == "incomplete";
        items.Read(json, root.ValueStart(member));
        root.Set(status, "\"status\""u8.ToArray(), "\"in_progress\""u8.ToArray());
        root.Set(member, default, "[]"u8.ToArray());
        if (usage >= 0) root.Set(usage, default, "null"u8.ToArray());
        var begun = new ArrayBufferWriter<byte>();
        root.WriteTo(begun, json);
        var number = 0;
        Write(output, "response.created"u8, number++, "\"response\":"u8, begun.WrittenSpan);
        Write(output, "response.in_progress"u8, number++, "\"response\":"u8, begun.WrittenSpan);
        for (var i = 0; i < items.Count; i++)
        {
            var place = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\"output_index\":{i},\"item\":"));
            Write(output, "response.output_item.added"u8, number++, place, json[items[i].Start..items[i].End]);
            Write(output, "response.output_item.done"u8, number++, place, json[items[i].Start..items[i].End]);
        }
        Write(output, isIncomplete ? "response.incomplete"u8 : "response.completed"u8, number, "\"response\":"u8, json);
    }

    private static void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> type, int number, ReadOnlySpan<byte> member, ReadOnlySpan<byte> value)
    {
        JsonText.WriteRaw(output, "event: "u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\ndata: {\"type\":\""u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\",\"sequence_number\":"u8);
        JsonText.WriteInteger(output, number);
        JsonText.WriteRaw(output, ","u8);
        JsonText.WriteRaw(output, member);
        JsonText.WriteRaw(output, value);
        JsonText.WriteRaw(output, "}\n\n"u8);
    }

    /// <summary>Writes the two events that end a stream which failed: clients read the one or the other.</summary>
    public static void WriteFailure(IBufferWriter<byte> output, StreamFailure failure)
    {
        var (error, number) = (failure.Error, failure.EventCount);
        var code = CodeOf(error);
        JsonText.WriteRaw(output, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":"u8);
        JsonText.WriteInteger(output, number);
        JsonText.WriteRaw(output, ",\"code\":"u8);
        JsonText.WriteStringOrNull(output, code);
        JsonText.WriteRaw(output, ",\"message\":"u8);
        JsonText.WriteStringOrNull(output, error.Message);
        JsonText.WriteRaw(output, ",\"param\":"u8);
        JsonText.WriteStringOrNull(output, error.Param);
        // Python's client raises on the nested form alone.
        JsonText.WriteRaw(output, ",\"error\":{\"type\":"u8);
        JsonText.WriteStringOrNull(output, error.Type);
        JsonText.WriteRaw(output, ",\"code\":"u8);
        JsonText.WriteStringOrNull(output, code);
        JsonText.WriteRaw(output, ",\"message\":"u8);
        JsonText.WriteStringOrNull(output, error.Message);
        JsonText.WriteRaw(output, ",\"param\":"u8);
        JsonText.WriteStringOrNull(output, error.Param);
        JsonText.WriteRaw(output, "}}\n\nevent: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":"u8);
        JsonText.WriteInteger(output, number + 1);
        JsonText.WriteRaw(output, ",\"response\":{\"id\":"u8);
        JsonText.WriteStringOrNull(output, failure.AnswerId);
        JsonText.WriteRaw(output, ",\"object\":\"response\",\"status\":\"failed\",\"error\":{\"code\":"u8);
        JsonText.WriteStringOrNull(output, code);
        JsonText.WriteRaw(output, ",\"message\":"u8);
        JsonText.WriteStringOrNull(output, error.Message);
        JsonText.WriteRaw(
            output,
            "},\"incomplete_details\":null,\"instructions\":null,\"output\":[],\"usage\":null,\"metadata\":{},\"tools\":[],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true}}\n\n"u8);
    }

    /// <summary>Writes usage; the details are always there, because strict clients want them.</summary>
    public static void WriteUsage(IBufferWriter<byte> output, in AnswerUsage usage)
    {
        JsonText.WriteRaw(output, "{\"input_tokens\":"u8);
        JsonText.WriteInteger(output, usage.PromptTokens);
        JsonText.WriteRaw(output, ",\"input_tokens_details\":{\"cached_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CachedTokens);
        JsonText.WriteRaw(output, ",\"cache_write_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CacheWrittenTokens);
        JsonText.WriteRaw(output, "},\"output_tokens\":"u8);
        JsonText.WriteInteger(output, usage.CompletionTokens);
        JsonText.WriteRaw(output, ",\"output_tokens_details\":{\"reasoning_tokens\":"u8);
        JsonText.WriteInteger(output, usage.ReasoningTokens);
        JsonText.WriteRaw(output, "},\"total_tokens\":"u8);
        JsonText.WriteInteger(output, usage.TotalTokens);
        JsonText.WriteRaw(output, "}"u8);
    }

    /// <summary>Codex takes an overloaded server for a reason to give up; any other code makes it try again.</summary>
    public static string CodeOf(ApiError error) => error.Code is null or "server_is_overloaded" ? "server_error" : error.Code;

    private static void WriteAscii(IBufferWriter<byte> output, string text) => Encoding.ASCII.GetBytes(text, output);

    // Everything behind usage, but the closing brace.
    private static byte[] WriteEcho(AnswerHead head, JsonElement body)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output, s_writing))
        {
            writer.WriteStartObject();
            writer.WriteString("model"u8, head.Model);
            Echo("instructions"u8, "null"u8);
            Echo("max_output_tokens"u8, "null"u8);
            Echo("max_tool_calls"u8, "null"u8);
            Echo("metadata"u8, "{}"u8);
            Echo("parallel_tool_calls"u8, "true"u8);
            Echo("previous_response_id"u8, "null"u8);
            Echo("prompt_cache_key"u8, "null"u8);
            WriteReasoning(writer, body);
            Echo("safety_identifier"u8, "null"u8);
            writer.WriteString("service_tier"u8, head.ServiceTier ?? "default");
            Echo("store"u8, "true"u8);
            Echo("background"u8, "false"u8);
            Echo("temperature"u8, "1"u8);
            WriteText(writer, body);
            Echo("tool_choice"u8, "\"auto\""u8);
            Echo("tools"u8, "[]"u8);
            Echo("top_logprobs"u8, "0"u8);
            Echo("top_p"u8, "1"u8);
            Echo("truncation"u8, "\"disabled\""u8);
            Echo("user"u8, "null"u8);
            writer.WriteEndObject();

            void Echo(ReadOnlySpan<byte> name, ReadOnlySpan<byte> fallback)
            {
                writer.WritePropertyName(name);
                if (body.ValueKind == JsonValueKind.Object && body.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null) value.WriteTo(writer);
                else writer.WriteRawValue(fallback, skipInputValidation: true);
            }
        }
        var text = output.WrittenSpan;
        return [(byte)',', .. text[1..^1]];
    }

    // What the answer was made without.
    private static byte[] WriteNotes(ResponsesTools tools, long droppedItems)
    {
        var output = new ArrayBufferWriter<byte>();
        if (tools.Ignored.Count > 0)
        {
            JsonText.WriteRaw(output, "\"ignored_tools\":["u8);
            for (var i = 0; i < tools.Ignored.Count; i++)
            {
                if (i > 0) JsonText.WriteRaw(output, ","u8);
                JsonText.WriteStringOrNull(output, tools.Ignored[i]);
            }
            JsonText.WriteRaw(output, "]"u8);
        }
        if (droppedItems > 0)
        {
            JsonText.WriteRaw(output, output.WrittenCount > 0 ? ",\"dropped_items\":"u8 : "\"dropped_items\":"u8);
            JsonText.WriteInteger(output, droppedItems);
        }
        return output.WrittenSpan.ToArray();
    }

    private static void WriteReasoning(Utf8JsonWriter writer, JsonElement body)
    {
        writer.WriteStartObject("reasoning"u8);
        var has = body.TryGet("reasoning"u8, JsonValueKind.Object, out var asked);
        if (has && asked.TryGet("effort"u8, JsonValueKind.String, out var effort)) writer.WriteString("effort"u8, effort.GetString());
        else writer.WriteNull("effort"u8);
        if (has && asked.TryGet("summary"u8, JsonValueKind.String, out var summary)) writer.WriteString("summary"u8, summary.GetString());
        else writer.WriteNull("summary"u8);
        writer.WriteEndObject();
    }

    private static void WriteText(Utf8JsonWriter writer, JsonElement body)
    {
        writer.WriteStartObject("text"u8);
        var has = body.TryGet("text"u8, JsonValueKind.Object, out var asked);
        writer.WritePropertyName("format"u8);
        if (has && asked.TryGet("format"u8, JsonValueKind.Object, out var format)) format.WriteTo(writer);
        else writer.WriteRawValue("{\"type\":\"text\"}"u8, skipInputValidation: true);
        if (has && asked.TryGet("verbosity"u8, JsonValueKind.String, out var verbosity)) writer.WriteString("verbosity"u8, verbosity.GetString());
        writer.WriteEndObject();
    }
}
