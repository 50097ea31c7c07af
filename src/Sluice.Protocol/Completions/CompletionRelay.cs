using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Completions;

/// <summary>
/// Passes the events of an upstream's text completion on: every byte but <c>id</c> and a <c>model</c> that has another name here. The last
/// event of a choice is held until the upstream has really ended, so that a cut answer never looks whole. For one thread at a time.
/// </summary>
/// <param name="answer">What is known before the first event.</param>
internal sealed class CompletionRelay(RelayOptions answer) : AnswerRelay
{
    private static readonly byte[] s_idName = "\"id\""u8.ToArray();
    private static readonly byte[] s_modelName = "\"model\""u8.ToArray();

    private readonly byte[] _id = Quote(answer.Id);
    private readonly byte[] _model = Quote(answer.Model);
    private readonly bool[] _finished = new bool[answer.ChoiceCount];
    private readonly JsonObjectText _root = new();
    private readonly JsonArrayText _elements = new();
    private readonly JsonObjectText _choice = new();
    private readonly UpstreamUsage _usage = new();

    // Events with a finish reason, in their order.
    private readonly List<byte[]> _held = [];
    private byte[]? _usageEvent;

    /// <inheritdoc/>
    public override bool IsFinished => Array.TrueForAll(_finished, static isFinished => isFinished);

    /// <inheritdoc/>
    public override bool HasAnswer => ContentCount > 0 || Array.Exists(_finished, static isFinished => isFinished);

    /// <inheritdoc/>
    public override bool HasUsage => _usage.IsKnown;

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        data = data.Trim(" \t\r\n"u8);
        if (data.SequenceEqual("[DONE]"u8)) return FrameKind.Done;
        if (data.IsEmpty || data[0] == (byte)':') return FrameKind.Empty;
        try
        {
            if (data[0] == (byte)'{' && Utf8.IsValid(data) && _root.Read(data, 0) == data.Length) return AddObject(data, output);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Told below.
        }

        return Fail(new ApiError(502, "The upstream sent an event that is not valid.", ApiErrors.ServerErrorType, null, "upstream_invalid_event"));
    }

    /// <inheritdoc/>
    public override bool TryReadWhole(ReadOnlySpan<byte> json, out WholeAnswer whole)
    {
        whole = null!;
        json = json.Trim(" \t\r\n\uFEFF"u8);
        try
        {
            if (!Utf8.IsValid(json) || _root.Read(json, 0) != json.Length || UpstreamError.FindInFrame(json, hasChoices: true) is not null) return false;
            var choices = _root.Find(json, "choices"u8);
            if (_root.TypeOf(choices) != JsonTokenType.StartArray) return false;
            _elements.Read(json, _root.ValueStart(choices));
            for (var i = 0; i < _elements.Count; i++)
            {
                if (_elements[i].Type != JsonTokenType.StartObject) return false;
                _choice.Read(json, _elements[i].Start);
                if (_choice.TypeOf(_choice.Find(json, "text"u8)) != JsonTokenType.String) return false;
            }

            var usage = _root.Find(json, "usage"u8);
            if (_root.TypeOf(usage) == JsonTokenType.StartObject) _usage.Read(json, _root.ValueStart(usage));
            ContentBytes = json.Length / 2;
            SetIdentity(json);
            var output = new ArrayBufferWriter<byte>(json.Length + 64);
            _root.WriteTo(output, json);
            whole = new WholeAnswer(output.WrittenMemory, ReadUsage(), !HasUsage);
            return _elements.Count > 0;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    /// <remarks>A choice without a reason gets <c>stop</c>, and says that the hub concluded it.</remarks>
    public override void WriteEnd(IEventOutput output)
    {
        Release(output);
        var writer = new CompletionChunkWriter(new AnswerHead(answer.Id, answer.Created, answer.Model) { IncludesUsage = answer.IncludesUsage });
        for (var choice = 0; choice < _finished.Length; choice++)
        {
            if (!_finished[choice]) writer.Finish(output, choice, new AnswerFinish(AnswerEnd.Stop) { IsDerived = true });
        }

        if (!answer.IncludesUsage) return;
        if (_usageEvent is not null) WriteEvent(output, _usageEvent);
        else writer.Usage(output, ReadUsage(), isEstimated: !HasUsage);
    }

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage() =>
        _usage.IsKnown ? _usage.Counts : new AnswerUsage(answer.EstimatedPromptTokens, 0, EstimateTokens(ContentBytes));

    private FrameKind AddObject(ReadOnlySpan<byte> json, IEventOutput output)
    {
        var choices = _root.Find(json, "choices"u8);
        var hasChoices = _root.TypeOf(choices) == JsonTokenType.StartArray;
        if (UpstreamError.FindInFrame(json, hasChoices) is { } failure) return Fail(failure);
        var usage = _root.Find(json, "usage"u8);
        var hasUsage = _root.TypeOf(usage) == JsonTokenType.StartObject && _usage.Read(json, _root.ValueStart(usage));
        if (!hasChoices) return FrameKind.Empty;
        _elements.Read(json, _root.ValueStart(choices));
        if (_elements.Count == 0)
        {
            if (hasUsage) _usageEvent = Write(json);
            return FrameKind.Empty;
        }

        var (isContent, isFinish) = (false, false);
        for (var i = 0; i < _elements.Count; i++)
        {
            if (_elements[i].Type == JsonTokenType.StartObject) ReadChoice(json, _elements[i].Start, ref isContent, ref isFinish);
        }

        var written = Write(json);
        if (isFinish)
        {
            _held.Add(written);
            return FrameKind.Content;
        }

        // What goes on behind its end is still content.
        if (isContent && IsFinished) Release(output);
        WriteEvent(output, written);
        return isContent ? FrameKind.Content : FrameKind.Empty;
    }

    private void ReadChoice(ReadOnlySpan<byte> json, int start, ref bool isContent, ref bool isFinish)
    {
        _choice.Read(json, start);
        var index = _choice.Integer(json, _choice.Find(json, "index"u8)) ?? 0;
        if (_choice.TypeOf(_choice.Find(json, "finish_reason"u8)) == JsonTokenType.String)
        {
            isFinish = true;
            if (index >= 0 && index < _finished.Length) _finished[index] = true;
        }

        var text = _choice.Find(json, "text"u8);
        if (!_choice.HasSubstance(text)) return;
        isContent = true;
        ContentCount++;
        ContentBytes += _choice.Value(json, text).Length - 2;
    }

    private byte[] Write(ReadOnlySpan<byte> json)
    {
        SetIdentity(json);
        var output = new ArrayBufferWriter<byte>(json.Length + 64);
        _root.WriteTo(output, json);
        var written = output.WrittenSpan.ToArray();
        // Events are lines, and outside of strings, where alone line ends may be, they are white space.
        written.AsSpan().Replace((byte)'\n', (byte)' ');
        written.AsSpan().Replace((byte)'\r', (byte)' ');
        return written;
    }

    private void SetIdentity(ReadOnlySpan<byte> json)
    {
        _root.Drop(_root.Find(json, "error"u8));
        var id = _root.Find(json, "id"u8);
        if (id < 0 || !_root.Value(json, id).SequenceEqual(_id)) _root.Set(id, s_idName, _id);
        var model = _root.Find(json, "model"u8);
        var isKept = answer.KeepsUpstreamModel && _root.Text(json, model) is { Length: > 0 };
        if (!isKept && (model < 0 || !_root.Value(json, model).SequenceEqual(_model))) _root.Set(model, s_modelName, _model);
    }

    private void Release(IEventOutput output)
    {
        foreach (var written in _held) WriteEvent(output, written);
        _held.Clear();
    }

    private static void WriteEvent(IEventOutput output, ReadOnlySpan<byte> json)
    {
        JsonText.WriteRaw(output, "data: "u8);
        JsonText.WriteRaw(output, json);
        JsonText.WriteRaw(output, "\n\n"u8);
        output.EndEvent();
    }

    private static byte[] Quote(string text)
    {
        var output = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(output, text);
        return output.WrittenSpan.ToArray();
    }
}
