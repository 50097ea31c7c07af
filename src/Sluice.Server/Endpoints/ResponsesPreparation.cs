using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.Responses;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>A Responses request, ready to be answered.</summary>
/// <param name="Body">With the whole conversation in its input.</param>
/// <param name="IsStored">Whether later requests may go on from the answer, and it can be looked at.</param>
/// <param name="IsBackground">Whether the reply doesn't wait for the answer.</param>
internal sealed record PreparedResponse(ReadOnlyMemory<byte> Body, bool IsStored, bool IsBackground);

/// <summary>
/// What a Responses request refers to, put in its place: the conversation that <c>previous_response_id</c> names, and items that are named by
/// their ids. Conversations are the hub's, whoever answered before: no upstream needs to have kept them.
/// </summary>
internal sealed class ResponsesPreparation(AnswerTable answers, Admission admission, Limits limits, TimeProvider time)
{
    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Prepares a request whose outline has been read.</summary>
    public async Task<(PreparedResponse? Prepared, ApiError? Error)> PrepareAsync(
        ReadOnlyMemory<byte> body, Caller caller, bool isStream, CancellationToken cancellation)
    {
        if (!JsonBody.TryParse(new(body), out var document)) return (null, ApiErrors.UnparsableBody());
        using var parsed = document;
        var root = document.RootElement;
        var isStored = !(root.TryGetProperty("store"u8, out var store) && store.ValueKind == JsonValueKind.False);
        var isBackground = root.TryGetProperty("background"u8, out var background) && background.ValueKind == JsonValueKind.True;
        if (FindProblem(root, isStored, isBackground, isStream) is { } problem) return (null, problem);
        var hasPrevious = root.TryGetProperty("previous_response_id"u8, out var previous) && previous.ValueKind == JsonValueKind.String;
        var hasReferences = body.Span.IndexOf("\"item_reference\""u8) >= 0;
        if (!hasPrevious && !hasReferences) return (new PreparedResponse(body, isStored, isBackground), null);
        var input = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(input, s_writing);
        writer.WriteStartArray();
        if (hasPrevious && await WriteConversationAsync(writer, previous.GetString()!, caller, cancellation) is { } lost) return (null, lost);
        if (root.TryGetProperty("input"u8, out var own) && await WriteInputAsync(writer, own, caller) is { } unknown) return (null, unknown);
        writer.WriteEndArray();
        await writer.FlushAsync(cancellation);
        if (input.WrittenCount > limits.RequestBodyBytes) return (null, ApiErrors.BodyTooLarge(limits.RequestBodyBytes));
        return (new PreparedResponse(WithInput(root, input.WrittenSpan), isStored, isBackground), null);
    }

    /// <summary>The items that an answer was asked with.</summary>
    /// <param name="answer">The caller's own.</param>
    /// <param name="hasIds">Whether each is to have an id; they have those that the client gave them.</param>
    /// <param name="cancellation">Nobody waits any more.</param>
    /// <returns>Null where the request is not kept.</returns>
    public async Task<IReadOnlyList<JsonElement>?> FindInputAsync(Answer answer, bool hasIds, CancellationToken cancellation)
    {
        if (await answers.FindRequestAsync(answer, cancellation) is not { } request) return null;
        if (!JsonBody.TryParse(new(request), out var document)) return null;
        using var parsed = document;
        if (!document.RootElement.TryGetProperty("input"u8, out var input) || input.ValueKind is not (JsonValueKind.String or JsonValueKind.Array)) return [];
        var name = answer.Id[(answer.Id.IndexOf('_', StringComparison.Ordinal) + 1)..];
        var items = new List<JsonElement>();
        if (input.ValueKind == JsonValueKind.String)
        {
            items.Add(ToMessage(input, hasIds ? $"msg_{name}_in_0" : null));
            return items;
        }
        var index = 0;
        foreach (var item in input.EnumerateArray())
        {
            var lacksId = item.ValueKind == JsonValueKind.Object && !item.TryGetProperty("id"u8, out _);
            items.Add(hasIds && lacksId ? WithId(item, $"{PrefixOf(item)}_{name}_in_{index}") : item.Clone());
            index++;
        }
        return items;
    }

    private static ApiError? FindProblem(JsonElement root, bool isStored, bool isBackground, bool isStream)
    {
        var hasPrevious = root.TryGetProperty("previous_response_id"u8, out var previous) && previous.ValueKind != JsonValueKind.Null;
        if (hasPrevious && previous.ValueKind != JsonValueKind.String) return ApiErrors.InvalidType("previous_response_id", "a string", "something else");
        if (root.TryGetProperty("conversation"u8, out var conversation) && conversation.ValueKind != JsonValueKind.Null)
        {
            return ApiErrors.NotInResponses(
                "conversation", hasPrevious ? "it can't be combined with 'previous_response_id'" : "the hub keeps no conversations; use 'previous_response_id'");
        }
        if (isBackground && !isStored) return ApiErrors.ValueNotInResponses("store", "a background response must be stored");
        if (!isStream && root.TryGetProperty("stream_options"u8, out var options) && options.ValueKind == JsonValueKind.Object)
            return ApiErrors.OnlyAllowedWhenEnabled("stream_options", "stream");
        return null;
    }

    private async Task<ApiError?> WriteConversationAsync(Utf8JsonWriter writer, string id, Caller caller, CancellationToken cancellation)
    {
        var missing = ApiErrors.PreviousResponseNotFound(id);
        var (answer, _) = await admission.FindAsync(id, caller, cancellation);
        if (answer?.Owner is not { Dialect: ResponsesDialect, IsHidden: false }) return missing;
        // Its own conversation is in it already. An upstream may take an id that it doesn't know, or of the wrong kind, for a fault.
        if (await FindInputAsync(answer, hasIds: false, cancellation) is not { } input) return missing;
        await Waits.WaitAsync(answer.Log.WhenEnded, limits.PreviousAnswerWait, time, cancellation);
        // What another hub makes is looked at again.
        if (answer is { Following: not null, Log.End: null }) (answer, _) = await admission.FindAsync(id, caller, cancellation);
        if (answer is null) return missing;
        if (answer.Log.End is not { Kind: StreamEndKind.Completed })
            return ApiErrors.InvalidItem("previous_response_id", $"The response '{ApiErrors.Elide(id)}' has not completed, so it can't be continued.");
        foreach (var item in input) item.WriteTo(writer);
        var (json, error) = await AnswerObject.ReadAsync(answer, default, limits);
        if (error is not null || !JsonBody.TryParse(new(json), out var document)) return missing;
        using var parsed = document;
        if (!document.RootElement.TryGetProperty("output"u8, out var output) || output.ValueKind != JsonValueKind.Array) return missing;
        foreach (var item in output.EnumerateArray()) item.WriteTo(writer);
        return null;
    }

    private async Task<ApiError?> WriteInputAsync(Utf8JsonWriter writer, JsonElement input, Caller caller)
    {
        if (input.ValueKind == JsonValueKind.String)
        {
            WriteMessage(writer, input, id: null);
            return null;
        }
        if (input.ValueKind != JsonValueKind.Array) return null;
        var known = await FindItemsAsync(input, caller);
        foreach (var item in input.EnumerateArray())
        {
            // The input may refer to one large item many times.
            if (writer.BytesCommitted + writer.BytesPending > limits.RequestBodyBytes) return ApiErrors.BodyTooLarge(limits.RequestBodyBytes);
            if (ReferenceOf(item) is not { } id) item.WriteTo(writer);
            else if (known.TryGetValue(id, out var found)) found.WriteTo(writer);
            else return ApiErrors.InvalidItem("input", $"Item with id '{ApiErrors.Elide(id)}' not found.");
        }
        return null;
    }

    // The id that an item refers to; null for one that is there itself.
    private static string? ReferenceOf(JsonElement item)
    {
        var isReference = item.ValueKind == JsonValueKind.Object && item.TryGetProperty("type"u8, out var type)
            && type.ValueKind == JsonValueKind.String && type.ValueEquals("item_reference"u8);
        if (!isReference) return null;
        return item.TryGetProperty("id"u8, out var named) && named.ValueKind == JsonValueKind.String ? named.GetString()! : "";
    }

    // The items that the input refers to, as far as they are kept.
    private async Task<Dictionary<string, JsonElement>> FindItemsAsync(JsonElement input, Caller caller)
    {
        var wanted = input.EnumerateArray().Select(ReferenceOf).OfType<string>().ToHashSet(StringComparer.Ordinal);
        var found = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        var read = new HashSet<Answer>();
        // An id of the hub's own holds that of its answer.
        foreach (var id in wanted.ToArray())
        {
            if (!wanted.Contains(id) || id.Split('_') is not [_, var name, ..]) continue;
            var (answer, _) = await admission.FindAsync(ResponsesDialect.Instance.IdPrefix + name, caller, CancellationToken.None);
            if (answer is not null && read.Add(answer)) await TakeItemsAsync(answer, wanted, found);
        }
        if (wanted.Count == 0) return found;
        // That of an upstream can be anybody's; whoever refers to it has it of one of the last answers.
        foreach (var answer in answers.FindLatest(caller.Ids, ResponsesDialect.Instance, limits.ReferencedAnswersMax))
        {
            if (wanted.Count == 0) break;
            if (read.Add(answer)) await TakeItemsAsync(answer, wanted, found);
        }
        return found;
    }

    private async Task TakeItemsAsync(Answer answer, HashSet<string> wanted, Dictionary<string, JsonElement> found)
    {
        if (answer.Owner.IsHidden) return;
        var (json, error) = await AnswerObject.ReadAsync(answer, default, limits);
        if (error is not null || !JsonBody.TryParse(new(json), out var document)) return;
        using var parsed = document;
        if (!document.RootElement.TryGetProperty("output"u8, out var output) || output.ValueKind != JsonValueKind.Array) return;
        foreach (var item in output.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Object || !item.TryGetProperty("id"u8, out var own) || own.ValueKind != JsonValueKind.String) continue;
            if (wanted.Remove(own.GetString()!)) found.Add(own.GetString()!, item.Clone());
        }
    }

    private static ReadOnlyMemory<byte> WithInput(JsonElement root, ReadOnlySpan<byte> input)
    {
        var output = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(output, s_writing);
        writer.WriteStartObject();
        foreach (var member in root.EnumerateObject())
        {
            if (!member.NameEquals("input"u8)) member.WriteTo(writer);
        }
        writer.WritePropertyName("input"u8);
        writer.WriteRawValue(input, skipInputValidation: true);
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenMemory;
    }

    // As OpenAI begins the ids of items of each kind.
    private static string PrefixOf(JsonElement item) => (item.TryGetProperty("type"u8, out var type) && type.ValueKind == JsonValueKind.String ? type.GetString() : null) switch
    {
        "function_call" => "fc",
        "function_call_output" => "fco",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        "tool_search_call" or "tool_search_output" => "tsc",
        "reasoning" => "rs",
        _ => "msg",
    };

    private static JsonElement ToMessage(JsonElement text, string? id)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output, s_writing)) WriteMessage(writer, text, id);
        return JsonElement.Parse(output.WrittenSpan);
    }

    private static void WriteMessage(Utf8JsonWriter writer, JsonElement text, string? id)
    {
        writer.WriteStartObject();
        if (id is not null) writer.WriteString("id"u8, id);
        writer.WriteString("type"u8, "message"u8);
        writer.WriteString("role"u8, "user"u8);
        writer.WriteStartArray("content"u8);
        writer.WriteStartObject();
        writer.WriteString("type"u8, "input_text"u8);
        writer.WritePropertyName("text"u8);
        text.WriteTo(writer);
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static JsonElement WithId(JsonElement item, string id)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output, s_writing))
        {
            writer.WriteStartObject();
            writer.WriteString("id"u8, id);
            foreach (var member in item.EnumerateObject()) member.WriteTo(writer);
            writer.WriteEndObject();
        }
        return JsonElement.Parse(output.WrittenSpan);
    }
}
