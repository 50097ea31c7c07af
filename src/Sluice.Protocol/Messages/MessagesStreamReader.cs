using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Makes of the events of Anthropic's Messages API frames in OpenAI's shape, which <see cref="ChunkNormalizer"/> then treats like any
/// upstream's. Texts are copied as they are escaped, and nothing is allocated for one. For one answer and one thread at a time.
/// </summary>
/// <remarks>
/// Thinking is <c>reasoning_content</c>. Where an answer thinks and then calls tools, its thinking blocks with their signatures also
/// come in one last delta, as <c>sluice.thinking</c>: the API wants them back with the tools' results, and
/// <see cref="MessagesRequestWriter"/> takes them from there. Citations and the blocks of tools that the server runs itself are left out.
/// </remarks>
public sealed class MessagesStreamReader
{
    private enum Block
    {
        None,
        Text,
        Thinking,
        Tool,
        Other,
    }

    private readonly JsonObjectText _root = new();
    private readonly JsonObjectText _inner = new();
    private readonly ArrayBufferWriter<byte> _frame = new(1024);
    private readonly Dictionary<long, OpenTool> _tools = [];
    private readonly MessagesThinking _thinking = new();
    private readonly MessagesUsage _usage = new();
    private byte[] _model = "null"u8.ToArray();
    private Block _block;
    private int _toolCount;

    // Blocks may be open beside one another; what belongs to which the event's index says.
    private sealed class OpenTool(int call, byte[] input)
    {
        public int Call => call;

        public byte[] Input => input;

        public bool HasArguments { get; set; }
    }

    /// <summary>Takes one event.</summary>
    /// <param name="data">The event's data; its <c>type</c> says which event it is.</param>
    /// <param name="frames">Receives the frames.</param>
    /// <param name="output">Receives what <paramref name="frames"/> makes of them.</param>
    /// <returns>The most that one of the frames was.</returns>
    public FrameKind Add(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        data = data.Trim(" \t\r\n"u8);
        if (data.IsEmpty) return FrameKind.Empty;
        try
        {
            _root.Read(data, 0);
            var type = _root.Find(data, "type"u8);
            if (_root.TypeOf(type) != JsonTokenType.String) return frames.FailAsGarbage();
            var name = _root.Value(data, type);
            if (name.SequenceEqual("\"content_block_delta\""u8)) return AddDelta(data, frames, output);
            if (name.SequenceEqual("\"content_block_start\""u8)) return StartBlock(data, frames, output);
            if (name.SequenceEqual("\"content_block_stop\""u8)) return StopBlock(Index(data), frames, output);
            if (name.SequenceEqual("\"message_start\""u8)) return Start(data, frames, output);
            if (name.SequenceEqual("\"message_delta\""u8)) return Finish(data, frames, output);
            if (name.SequenceEqual("\"message_stop\""u8)) return frames.Add("[DONE]"u8, output);
            // A ping, or something that a later version has.
            return name.SequenceEqual("\"error\""u8) ? Fail(data, frames, output) : FrameKind.Empty;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return frames.FailAsGarbage();
        }
    }

    private FrameKind Start(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        var message = _root.Find(data, "message"u8);
        if (_root.TypeOf(message) != JsonTokenType.StartObject) return frames.FailAsGarbage();
        _inner.Read(data, _root.ValueStart(message));
        var model = _inner.Find(data, "model"u8);
        if (_inner.TypeOf(model) == JsonTokenType.String) _model = _inner.Value(data, model).ToArray();
        var usage = _inner.Find(data, "usage"u8);
        if (_inner.TypeOf(usage) == JsonTokenType.StartObject) _usage.Read(data, _inner.ValueStart(usage));
        // The role is written with the first frame, which shows whether the answer begins with text.
        return FrameKind.Empty;
    }

    private FrameKind StartBlock(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        var result = StopText();
        var block = _root.Find(data, "content_block"u8);
        if (_root.TypeOf(block) != JsonTokenType.StartObject) return frames.FailAsGarbage();
        _inner.Read(data, _root.ValueStart(block));
        var typeMember = _inner.Find(data, "type"u8);
        var type = _inner.TypeOf(typeMember) == JsonTokenType.String ? _inner.Value(data, typeMember) : default;
        if (type.SequenceEqual("\"text\""u8))
        {
            _block = Block.Text;
            return Greater(result, PassText("\"content\":"u8, data, "text"u8, frames, output));
        }
        if (type.SequenceEqual("\"thinking\""u8))
        {
            _block = Block.Thinking;
            _thinking.Begin(_inner.StringBytes(data, "thinking"u8), _inner.StringBytes(data, "signature"u8));
            return Greater(result, PassText("\"reasoning_content\":"u8, data, "thinking"u8, frames, output));
        }
        if (type.SequenceEqual("\"tool_use\""u8)) return Greater(result, StartTool(data, frames, output));
        _block = Block.Other;
        if (type.SequenceEqual("\"redacted_thinking\""u8)) _thinking.AddRedacted(_inner.StringBytes(data, "data"u8));
        return result;
    }

    private FrameKind StartTool(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        var (id, name, input) = (_inner.Find(data, "id"u8), _inner.Find(data, "name"u8), _inner.Find(data, "input"u8));
        if (_inner.TypeOf(id) != JsonTokenType.String || _inner.TypeOf(name) != JsonTokenType.String) return frames.FailAsGarbage();
        _block = Block.Tool;
        // Arguments come in pieces later, but for servers that have them whole at once.
        var whole = _inner.TypeOf(input) == JsonTokenType.StartObject ? _inner.Value(data, input) : "{}"u8;
        _tools[Index(data)] = new OpenTool(_toolCount, whole.ToArray());

        Begin();
        JsonText.WriteRaw(_frame, "\"tool_calls\":[{\"index\":"u8);
        JsonText.WriteInteger(_frame, _toolCount++);
        JsonText.WriteRaw(_frame, ",\"id\":"u8);
        JsonText.WriteRaw(_frame, _inner.Value(data, id));
        JsonText.WriteRaw(_frame, ",\"type\":\"function\",\"function\":{\"name\":"u8);
        JsonText.WriteRaw(_frame, _inner.Value(data, name));
        JsonText.WriteRaw(_frame, ",\"arguments\":\"\"}}]"u8);
        return End(default, frames, output);
    }

    private FrameKind AddDelta(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        var delta = _root.Find(data, "delta"u8);
        if (_root.TypeOf(delta) != JsonTokenType.StartObject) return frames.FailAsGarbage();
        _inner.Read(data, _root.ValueStart(delta));
        var typeMember = _inner.Find(data, "type"u8);
        var type = _inner.TypeOf(typeMember) == JsonTokenType.String ? _inner.Value(data, typeMember) : default;
        if (type.SequenceEqual("\"text_delta\""u8)) return PassText("\"content\":"u8, data, "text"u8, frames, output);
        if (type.SequenceEqual("\"input_json_delta\""u8)) return AddArguments(data, frames, output);
        if (type.SequenceEqual("\"thinking_delta\""u8))
        {
            _thinking.AddText(_inner.StringBytes(data, "thinking"u8));
            return PassText("\"reasoning_content\":"u8, data, "thinking"u8, frames, output);
        }
        if (type.SequenceEqual("\"signature_delta\""u8)) _thinking.AddSignature(_inner.StringBytes(data, "signature"u8));
        return FrameKind.Empty;
    }

    private FrameKind AddArguments(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        var json = _inner.Find(data, "partial_json"u8);
        if (!_tools.TryGetValue(Index(data), out var tool))
        {
            // The server runs that tool itself.
            return _block == Block.Other ? FrameKind.Empty : frames.FailAsGarbage();
        }
        if (_inner.TypeOf(json) != JsonTokenType.String) return frames.FailAsGarbage();
        if (!_inner.HasSubstance(json)) return FrameKind.Empty;
        tool.HasArguments = true;
        BeginArguments(tool.Call);
        JsonText.WriteRaw(_frame, _inner.Value(data, json));
        JsonText.WriteRaw(_frame, "}}]"u8);
        return End(default, frames, output);
    }

    // Of servers that state none there is one block at a time.
    private long Index(ReadOnlySpan<byte> data) => _root.Integer(data, _root.Find(data, "index"u8)) ?? -1;

    private FrameKind StopText()
    {
        if (_block == Block.Thinking) _thinking.End();
        _block = Block.None;
        return FrameKind.Empty;
    }

    private FrameKind StopTools(ChunkNormalizer frames, IEventOutput output)
    {
        var result = FrameKind.Empty;
        foreach (var index in _tools.Keys.Order().ToArray()) result = Greater(result, StopBlock(index, frames, output));
        return result;
    }

    private FrameKind StopBlock(long index, ChunkNormalizer frames, IEventOutput output)
    {
        if (!_tools.Remove(index, out var tool)) return StopText();
        if (_block == Block.Tool) _block = Block.None;
        if (tool.HasArguments) return FrameKind.Empty;
        // Together the fragments of a call are JSON, also of one without arguments.
        BeginArguments(tool.Call);
        JsonText.WriteRaw(_frame, "\""u8);
        JsonText.WriteEscaped(_frame, tool.Input);
        JsonText.WriteRaw(_frame, "\"}}]"u8);
        return End(default, frames, output);
    }

    private FrameKind Finish(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        var usage = _root.Find(data, "usage"u8);
        if (_root.TypeOf(usage) == JsonTokenType.StartObject) _usage.Read(data, _root.ValueStart(usage));
        var delta = _root.Find(data, "delta"u8);
        if (_root.TypeOf(delta) != JsonTokenType.StartObject) return FrameKind.Empty;
        _inner.Read(data, _root.ValueStart(delta));
        var reason = _inner.Find(data, "stop_reason"u8);
        if (_inner.TypeOf(reason) != JsonTokenType.String) return FrameKind.Empty;

        StopText();
        var result = StopTools(frames, output);
        if (_toolCount > 0 && !_thinking.Blocks.IsEmpty)
            result = Greater(result, Pass("\"sluice\":{\"thinking\":["u8, _thinking.Blocks, "]}"u8, frames, output));
        Begin();
        result = Greater(result, End(_inner.Value(data, reason), frames, output));
        if (!_usage.IsKnown) return result;
        BeginFrame();
        JsonText.WriteRaw(_frame, "],"u8);
        _usage.WriteTo(_frame);
        JsonText.WriteRaw(_frame, "}"u8);
        return Greater(result, frames.Add(_frame.WrittenSpan, output));
    }

    private FrameKind Fail(ReadOnlySpan<byte> data, ChunkNormalizer frames, IEventOutput output)
    {
        var error = _root.Find(data, "error"u8);
        _frame.ResetWrittenCount();
        JsonText.WriteRaw(_frame, "{\"error\":"u8);
        JsonText.WriteRaw(_frame, error < 0 || _root.TypeOf(error) == JsonTokenType.Null ? data : _root.Value(data, error));
        JsonText.WriteRaw(_frame, "}"u8);
        return frames.Add(_frame.WrittenSpan, output);
    }

    private FrameKind PassText(
        ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, ReadOnlySpan<byte> member, ChunkNormalizer frames, IEventOutput output)
    {
        var text = _inner.Find(data, member);
        // Some servers leave out what is empty.
        if (_inner.TypeOf(text) is JsonTokenType.None or JsonTokenType.Null) return FrameKind.Empty;
        if (_inner.TypeOf(text) != JsonTokenType.String) return frames.FailAsGarbage();
        return _inner.HasSubstance(text) ? Pass(name, _inner.Value(data, text), default, frames, output) : FrameKind.Empty;
    }

    private FrameKind Pass(
        ReadOnlySpan<byte> start, ReadOnlySpan<byte> middle, ReadOnlySpan<byte> end, ChunkNormalizer frames, IEventOutput output)
    {
        Begin();
        JsonText.WriteRaw(_frame, start);
        JsonText.WriteRaw(_frame, middle);
        JsonText.WriteRaw(_frame, end);
        return End(default, frames, output);
    }

    private void BeginFrame()
    {
        _frame.ResetWrittenCount();
        JsonText.WriteRaw(_frame, "{\"id\":\"\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":"u8);
        JsonText.WriteRaw(_frame, _model);
        JsonText.WriteRaw(_frame, ",\"choices\":["u8);
    }

    private void Begin()
    {
        BeginFrame();
        JsonText.WriteRaw(_frame, "{\"index\":0,\"delta\":{"u8);
    }

    private void BeginArguments(int call)
    {
        Begin();
        JsonText.WriteRaw(_frame, "\"tool_calls\":[{\"index\":"u8);
        JsonText.WriteInteger(_frame, call);
        JsonText.WriteRaw(_frame, ",\"function\":{\"arguments\":"u8);
    }

    private FrameKind End(ReadOnlySpan<byte> finishReason, ChunkNormalizer frames, IEventOutput output)
    {
        JsonText.WriteRaw(_frame, "},\"logprobs\":null,\"finish_reason\":"u8);
        JsonText.WriteRaw(_frame, finishReason.IsEmpty ? "null"u8 : finishReason);
        // Not shown to those who did not ask for usage.
        JsonText.WriteRaw(_frame, "}],\"usage\":null}"u8);
        return frames.Add(_frame.WrittenSpan, output);
    }

    private static FrameKind Greater(FrameKind first, FrameKind second) => first > second ? first : second;
}
