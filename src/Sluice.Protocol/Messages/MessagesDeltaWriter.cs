using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Writes what a model says as events of the Messages API: blocks one behind the other, numbered without gaps, none of them an empty text.
/// </summary>
/// <remarks>
/// A thinking block ends with a signature, because clients drop one without: the producer's reasoning, sealed, or where there is none the
/// text itself. Text that comes before a call is complete waits for it, because blocks can't overlap.
/// </remarks>
internal sealed class MessagesDeltaWriter(AnswerHead head) : DeltaWriter
{
    private enum Block
    {
        None,
        Text,
        Thinking,
        Tool,
    }

    // For a hub that seals nothing: whoever gives it back loses nothing.
    private const string NoSignature = "unsigned";
    private const string LocalOrigin = ReasoningOrigins.Chat + "local";

    private readonly ArrayBufferWriter<byte> _thinking = new();
    private readonly ArrayBufferWriter<byte> _input = new();
    private readonly ArrayBufferWriter<byte> _waiting = new();
    private Block _open;
    private bool _isCustom;
    private bool _hasCalls;
    private bool _isEnding;
    private bool _hasEnded;
    private int _blockCount;
    private AnswerFinish? _finish;

    public override void Begin(IEventOutput output, bool isText)
    {
        JsonText.WriteRaw(output, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"u8);
        JsonText.WriteStringOrNull(output, head.Id);
        JsonText.WriteRaw(output, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        JsonText.WriteStringOrNull(output, head.Model);
        JsonText.WriteRaw(output, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":"u8);
        JsonText.WriteInteger(output, head.PromptTokens);
        JsonText.WriteRaw(output, ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}"u8);
        WriteIgnoredTools(output);
        End(output, "}}\n\n"u8);
    }

    // Which tools the model has not been told of.
    private void WriteIgnoredTools(IEventOutput output)
    {
        var types = MessagesNeutralTools.FindIgnored(head.Body.Span);
        for (var i = 0; i < types.Count; i++)
        {
            JsonText.WriteRaw(output, i == 0 ? ",\"sluice\":{\"ignored_tools\":["u8 : ","u8);
            JsonText.WriteStringOrNull(output, types[i]);
        }
        if (types.Count > 0) JsonText.WriteRaw(output, "]}"u8);
    }

    public override void Restore(EventBuffer past) => TryTakeUp(past, isWhole: true);

    /// <summary>Takes up an answer.</summary>
    /// <param name="past">Events up to the last one.</param>
    /// <param name="isWhole">Whether the first is among them.</param>
    /// <returns>False where they don't tell which block comes next.</returns>
    public bool TryTakeUp(EventBuffer past, bool isWhole)
    {
        var isKnown = isWhole;
        for (var i = 0; i < past.Count; i++)
        {
            var data = past[i].IndexOf("data: "u8);
            if (data < 0) continue;
            try
            {
                var json = new Utf8JsonReader(past[i][(data + "data: "u8.Length)..]);
                using var document = JsonDocument.ParseValue(ref json);
                isKnown |= TakeUp(document.RootElement);
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
            {
                return false;
            }
        }
        return isKnown;
    }

    public override void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs)
    {
        if (utf8.IsEmpty) return;
        if (_open == Block.Tool && IsCut())
        {
            JsonText.WriteRaw(_waiting, utf8);
            return;
        }
        if (_open != Block.Text)
        {
            Close(output);
            Open(output, Block.Text);
            End(output, "{\"type\":\"text\",\"text\":\"\"}}\n\n"u8);
        }
        BeginDelta(output, "\"text_delta\",\"text\":\""u8);
        JsonText.WriteEscaped(output, utf8);
        End(output, "\"}}\n\n"u8);
    }

    public override void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
        // A block can't hold what belongs before it.
        if (utf8.IsEmpty || (_open == Block.Tool && IsCut())) return;
        if (_open != Block.Thinking) OpenThinking(output);
        if (_thinking.WrittenCount < ProtocolLimits.ThinkingBytesMax) JsonText.WriteRaw(_thinking, utf8);
        BeginDelta(output, "\"thinking_delta\",\"thinking\":\""u8);
        JsonText.WriteEscaped(output, utf8);
        End(output, "\"}}\n\n"u8);
    }

    public override void EndReasoning(IEventOutput output, int choice, ReasoningBlob blob)
    {
        if (_open != Block.Thinking) OpenThinking(output);
        CloseThinking(output, blob);
    }

    public override void Call(IEventOutput output, int choice, int call, CallKind kind, string id, string name)
    {
        Close(output);
        Open(output, Block.Tool);
        JsonText.WriteRaw(output, "{\"type\":\"tool_use\",\"id\":"u8);
        JsonText.WriteStringOrNull(output, MessagesIds.Clean(id));
        JsonText.WriteRaw(output, ",\"name\":"u8);
        JsonText.WriteStringOrNull(output, name);
        End(output, ",\"input\":{}}}\n\n"u8);
        (_hasCalls, _isCustom) = (true, kind == CallKind.Custom);
    }

    public override void Input(IEventOutput output, int choice, int call, CallKind kind, ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty || _open != Block.Tool) return;
        JsonText.WriteRaw(_input, utf8);
        if (!_isCustom) WriteInput(output, utf8);
    }

    // What closes the answer follows with the usage.
    public override void Finish(IEventOutput output, int choice, AnswerFinish finish)
    {
        Close(output);
        _finish = finish;
    }

    public override void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        if (_hasEnded) return;
        Close(output);
        if (!_isEnding)
        {
            var finish = _finish ?? new AnswerFinish(head.Budget is null ? AnswerEnd.Stop : AnswerEnd.Length);
            JsonText.WriteRaw(output, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\""u8);
            JsonText.WriteRaw(output, ReasonOf(finish));
            JsonText.WriteRaw(output, "\",\"stop_sequence\":"u8);
            JsonText.WriteStringOrNull(output, IsStopText(finish) ? finish.StopText : null);
            if (!finish.Details.IsEmpty)
            {
                JsonText.WriteRaw(output, ",\"stop_details\":"u8);
                JsonText.WriteRaw(output, finish.Details.Span);
            }
            JsonText.WriteRaw(output, "},\"usage\":"u8);
            MessagesUsage.Write(output, usage);
            if ((finish.Budget ?? head.Budget) is { } budget) Encoding.UTF8.GetBytes($",\"sluice\":{{{budget.ToMembers()}}}", output);
            End(output, "}\n\n"u8);
        }
        End(output, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8);
        _hasEnded = true;
    }

    private ReadOnlySpan<byte> ReasonOf(AnswerFinish finish) => finish.End switch
    {
        AnswerEnd.Length or AnswerEnd.Repetition => "max_tokens"u8,
        AnswerEnd.ContentFilter => "refusal"u8,
        AnswerEnd.ToolCalls => "tool_use"u8,
        // The results of calls are waited for, whatever comes with them.
        _ when _hasCalls => "tool_use"u8,
        _ => IsStopText(finish) ? "stop_sequence"u8 : "end_turn"u8,
    };

    private bool IsStopText(AnswerFinish finish) => finish is { End: AnswerEnd.Stop, StopText: not null } && !_hasCalls;

    private void OpenThinking(IEventOutput output)
    {
        Close(output);
        Open(output, Block.Thinking);
        _thinking.ResetWrittenCount();
        End(output, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"u8);
    }

    private void CloseThinking(IEventOutput output, ReasoningBlob blob)
    {
        BeginDelta(output, "\"signature_delta\",\"signature\":"u8);
        JsonText.WriteStringOrNull(output, head.Seal?.Seal(blob) ?? NoSignature);
        End(output, "}}\n\n"u8);
        Stop(output);
    }

    private void Close(IEventOutput output)
    {
        switch (_open)
        {
            case Block.None:
                return;
            case Block.Thinking:
                var json = new ArrayBufferWriter<byte>(_thinking.WrittenCount + 2);
                JsonText.WriteRaw(json, "\""u8);
                JsonText.WriteEscaped(json, _thinking.WrittenSpan);
                JsonText.WriteRaw(json, "\""u8);
                CloseThinking(output, new ReasoningBlob(LocalOrigin, json.WrittenMemory));
                return;
            case Block.Tool:
                if (_isCustom) WriteInput(output, Encoding.UTF8.GetBytes(CustomInputReader.ToArguments(Encoding.UTF8.GetString(_input.WrittenSpan))));
                Stop(output);
                WriteWaiting(output);
                return;
            default:
                Stop(output);
                return;
        }
    }

    // A whole text block, which is not open afterwards.
    private void WriteWaiting(IEventOutput output)
    {
        if (_waiting.WrittenCount == 0) return;
        var text = _waiting.WrittenSpan.ToArray();
        _waiting.ResetWrittenCount();
        Text(output, 0, text, default);
        Stop(output);
    }

    private void Open(IEventOutput output, Block block)
    {
        _open = block;
        _input.ResetWrittenCount();
        JsonText.WriteRaw(output, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"u8);
        JsonText.WriteInteger(output, _blockCount++);
        JsonText.WriteRaw(output, ",\"content_block\":"u8);
    }

    private void Stop(IEventOutput output)
    {
        JsonText.WriteRaw(output, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"u8);
        JsonText.WriteInteger(output, _blockCount - 1);
        End(output, "}\n\n"u8);
        _open = Block.None;
    }

    private void BeginDelta(IEventOutput output, ReadOnlySpan<byte> delta)
    {
        JsonText.WriteRaw(output, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"u8);
        JsonText.WriteInteger(output, _blockCount - 1);
        JsonText.WriteRaw(output, ",\"delta\":{\"type\":"u8);
        JsonText.WriteRaw(output, delta);
    }

    private void WriteInput(IEventOutput output, ReadOnlySpan<byte> utf8)
    {
        BeginDelta(output, "\"input_json_delta\",\"partial_json\":\""u8);
        JsonText.WriteEscaped(output, utf8);
        End(output, "\"}}\n\n"u8);
    }

    private static void End(IEventOutput output, ReadOnlySpan<byte> end)
    {
        JsonText.WriteRaw(output, end);
        output.EndEvent();
    }

    // Whether the open call has a part of its input only, or nothing yet.
    private bool IsCut()
    {
        if (_isCustom) return false;
        try
        {
            var reader = new Utf8JsonReader(_input.WrittenSpan, JsonText.Reading);
            return !reader.Read() || !reader.TrySkip();
        }
        catch (JsonException)
        {
            return true;
        }
    }

    // True where the number of the block is known from then on.
    private bool TakeUp(JsonElement data)
    {
        switch (data.GetProperty("type"u8).GetString())
        {
            case "content_block_start":
                _blockCount = data.GetProperty("index"u8).GetInt32() + 1;
                _open = BlockOf(data.GetProperty("content_block"u8).GetProperty("type"u8).GetString());
                _hasCalls |= _open == Block.Tool;
                _isCustom = false;
                _thinking.ResetWrittenCount();
                _input.ResetWrittenCount();
                return true;
            case "content_block_delta":
                _blockCount = data.GetProperty("index"u8).GetInt32() + 1;
                var delta = data.GetProperty("delta"u8);
                TakeUpDelta(delta, delta.GetProperty("type"u8).GetString());
                return true;
            case "content_block_stop":
                _blockCount = data.GetProperty("index"u8).GetInt32() + 1;
                _open = Block.None;
                return true;
            case "message_delta":
                _isEnding |= data.GetProperty("delta"u8).TryGetProperty("stop_reason"u8, out var reason) && reason.ValueKind == JsonValueKind.String;
                return _isEnding;
            case "message_stop":
                _hasEnded = true;
                return true;
            default:
                return false;
        }
    }

    private void TakeUpDelta(JsonElement delta, string? type)
    {
        switch (type)
        {
            case "text_delta":
                _open = Block.Text;
                return;
            case "thinking_delta":
                _open = Block.Thinking;
                Encoding.UTF8.GetBytes(JsonStrings.Read(delta.GetProperty("thinking"u8)), _thinking);
                return;
            case "input_json_delta":
                (_open, _hasCalls) = (Block.Tool, true);
                Encoding.UTF8.GetBytes(JsonStrings.Read(delta.GetProperty("partial_json"u8)), _input);
                return;
        }
    }

    private static Block BlockOf(string? type) => type switch
    {
        "thinking" => Block.Thinking,
        "tool_use" => Block.Tool,
        // Of an upstream's own: closed like a text.
        _ => Block.Text,
    };
}
