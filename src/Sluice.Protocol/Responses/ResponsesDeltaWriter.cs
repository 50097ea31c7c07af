using System.Buffers;
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
internal sealed partial class ResponsesDeltaWriter : DeltaWriter
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

    // Of the open item, which another attempt may have begun.
    private bool _isSummary;

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
        if (_isSummary) WriteDelta(output, "response.reasoning_summary_text.delta"u8, utf8, "summary_index"u8);
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
        Close(output, finish.End is AnswerEnd.Length or AnswerEnd.Repetition or AnswerEnd.ContentFilter ? "incomplete" : "completed");
    }

    /// <inheritdoc/>
    public override void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        var incomplete = _finish.End switch { AnswerEnd.Length or AnswerEnd.Repetition => "max_output_tokens", AnswerEnd.ContentFilter => "content_filter", _ => null };
        var type = incomplete is null ? "response.completed"u8 : "response.incomplete"u8;
        WriteObjectEvent(output, type, incomplete is null ? "completed" : "incomplete", incomplete, usage, isEstimated);
    }

    /// <summary>Ends an answer that was cancelled, or cut by a budget. No client knows an event for that, so an incomplete one says it.</summary>
    public void Cancel(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        if (_number == 0) Begin(output, isText: true);
        if (_head.Budget is { } budget)
        {
            Finish(output, 0, new AnswerFinish(AnswerEnd.Length) { Budget = budget });
            Usage(output, usage, isEstimated);
            return;
        }
        Close(output, "incomplete");
        WriteObjectEvent(output, "response.incomplete"u8, "cancelled", null, usage, isEstimated);
    }
}
