using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Responses;

/// <summary>
/// Writes what a model says as the events of a response: items one after the other, each opened, filled and closed, and at the end the object
/// with all of them. For one thread at a time.
/// </summary>
internal sealed class ResponsesDeltaWriter : DeltaWriter
{
    private enum Open
    {
        Nothing, Text, Refusal, Reasoning, Function, Custom, Search,
    }

    private readonly AnswerHead _head;
    private readonly ResponsesTools _tools;
    private readonly ResponseObject _object;
    private readonly bool _givesSeals;
    private readonly string _idBase;

    // Items that are closed, with commas between them.
    private readonly ArrayBufferWriter<byte> _items = new();

    // Text of the open item, escaped, and its log probabilities.
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly ArrayBufferWriter<byte> _logprobs = new();
    private readonly ArrayBufferWriter<byte> _item = new();
    private CustomInputReader? _unwrapped;
    private string _itemId = "";
    private string _callId = "";
    private ResponsesTool _tool = s_unknown;
    private Open _open;
    private long _number;
    private int _index;
    private AnswerFinish _finish;

    private static readonly ResponsesTool s_unknown = new(ResponsesToolKind.Function, null, "", default);

    /// <param name="head">What is known of the answer, with the request's body.</param>
    public ResponsesDeltaWriter(AnswerHead head)
    {
        _head = head;
        using var document = JsonBody.TryParse(new ReadOnlySequence<byte>(head.Body), out var parsed) ? parsed : null;
        var body = document?.RootElement ?? default;
        _tools = new ResponsesTools(body);
        _object = new ResponseObject(head, _tools);
        // What is kept by the hub comes back too, by the response's id.
        _givesSeals = !body.TryGet("store"u8, JsonValueKind.False, out _) || head.Body.Span.IndexOf("\"reasoning.encrypted_content\""u8) >= 0;
        _idBase = head.Id[(head.Id.IndexOf('_', StringComparison.Ordinal) + 1)..];
    }

    /// <inheritdoc/>
    public override void Begin(IEventOutput output, bool isText)
    {
        WriteObjectEvent(output, "response.created"u8, "in_progress", null, null, isEstimated: false);
        WriteObjectEvent(output, "response.in_progress"u8, "in_progress", null, null, isEstimated: false);
    }

    /// <inheritdoc/>
    public override void Restore(EventBuffer past)
    {
        ArgumentNullException.ThrowIfNull(past);
        _number = past.Count;
        for (var i = 0; i < past.Count; i++)
        {
            var data = past[i].IndexOf("data: "u8);
            if (data < 0) continue;
            var reader = new Utf8JsonReader(past[i][(data + "data: "u8.Length)..], JsonText.Reading);
            using var document = JsonDocument.ParseValue(ref reader);
            Restore(document.RootElement);
        }
    }

    /// <inheritdoc/>
    public override void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs)
    {
        if (_open != Open.Text) OpenMessage(output, Open.Text);
        BeginEvent(output, "response.output_text.delta"u8);
        WritePlace(output, "content_index"u8);
        JsonText.WriteRaw(output, ",\"delta\":\""u8);
        WriteAndKeep(output, utf8);
        JsonText.WriteRaw(output, "\",\"logprobs\":["u8);
        if (!logprobs.IsEmpty)
        {
            LogprobText.Write(output, logprobs, hasBytes: false);
            if (_logprobs.WrittenCount > 0) JsonText.WriteRaw(_logprobs, ","u8);
            LogprobText.Write(_logprobs, logprobs);
        }
        EndEvent(output, "]}\n\n"u8);
    }

    /// <inheritdoc/>
    public override void Refusal(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
        if (_open != Open.Refusal) OpenMessage(output, Open.Refusal);
        WriteDelta(output, "response.refusal.delta"u8, utf8, "content_index"u8);
    }

    /// <inheritdoc/>
    public override void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
        if (_open != Open.Reasoning) OpenReasoning(output);
        if (_head.ReasoningIsSummary) WriteDelta(output, "response.reasoning_summary_text.delta"u8, utf8, "summary_index"u8);
        else WriteDelta(output, "response.reasoning_text.delta"u8, utf8, "content_index"u8);
    }

    /// <inheritdoc/>
    public override void EndReasoning(IEventOutput output, int choice, ReasoningBlob blob)
    {
        // Reasoning that nobody may read is an item too: its producer wants it back.
        if (_open != Open.Reasoning)
        {
            Close(output, "completed");
            AddItem(output, Open.Reasoning, "rs", "reasoning"u8, ",\"summary\":[]"u8);
            CloseReasoning(output, "completed", blob, hasText: false);
            return;
        }
        CloseReasoning(output, "completed", blob, hasText: true);
    }

    /// <inheritdoc/>
    public override void Call(IEventOutput output, int choice, int call, CallKind kind, string id, string name)
    {
        Close(output, "completed");
        _tool = _tools.Find(name) ?? new ResponsesTool(kind == CallKind.Custom ? ResponsesToolKind.Custom : ResponsesToolKind.Function, null, name, default);
        _callId = id;
        _unwrapped = null;
        switch (_tool.Kind)
        {
            case ResponsesToolKind.Custom:
                _unwrapped = kind == CallKind.Function ? new CustomInputReader() : null;
                AddItem(output, Open.Custom, "ctc", "custom_tool_call"u8, CallMembers(",\"input\":\"\""u8));
                break;
            case ResponsesToolKind.Search:
                AddItem(output, Open.Search, "tsc", "tool_search_call"u8, SearchMembers("{}"u8));
                break;
            default:
                AddItem(output, Open.Function, "fc", "function_call"u8, CallMembers(",\"arguments\":\"\""u8));
                break;
        }
    }

    /// <inheritdoc/>
    public override void Input(IEventOutput output, int choice, int call, CallKind kind, ReadOnlySpan<byte> utf8)
    {
        if (_unwrapped is not null) utf8 = _unwrapped.Read(utf8);
        if (utf8.IsEmpty) return;
        switch (_open)
        {
            case Open.Custom:
                WriteDelta(output, "response.custom_tool_call_input.delta"u8, utf8, default);
                break;
            case Open.Search:
                // An object in the item, and so not escaped.
                JsonText.WriteRaw(_text, utf8);
                break;
            default:
                WriteDelta(output, "response.function_call_arguments.delta"u8, utf8, default);
                break;
        }
    }

    /// <inheritdoc/>
    public override void Finish(IEventOutput output, int choice, AnswerFinish finish)
    {
        _finish = finish;
        Close(output, finish.End is AnswerEnd.Length or AnswerEnd.ContentFilter ? "incomplete" : "completed");
    }

    /// <inheritdoc/>
    public override void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        var incomplete = _finish.End switch { AnswerEnd.Length => "max_output_tokens", AnswerEnd.ContentFilter => "content_filter", _ => null };
        var type = incomplete is null ? "response.completed"u8 : "response.incomplete"u8;
        WriteObjectEvent(output, type, incomplete is null ? "completed" : "incomplete", incomplete, usage, isEstimated);
    }

    /// <summary>Ends an answer that was cancelled. No client knows an event for that, so an incomplete one says it.</summary>
    public void Cancel(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        if (_number == 0) Begin(output, isText: true);
        Close(output, "incomplete");
        WriteObjectEvent(output, "response.incomplete"u8, "cancelled", null, usage, isEstimated);
    }

    private void OpenMessage(IEventOutput output, Open kind)
    {
        Close(output, "completed");
        AddItem(output, kind, "msg", "message"u8, ",\"role\":\"assistant\",\"content\":[]"u8);
        BeginEvent(output, "response.content_part.added"u8);
        WritePlace(output, "content_index"u8);
        EndEvent(output, kind == Open.Text
            ? ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}}\n\n"u8
            : ",\"part\":{\"type\":\"refusal\",\"refusal\":\"\"}}\n\n"u8);
    }

    private void OpenReasoning(IEventOutput output)
    {
        Close(output, "completed");
        if (_head.ReasoningIsSummary)
        {
            AddItem(output, Open.Reasoning, "rs", "reasoning"u8, ",\"summary\":[]"u8);
            BeginEvent(output, "response.reasoning_summary_part.added"u8);
            WritePlace(output, "summary_index"u8);
            EndEvent(output, ",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}}\n\n"u8);
            return;
        }
        AddItem(output, Open.Reasoning, "rs", "reasoning"u8, ",\"summary\":[],\"content\":[]"u8);
        BeginEvent(output, "response.content_part.added"u8);
        WritePlace(output, "content_index"u8);
        EndEvent(output, ",\"part\":{\"type\":\"reasoning_text\",\"text\":\"\"}}\n\n"u8);
    }

    private void Close(IEventOutput output, string status)
    {
        switch (_open)
        {
            case Open.Text:
                CloseText(output, status);
                break;
            case Open.Refusal:
                WriteDone(output, "response.refusal.done"u8, "content_index"u8, "refusal"u8);
                ClosePart(output, ",\"part\":{\"type\":\"refusal\",\"refusal\":\""u8, "\"}"u8);
                CloseItem(output, status, "message"u8, ",\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\""u8, "\"}]"u8);
                break;
            case Open.Reasoning:
                CloseReasoning(output, status, null, hasText: true);
                break;
            case Open.Function:
                WriteDone(output, "response.function_call_arguments.done"u8, default, "arguments"u8, _tool.Name);
                CloseCall(output, status, "function_call"u8, ",\"arguments\":\""u8);
                break;
            case Open.Custom:
                WriteDone(output, "response.custom_tool_call_input.done"u8, default, "input"u8);
                CloseCall(output, status, "custom_tool_call"u8, ",\"input\":\""u8);
                break;
            case Open.Search:
                BeginItem(status, "tool_search_call"u8);
                JsonText.WriteRaw(_item, SearchMembers(IsObject(_text.WrittenSpan) ? _text.WrittenSpan : "{}"u8));
                EndItem(output);
                break;
        }
    }

    private void CloseText(IEventOutput output, string status)
    {
        BeginEvent(output, "response.output_text.done"u8);
        WritePlace(output, "content_index"u8);
        JsonText.WriteRaw(output, ",\"text\":\""u8);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, "\",\"logprobs\":["u8);
        JsonText.WriteRaw(output, _logprobs.WrittenSpan);
        EndEvent(output, "]}\n\n"u8);
        BeginEvent(output, "response.content_part.done"u8);
        WritePlace(output, "content_index"u8);
        JsonText.WriteRaw(output, ",\"part\":"u8);
        WriteTextPart(output);
        EndEvent(output, "}\n\n"u8);
        BeginItem(status, "message"u8);
        JsonText.WriteRaw(_item, ",\"role\":\"assistant\",\"content\":["u8);
        WriteTextPart(_item);
        JsonText.WriteRaw(_item, "]"u8);
        EndItem(output);
    }

    private void WriteTextPart(IBufferWriter<byte> output)
    {
        JsonText.WriteRaw(output, "{\"type\":\"output_text\",\"text\":\""u8);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, "\",\"annotations\":[],\"logprobs\":["u8);
        JsonText.WriteRaw(output, _logprobs.WrittenSpan);
        JsonText.WriteRaw(output, "]}"u8);
    }

    private void CloseReasoning(IEventOutput output, string status, ReasoningBlob? blob, bool hasText)
    {
        var isSummary = _head.ReasoningIsSummary;
        if (hasText && isSummary)
        {
            WriteDone(output, "response.reasoning_summary_text.done"u8, "summary_index"u8, "text"u8);
            BeginEvent(output, "response.reasoning_summary_part.done"u8);
            WritePlace(output, "summary_index"u8);
            JsonText.WriteRaw(output, ",\"part\":{\"type\":\"summary_text\",\"text\":\""u8);
            JsonText.WriteRaw(output, _text.WrittenSpan);
            EndEvent(output, "\"}}\n\n"u8);
        }
        else if (hasText)
        {
            WriteDone(output, "response.reasoning_text.done"u8, "content_index"u8, "text"u8);
            ClosePart(output, ",\"part\":{\"type\":\"reasoning_text\",\"text\":\""u8, "\"}"u8);
        }
        BeginItem(status, "reasoning"u8);
        JsonText.WriteRaw(_item, hasText && isSummary ? ",\"summary\":[{\"type\":\"summary_text\",\"text\":\""u8 : ",\"summary\":["u8);
        if (hasText && isSummary) JsonText.WriteRaw(_item, _text.WrittenSpan);
        JsonText.WriteRaw(_item, hasText && isSummary ? "\"}]"u8 : "]"u8);
        if (hasText && !isSummary)
        {
            JsonText.WriteRaw(_item, ",\"content\":[{\"type\":\"reasoning_text\",\"text\":\""u8);
            JsonText.WriteRaw(_item, _text.WrittenSpan);
            JsonText.WriteRaw(_item, "\"}]"u8);
        }
        if (_givesSeals && _head.Seal is { } seal)
        {
            JsonText.WriteRaw(_item, ",\"encrypted_content\":"u8);
            JsonText.WriteStringOrNull(_item, seal.Seal(blob ?? OwnBlob()));
        }
        EndItem(output);
    }

    // Reasoning without a form of its own is its text.
    private ReasoningBlob OwnBlob()
    {
        var json = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(json, "\""u8);
        JsonText.WriteRaw(json, _text.WrittenSpan);
        JsonText.WriteRaw(json, "\""u8);
        return new ReasoningBlob(ReasoningOrigins.Chat, json.WrittenMemory);
    }

    private void CloseCall(IEventOutput output, string status, ReadOnlySpan<byte> type, ReadOnlySpan<byte> member)
    {
        BeginItem(status, type);
        JsonText.WriteRaw(_item, CallMembers(default));
        JsonText.WriteRaw(_item, member);
        JsonText.WriteRaw(_item, _text.WrittenSpan);
        JsonText.WriteRaw(_item, "\""u8);
        EndItem(output);
    }

    private ReadOnlySpan<byte> CallMembers(ReadOnlySpan<byte> last)
    {
        var members = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(members, ",\"call_id\":"u8);
        JsonText.WriteStringOrNull(members, _callId);
        JsonText.WriteRaw(members, ",\"name\":"u8);
        JsonText.WriteStringOrNull(members, _tool.Name);
        if (_tool.Namespace is not null)
        {
            JsonText.WriteRaw(members, ",\"namespace\":"u8);
            JsonText.WriteStringOrNull(members, _tool.Namespace);
        }
        JsonText.WriteRaw(members, last);
        return members.WrittenSpan;
    }

    private ReadOnlySpan<byte> SearchMembers(ReadOnlySpan<byte> arguments)
    {
        var members = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(members, ",\"call_id\":"u8);
        JsonText.WriteStringOrNull(members, _callId);
        JsonText.WriteRaw(members, ",\"execution\":\"client\",\"arguments\":"u8);
        JsonText.WriteRaw(members, arguments);
        return members.WrittenSpan;
    }

    private static bool IsObject(ReadOnlySpan<byte> json)
    {
        try
        {
            var text = new JsonObjectText();
            return text.Read(json, 0) <= json.Length;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private void AddItem(IEventOutput output, Open kind, string idPrefix, ReadOnlySpan<byte> type, ReadOnlySpan<byte> members)
    {
        _open = kind;
        _text.ResetWrittenCount();
        _logprobs.ResetWrittenCount();
        _itemId = string.Create(CultureInfo.InvariantCulture, $"{idPrefix}_{_idBase}_{_index}");
        BeginEvent(output, "response.output_item.added"u8);
        JsonText.WriteRaw(output, ",\"output_index\":"u8);
        JsonText.WriteInteger(output, _index);
        JsonText.WriteRaw(output, ",\"item\":"u8);
        WriteItemHead(output, "in_progress", type);
        JsonText.WriteRaw(output, members);
        EndEvent(output, "}}\n\n"u8);
    }

    private void WriteItemHead(IBufferWriter<byte> output, string status, ReadOnlySpan<byte> type)
    {
        JsonText.WriteRaw(output, "{\"id\":"u8);
        JsonText.WriteStringOrNull(output, _itemId);
        JsonText.WriteRaw(output, ",\"type\":\""u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\",\"status\":"u8);
        JsonText.WriteStringOrNull(output, status);
    }

    private void BeginItem(string status, ReadOnlySpan<byte> type)
    {
        _item.ResetWrittenCount();
        WriteItemHead(_item, status, type);
    }

    private void CloseItem(IEventOutput output, string status, ReadOnlySpan<byte> type, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after)
    {
        BeginItem(status, type);
        JsonText.WriteRaw(_item, before);
        JsonText.WriteRaw(_item, _text.WrittenSpan);
        JsonText.WriteRaw(_item, after);
        EndItem(output);
    }

    private void EndItem(IEventOutput output)
    {
        JsonText.WriteRaw(_item, "}"u8);
        BeginEvent(output, "response.output_item.done"u8);
        JsonText.WriteRaw(output, ",\"output_index\":"u8);
        JsonText.WriteInteger(output, _index);
        JsonText.WriteRaw(output, ",\"item\":"u8);
        JsonText.WriteRaw(output, _item.WrittenSpan);
        EndEvent(output, "}\n\n"u8);
        KeepItem(_item.WrittenSpan);
    }

    private void KeepItem(ReadOnlySpan<byte> item)
    {
        if (_items.WrittenCount > 0) JsonText.WriteRaw(_items, ","u8);
        JsonText.WriteRaw(_items, item);
        _index++;
        _open = Open.Nothing;
        _unwrapped = null;
    }

    private void ClosePart(IEventOutput output, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after)
    {
        BeginEvent(output, "response.content_part.done"u8);
        WritePlace(output, "content_index"u8);
        JsonText.WriteRaw(output, before);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, after);
        EndEvent(output, "}\n\n"u8);
    }

    private void WriteDone(IEventOutput output, ReadOnlySpan<byte> type, ReadOnlySpan<byte> index, ReadOnlySpan<byte> member, string? name = null)
    {
        BeginEvent(output, type);
        WritePlace(output, index);
        JsonText.WriteRaw(output, ",\""u8);
        JsonText.WriteRaw(output, member);
        JsonText.WriteRaw(output, "\":\""u8);
        JsonText.WriteRaw(output, _text.WrittenSpan);
        JsonText.WriteRaw(output, "\""u8);
        if (name is not null)
        {
            JsonText.WriteRaw(output, ",\"name\":"u8);
            JsonText.WriteStringOrNull(output, name);
        }
        EndEvent(output, "}\n\n"u8);
    }

    private void WriteDelta(IEventOutput output, ReadOnlySpan<byte> type, ReadOnlySpan<byte> utf8, ReadOnlySpan<byte> index)
    {
        BeginEvent(output, type);
        WritePlace(output, index);
        JsonText.WriteRaw(output, ",\"delta\":\""u8);
        WriteAndKeep(output, utf8);
        EndEvent(output, "\"}\n\n"u8);
    }

    private void WriteAndKeep(IEventOutput output, ReadOnlySpan<byte> utf8)
    {
        var start = _text.WrittenCount;
        JsonText.WriteEscaped(_text, utf8);
        JsonText.WriteRaw(output, _text.WrittenSpan[start..]);
    }

    private void WriteObjectEvent(IEventOutput output, ReadOnlySpan<byte> type, string status, string? incomplete, AnswerUsage? usage, bool isEstimated)
    {
        BeginEvent(output, type);
        JsonText.WriteRaw(output, ",\"response\":"u8);
        _object.WriteTo(output, status, incomplete, _items.WrittenSpan, usage, isEstimated);
        EndEvent(output, "}\n\n"u8);
    }

    private void BeginEvent(IEventOutput output, ReadOnlySpan<byte> type)
    {
        JsonText.WriteRaw(output, "event: "u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\ndata: {\"type\":\""u8);
        JsonText.WriteRaw(output, type);
        JsonText.WriteRaw(output, "\",\"sequence_number\":"u8);
        JsonText.WriteInteger(output, _number++);
    }

    // Which item, and which part of it where it has parts.
    private void WritePlace(IEventOutput output, ReadOnlySpan<byte> index)
    {
        JsonText.WriteRaw(output, ",\"item_id\":"u8);
        JsonText.WriteStringOrNull(output, _itemId);
        JsonText.WriteRaw(output, ",\"output_index\":"u8);
        JsonText.WriteInteger(output, _index);
        if (index.IsEmpty) return;
        JsonText.WriteRaw(output, ",\""u8);
        JsonText.WriteRaw(output, index);
        JsonText.WriteRaw(output, "\":0"u8);
    }

    private static void EndEvent(IEventOutput output, ReadOnlySpan<byte> end)
    {
        JsonText.WriteRaw(output, end);
        output.EndEvent();
    }

    // What an event of this writer's own changes.
    private void Restore(JsonElement data)
    {
        switch (data.GetProperty("type"u8).GetString())
        {
            case "response.output_item.added":
                RestoreItem(data.GetProperty("item"u8));
                break;
            case "response.content_part.added" when data.GetProperty("part"u8).GetProperty("type"u8).ValueEquals("refusal"u8):
                _open = Open.Refusal;
                break;
            case "response.output_item.done":
                KeepItem(System.Text.Encoding.UTF8.GetBytes(data.GetProperty("item"u8).GetRawText()));
                break;
            case "response.output_text.delta":
                RestoreText(data);
                var logprobs = data.GetProperty("logprobs"u8);
                foreach (var token in logprobs.EnumerateArray())
                {
                    if (_logprobs.WrittenCount > 0) JsonText.WriteRaw(_logprobs, ","u8);
                    LogprobText.Write(_logprobs, [LogprobText.Read(token)]);
                }
                break;
            case "response.refusal.delta" or "response.reasoning_text.delta" or "response.reasoning_summary_text.delta"
                or "response.function_call_arguments.delta" or "response.custom_tool_call_input.delta":
                RestoreText(data);
                break;
        }
    }

    private void RestoreItem(JsonElement item)
    {
        _itemId = item.GetProperty("id"u8).GetString()!;
        _text.ResetWrittenCount();
        _logprobs.ResetWrittenCount();
        _open = item.GetProperty("type"u8).GetString() switch
        {
            "message" => Open.Text,
            "reasoning" => Open.Reasoning,
            "custom_tool_call" => Open.Custom,
            "tool_search_call" => Open.Search,
            _ => Open.Function,
        };
        if (!item.TryGet("call_id"u8, JsonValueKind.String, out var call)) return;
        _callId = call.GetString()!;
        var space = item.TryGet("namespace"u8, JsonValueKind.String, out var named) ? named.GetString() : null;
        var name = item.TryGet("name"u8, JsonValueKind.String, out var member) ? member.GetString()! : ResponsesTools.SearchName;
        _tool = _tools.Find(ResponsesTools.Flatten(space, name)) ?? s_unknown with { Namespace = space, Name = name };
    }

    private void RestoreText(JsonElement data) => JsonText.WriteEscaped(_text, System.Text.Encoding.UTF8.GetBytes(JsonStrings.Read(data.GetProperty("delta"u8))));
}
