using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// Passes the frames of an upstream's stream on. A frame that has OpenAI's shape keeps every byte but the values of <c>id</c>,
/// <c>model</c>, <c>created</c> and <c>usage</c>; what is known to break clients is put right. For one thread at a time.
/// </summary>
/// <param name="answer">What is known before the first frame.</param>
public sealed partial class ChunkNormalizer(RelayOptions answer) : AnswerRelay
{
    private static readonly byte[] s_null = "null"u8.ToArray();
    private static readonly byte[] s_emptyObject = "{}"u8.ToArray();
    private static readonly byte[] s_object = "\"chat.completion.chunk\""u8.ToArray();
    private static readonly byte[] s_idName = "\"id\""u8.ToArray();
    private static readonly byte[] s_objectName = "\"object\""u8.ToArray();
    private static readonly byte[] s_createdName = "\"created\""u8.ToArray();
    private static readonly byte[] s_modelName = "\"model\""u8.ToArray();
    private static readonly byte[] s_finishName = "\"finish_reason\""u8.ToArray();
    private static readonly byte[] s_deltaName = "\"delta\""u8.ToArray();

    private readonly byte[] _id = Quote(answer.Id);
    private readonly RelayedChoice?[] _choices = new RelayedChoice?[answer.ChoiceCount];
    private readonly JsonObjectText _root = new();
    private readonly JsonArrayText _elements = new();
    private readonly JsonObjectText _choice = new();
    private readonly JsonObjectText _delta = new();
    private readonly JsonArrayText _toolCalls = new();
    private readonly RepeatedFrame _repeated = new();
    private readonly UpstreamUsage _usage = new();
    private byte[] _model = [];
    private byte[] _created = [];
    private ChatChunkWriter? _writer;
    private byte[]? _usageFrame;

    /// <inheritdoc/>
    public override bool IsFinished => Array.TrueForAll(_choices, static choice => choice is { IsFinished: true });

    /// <inheritdoc/>
    public override bool HasAnswer => ContentCount > 0 || Array.Exists(_choices, static choice => choice is { IsFinished: true });

    /// <inheritdoc/>
    public override bool HasUsage => _usage.IsKnown;

    /// <inheritdoc/>
    public override bool TryReadWhole(ReadOnlySpan<byte> json, out WholeAnswer whole) => WholeCompletion.TryRead(json, answer, out whole);

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        data = data.Trim(" \t\r\n"u8);
        if (data.SequenceEqual("[DONE]"u8) || data.SequenceEqual("\"[DONE]\""u8)) return FrameKind.Done;
        // A comment that some gateway has wrapped as data.
        if (data.IsEmpty || data[0] == (byte)':') return FrameKind.Empty;
        if (data[0] == (byte)'[') return FailAsList(data);
        if (data[0] != (byte)'{') return FailAsGarbage();
        if (!Utf8.IsValid(data)) data = FrameRepair.ToUtf8(data);
        if (AddRepeated(data, output)) return FrameKind.Content;
        if (data.IndexOfAny((byte)'\r', (byte)'\n') >= 0) data = ToOneLine(FrameRepair.EscapeControls(data) ?? data);
        return TryAddObject(data, output) ?? (FrameRepair.EscapeControls(data) is { } mended ? TryAddObject(mended, output) : null) ?? FailAsGarbage();
    }

    /// <inheritdoc/>
    /// <remarks>A choice without a reason gets the one that follows from what it said, and says that it was derived.</remarks>
    public override void WriteEnd(IEventOutput output)
    {
        for (var index = 0; index < _choices.Length; index++)
        {
            if (_choices[index] is not { } choice) continue;
            choice.Order.Release(output);
            if (choice.IsFinished) choice.Finish.CopyTo(output);
            else if (choice.HasContent)
                Writer.WriteFlaggedFinish(output, index, choice.Tools.Count > 0 && !answer.HasForcedTool ? "tool_calls"u8 : "stop"u8, "finish_derived"u8);
        }
        if (!answer.IncludesUsage) return;
        if (_usageFrame is not null)
        {
            _root.Read(_usageFrame, 0);
            SetIdentity(_usageFrame);
            _root.Drop(_root.Find(_usageFrame, "error"u8));
            WriteRoot(output, _usageFrame);
        }
        else if (_usage.IsKnown)
        {
            Writer.WriteUsage(output, _usage.Json.Span);
        }
        else
        {
            Writer.WriteEstimatedUsage(output, answer.EstimatedPromptTokens, EstimateTokens(ContentBytes));
        }
    }

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage()
    {
        return _usage.IsKnown ? _usage.Counts : new AnswerUsage(answer.EstimatedPromptTokens, 0, EstimateTokens(ContentBytes));
    }

    private ChatChunkWriter Writer => _writer ??= new ChatChunkWriter(answer.Id, CreatedValue, ModelValue, answer.IncludesUsage, serviceTier: null);

    private long CreatedValue { get; set; } = answer.Created;

    private string ModelValue { get; set; } = answer.Model;

    // Null where the frame is not JSON.
    private FrameKind? TryAddObject(ReadOnlySpan<byte> json, IEventOutput output)
    {
        try
        {
            return _root.Read(json, 0) == json.Length ? AddObject(json, output) : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private FrameKind AddObject(ReadOnlySpan<byte> json, IEventOutput output)
    {
        var choices = _root.Find(json, "choices"u8);
        var hasChoices = _root.TypeOf(choices) == JsonTokenType.StartArray;
        if (UpstreamError.FindInFrame(json, hasChoices) is { } failure) return Fail(failure);
        var usage = TakeUsage(json);
        // A ping of some kind, or metadata.
        if (!hasChoices) return FrameKind.Empty;
        _elements.Read(json, _root.ValueStart(choices));
        if (_elements.Count == 0)
        {
            if (usage) _usageFrame = json.ToArray();
            return FrameKind.Empty;
        }
        if (usage) _usageFrame = null;
        if (ChoiceShape.TryMend(json, out var mended))
        {
            _root.Read(json = mended, 0);
            choices = _root.Find(json, "choices"u8);
            _elements.Read(json, _root.ValueStart(choices));
        }

        TakeIdentity(json);
        SetIdentity(json);
        _root.Drop(_root.Find(json, "error"u8));
        var result = FrameKind.Empty;
        for (var i = 0; i < _elements.Count && Error is null; i++)
        {
            if (AddChoice(json, choices, i, output)) result = FrameKind.Content;
        }
        if (result == FrameKind.Content && Error is null && _repeated.IsWanted) LearnFrame(json, choices);
        return Error is null ? result : FrameKind.Failed;
    }

    // One choice goes on with more text: neither usage nor an end can be in such a frame.
    private bool AddRepeated(ReadOnlySpan<byte> data, IEventOutput output)
    {
        if (_choices is not [{ IsFinished: false }]) return false;
        var length = _repeated.TryWrite(data, output);
        if (length == 0) return false;
        output.EndEvent();
        ContentCount++;
        ContentBytes += length;
        return true;
    }

    // Of a frame with nothing but text, whose choice was passed as it was.
    private void LearnFrame(ReadOnlySpan<byte> json, int choices)
    {
        if (_choices is not [{ IsFinished: false }] || _elements.Count > 1 || _choice.IsEdited || _delta.IsEdited || _delta.Count != 1) return;
        if (!_delta.IsNamed(json, 0, "content"u8) || _delta.TypeOf(0) != JsonTokenType.String) return;
        var written = new EventBuffer();
        WriteRoot(written, json);
        _repeated.Learn(json, _delta.Value(json, 0)[1..^1], _delta.ValueStart(0) + 1, _root.Value(json, choices), written.WrittenSpan);
    }

    // Whether the frame itself has usage in OpenAI's names, so that it can be passed at the end.
    private bool TakeUsage(ReadOnlySpan<byte> json)
    {
        var usage = _root.Find(json, "usage"u8);
        if (_root.TypeOf(usage) == JsonTokenType.StartObject && _usage.Read(json, _root.ValueStart(usage)))
            return _usage.Json.Span.SequenceEqual(_root.Value(json, usage));
        // Groq's place.
        var other = _root.Find(json, "x_groq"u8);
        if (_root.TypeOf(other) != JsonTokenType.StartObject) return false;
        _delta.Read(json, _root.ValueStart(other));
        usage = _delta.Find(json, "usage"u8);
        if (_delta.TypeOf(usage) == JsonTokenType.StartObject) _usage.Read(json, _delta.ValueStart(usage));
        return false;
    }

    private void TakeIdentity(ReadOnlySpan<byte> json)
    {
        if (_model.Length > 0) return;
        if (answer.KeepsUpstreamModel && _root.Text(json, _root.Find(json, "model"u8)) is { Length: > 0 } model) ModelValue = model;
        if (answer.KeepsUpstreamCreated && _root.Integer(json, _root.Find(json, "created"u8)) is > 0 and <= uint.MaxValue and var created) CreatedValue = created;
        _model = Quote(ModelValue);
        var text = new ArrayBufferWriter<byte>();
        JsonText.WriteInteger(text, CreatedValue);
        _created = text.WrittenSpan.ToArray();
    }

    private void SetIdentity(ReadOnlySpan<byte> json)
    {
        TakeIdentity(json);
        SetIfOther(json, "id"u8, s_idName, _id);
        SetIfOther(json, "object"u8, s_objectName, s_object);
        SetIfOther(json, "created"u8, s_createdName, _created);
        var model = _root.Find(json, "model"u8);
        // The same name may be escaped in another way, and then it stays.
        var isSame = model >= 0 && (_root.Value(json, model).SequenceEqual(_model) || _root.Text(json, model) == ModelValue);
        if (!isSame) _root.Set(model, s_modelName, _model);
    }

    private void SetIfOther(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name, byte[] quotedName, byte[] value)
    {
        var index = _root.Find(json, name);
        if (index < 0 || !_root.Value(json, index).SequenceEqual(value)) _root.Set(index, quotedName, value);
    }

    private void WriteRoot(IEventOutput output, ReadOnlySpan<byte> json)
    {
        JsonText.WriteRaw(output, "data: "u8);
        _root.WriteTo(output, json);
        JsonText.WriteRaw(output, "\n\n"u8);
        output.EndEvent();
    }

    /// <summary>Ends the stream as one that has sent what it may not send.</summary>
    public FrameKind FailAsGarbage() => Fail(new ApiError(502, "The upstream sent an event that is not a chat completion chunk.", ApiErrors.ServerErrorType, null, "upstream_invalid_event"));

    // Google's errors come in one.
    private FrameKind FailAsList(ReadOnlySpan<byte> data)
    {
        try
        {
            return UpstreamError.FindInFrame(data, hasChoices: false) is { } error ? Fail(error) : FailAsGarbage();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return FailAsGarbage();
        }
    }

    // Outside of strings, where alone line ends may be, they are white space.
    private static byte[] ToOneLine(ReadOnlySpan<byte> json)
    {
        var line = json.ToArray();
        line.AsSpan().Replace((byte)'\r', (byte)' ');
        line.AsSpan().Replace((byte)'\n', (byte)' ');
        return line;
    }

    private static byte[] Quote(string text)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(output, text);
        return output.WrittenSpan.ToArray();
    }
}
