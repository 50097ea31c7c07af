using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Says what the events of Anthropic's Messages API mean to a client of another one. Nothing is allocated for a piece of text.
/// </summary>
/// <remarks>
/// Each thinking block is given on as it was, signature and all, because the API wants it back with the results of tools. Citations and the
/// blocks of tools that the server runs itself are left out.
/// </remarks>
/// <param name="answer">What is known before the first event.</param>
/// <param name="writer">Of the dialect that asked.</param>
/// <param name="customTools">Names of tools whose input is text for the client, and a function's only argument for the upstream.</param>
public sealed class MessagesTranslation(RelayOptions answer, DeltaWriter writer, IReadOnlySet<string>? customTools = null) : TranslatedRelay(answer, writer)
{
    private readonly JsonObjectText _root = new();
    private readonly JsonObjectText _inner = new();
    private readonly MessagesUsage _usage = new();
    private readonly ThinkingBlock _thinking = new();
    private readonly OpenCalls _calls = new();
    private byte[] _text = [];
    private bool _isOther;

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        data = data.Trim(" \t\r\n"u8);
        if (data.IsEmpty) return FrameKind.Empty;
        var before = ContentCount;
        try
        {
            _root.Read(data, 0);
            var type = _root.StringBytes(data, "type"u8);
            if (type.IsEmpty) return FailAsGarbage();
            // A ping, or something that a later version has, is nothing.
            var kind = type.SequenceEqual("content_block_delta"u8) ? AddDelta(data, output)
                : type.SequenceEqual("content_block_start"u8) ? StartBlock(data, output)
                : type.SequenceEqual("content_block_stop"u8) ? StopBlock(Index(data), output)
                : type.SequenceEqual("message_start"u8) ? Start(data)
                : type.SequenceEqual("message_delta"u8) ? End(data, output)
                : type.SequenceEqual("message_stop"u8) ? FrameKind.Done
                : type.SequenceEqual("error"u8) ? Fail(ReadError(data)) : FrameKind.Empty;
            return kind == FrameKind.Empty && ContentCount > before ? FrameKind.Content : kind;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
    }

    /// <inheritdoc/>
    public override FrameKind AddWhole(ReadOnlySpan<byte> json, IEventOutput output)
    {
        // Taken apart as its stream would have been.
        if (!MessagesWhole.TryRead(json, Answer with { KeepsUpstreamModel = true }, out var whole)) return FailAsGarbage();
        try
        {
            var events = new EventBuffer();
            MessagesWhole.WriteEvents(whole.Json.Span, events, static events => events.EndEvent());
            var kind = FrameKind.Empty;
            for (var i = 0; i < events.Count && kind != FrameKind.Failed; i++)
                kind = Add(events[i][(events[i].IndexOf("data: "u8) + "data: "u8.Length)..], output);
            return kind;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
    }

    /// <inheritdoc/>
    protected override void BeforeEnd(IEventOutput output)
    {
        EndThinking(output);
        StopCalls(output);
    }

    private FrameKind Start(ReadOnlySpan<byte> data)
    {
        var message = _root.Find(data, "message"u8);
        if (_root.TypeOf(message) != JsonTokenType.StartObject) return FailAsGarbage();
        _inner.Read(data, _root.ValueStart(message));
        if (_inner.Text(data, _inner.Find(data, "model"u8)) is { Length: > 0 } model) SetModel(model);
        ReadUsage(data, _inner);
        return FrameKind.Empty;
    }

    private void ReadUsage(ReadOnlySpan<byte> data, JsonObjectText parent)
    {
        var usage = parent.Find(data, "usage"u8);
        if (parent.TypeOf(usage) != JsonTokenType.StartObject) return;
        _usage.Read(data, parent.ValueStart(usage));
        if (_usage.IsKnown) Stated = _usage.Counts;
    }

    private FrameKind StartBlock(ReadOnlySpan<byte> data, IEventOutput output)
    {
        EndThinking(output);
        _isOther = false;
        var block = _root.Find(data, "content_block"u8);
        if (_root.TypeOf(block) != JsonTokenType.StartObject) return FailAsGarbage();
        _inner.Read(data, _root.ValueStart(block));
        var type = _inner.StringBytes(data, "type"u8);
        if (type.SequenceEqual("text"u8)) return PassText(data, "text"u8, output);
        if (type.SequenceEqual("thinking"u8))
        {
            _thinking.Begin(_inner.StringBytes(data, "signature"u8));
            return PassThinking(data, output);
        }
        if (type.SequenceEqual("tool_use"u8)) return StartCall(data, output);
        if (type.SequenceEqual("redacted_thinking"u8) && _thinking.HasRoomFor(_inner.StringBytes(data, "data"u8)))
            EndReasoning(output, 0, _root.Value(data, block).ToArray());
        _isOther = true;
        return FrameKind.Empty;
    }

    private FrameKind StartCall(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var (id, name, input) = (_inner.Text(data, _inner.Find(data, "id"u8)), _inner.Text(data, _inner.Find(data, "name"u8)), _inner.Find(data, "input"u8));
        if (id is null || name is null) return FailAsGarbage();
        // Arguments come in pieces later, but from servers that have them whole at once.
        var whole = _inner.TypeOf(input) == JsonTokenType.StartObject ? _inner.Value(data, input) : "{}"u8;
        _calls.Add(new OpenCall(Index(data), id, name, whole.ToArray(), customTools?.Contains(name) == true));
        // The first one goes on at once.
        if (_calls.First!.Index == Index(data) && !_calls.First.HasBegun) Begin(_calls.First, output);
        return FrameKind.Empty;
    }

    private void Begin(OpenCall call, IEventOutput output)
    {
        call.HasBegun = true;
        Call(output, 0, call.Kind, call.Id, call.Name);
    }

    private FrameKind AddDelta(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var delta = _root.Find(data, "delta"u8);
        if (_root.TypeOf(delta) != JsonTokenType.StartObject) return FailAsGarbage();
        _inner.Read(data, _root.ValueStart(delta));
        var type = _inner.StringBytes(data, "type"u8);
        if (type.SequenceEqual("text_delta"u8)) return PassText(data, "text"u8, output);
        if (type.SequenceEqual("input_json_delta"u8)) return AddInput(data, output);
        if (type.SequenceEqual("thinking_delta"u8)) return PassThinking(data, output);
        if (type.SequenceEqual("signature_delta"u8)) _thinking.AddSignature(_inner.StringBytes(data, "signature"u8));
        return FrameKind.Empty;
    }

    private FrameKind AddInput(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var json = _inner.Find(data, "partial_json"u8);
        // The server runs that tool itself.
        if (_calls.Find(Index(data)) is not { } call) return _isOther ? FrameKind.Empty : FailAsGarbage();
        if (_inner.TypeOf(json) != JsonTokenType.String) return FailAsGarbage();
        if (!_inner.HasSubstance(json)) return FrameKind.Empty;
        call.HasInput = true;
        Give(call, Unescape(_inner.Value(data, json)), output);
        return FrameKind.Empty;
    }

    // Input of a call that waits for another is kept.
    private void Give(OpenCall call, ReadOnlySpan<byte> json, IEventOutput output)
    {
        if (!call.HasBegun && call.Keep(json)) return;
        if (!call.HasBegun) StopCalls(output, before: call);
        var input = call.Custom is { } custom ? custom.Read(json) : json;
        Input(output, 0, call.Kind, input);
    }

    // Of servers that state none there is one block at a time.
    private long Index(ReadOnlySpan<byte> data) => _root.Integer(data, _root.Find(data, "index"u8)) ?? -1;

    private FrameKind StopBlock(long index, IEventOutput output)
    {
        _isOther = false;
        if (_calls.Find(index) is not { } call)
        {
            EndThinking(output);
            return FrameKind.Empty;
        }
        call.IsComplete = true;
        while (_calls.First is { IsComplete: true } first) Stop(first, output);
        return FrameKind.Empty;
    }

    // All of them, or those before one, whose turn it is then.
    private void StopCalls(IEventOutput output, OpenCall? before = null)
    {
        while (_calls.First is { } first && first != before) Stop(first, output);
    }

    private void Stop(OpenCall call, IEventOutput output)
    {
        // Together the pieces of a call are JSON, also of one without arguments.
        if (!call.HasInput) Give(call, call.Whole, output);
        _calls.Remove(call);
        if (_calls.First is not { HasBegun: false } next) return;
        Begin(next, output);
        if (next.TakeKept() is { Length: > 0 } kept) Give(next, kept, output);
    }

    private FrameKind End(ReadOnlySpan<byte> data, IEventOutput output)
    {
        ReadUsage(data, _root);
        var delta = _root.Find(data, "delta"u8);
        if (_root.TypeOf(delta) != JsonTokenType.StartObject) return FrameKind.Empty;
        _inner.Read(data, _root.ValueStart(delta));
        if (_inner.Text(data, _inner.Find(data, "stop_reason"u8)) is not { } reason) return FrameKind.Empty;
        var sequence = _inner.Text(data, _inner.Find(data, "stop_sequence"u8));
        var details = _inner.Find(data, "stop_details"u8);
        var hasDetails = _inner.TypeOf(details) == JsonTokenType.StartObject && _inner.HasSubstance(details);
        EndThinking(output);
        StopCalls(output);
        SetFinish(0, new AnswerFinish(reason switch
        {
            "max_tokens" or "model_context_window_exceeded" or "pause_turn" => AnswerEnd.Length,
            "tool_use" => AnswerEnd.ToolCalls,
            "refusal" => AnswerEnd.ContentFilter,
            _ => AnswerEnd.Stop,
        })
        { StopText = reason == "stop_sequence" ? sequence : null, Details = hasDetails ? OnOneLine(_inner.Value(data, details)) : default });
        return FrameKind.Content;
    }

    private FrameKind PassText(ReadOnlySpan<byte> data, ReadOnlySpan<byte> name, IEventOutput output)
    {
        var text = _inner.Find(data, name);
        // Some servers leave out what is empty.
        if (_inner.TypeOf(text) is JsonTokenType.None or JsonTokenType.Null) return FrameKind.Empty;
        if (_inner.TypeOf(text) != JsonTokenType.String) return FailAsGarbage();
        if (_inner.HasSubstance(text)) Text(output, 0, Unescape(_inner.Value(data, text)));
        return FrameKind.Empty;
    }

    private FrameKind PassThinking(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var text = _inner.Find(data, "thinking"u8);
        if (_inner.TypeOf(text) is JsonTokenType.None or JsonTokenType.Null) return FrameKind.Empty;
        if (_inner.TypeOf(text) != JsonTokenType.String) return FailAsGarbage();
        if (!_inner.HasSubstance(text)) return FrameKind.Empty;
        _thinking.AddText(_inner.StringBytes(data, "thinking"u8));
        Reasoning(output, 0, Unescape(_inner.Value(data, text)));
        return FrameKind.Empty;
    }

    private void EndThinking(IEventOutput output)
    {
        if (_thinking.TryEnd(out var block)) EndReasoning(output, 0, block);
    }

    private ApiError ReadError(ReadOnlySpan<byte> data)
    {
        var error = _root.Find(data, "error"u8);
        return UpstreamError.ReadEvent(error < 0 || _root.TypeOf(error) == JsonTokenType.Null ? data : _root.Value(data, error));
    }

    // Line breaks stand outside of strings.
    private static byte[] OnOneLine(ReadOnlySpan<byte> json)
    {
        var line = json.ToArray();
        line.AsSpan().Replace((byte)'\r', (byte)' ');
        line.AsSpan().Replace((byte)'\n', (byte)' ');
        return line;
    }

    // Half of a surrogate pair is no text: garbage.
    private ReadOnlySpan<byte> Unescape(ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(value);
        reader.Read();
        if (_text.Length < value.Length) _text = new byte[int.Max(value.Length, 2 * _text.Length)];
        return _text.AsSpan(0, reader.CopyString(_text));
    }
}
