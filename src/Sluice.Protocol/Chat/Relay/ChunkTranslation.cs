using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>
/// Translates an upstream's chunks. A <see cref="ChunkNormalizer"/> puts them right first, so that what is read here has one shape: a chunk
/// carries a role, text, one piece of a call, or an end.
/// </summary>
public sealed class ChunkTranslation : TranslatedRelay
{
    private readonly ChunkNormalizer _chunks;
    private readonly EventBuffer _events = new();
    private readonly FrameText _frame = new();
    private readonly JsonArrayText _calls = new();
    private readonly JsonObjectText _call = new();
    private readonly JsonObjectText _body = new();
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly StringBuilder _reasoning = new();

    /// <param name="answer">What is known before the first chunk.</param>
    /// <param name="writer">Of the dialect that asked.</param>
    public ChunkTranslation(RelayOptions answer, DeltaWriter writer)
        : base(answer, writer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        _chunks = new ChunkNormalizer(answer with { IncludesUsage = false });
    }

    /// <inheritdoc/>
    public override bool IsFinished => _chunks.IsFinished;

    /// <inheritdoc/>
    public override bool HasAnswer => _chunks.HasAnswer;

    /// <inheritdoc/>
    public override bool HasUsage => _chunks.HasUsage;

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage() => _chunks.ReadUsage();

    /// <inheritdoc/>
    public override FrameKind Add(ReadOnlySpan<byte> data, IEventOutput output)
    {
        var kind = _chunks.Add(data, _events);
        Translate(output);
        (ContentCount, ContentBytes) = (_chunks.ContentCount, _chunks.ContentBytes);
        return kind == FrameKind.Failed ? Fail(_chunks.Error!) : kind;
    }

    /// <inheritdoc/>
    protected override void BeforeEnd(IEventOutput output)
    {
        _chunks.WriteEnd(_events);
        Translate(output);
        EndReasoning(output, 0);
    }

    private void Translate(IEventOutput output)
    {
        for (var i = 0; i < _events.Count; i++)
        {
            if (!_frame.TryRead(_events[i])) continue;
            for (var element = 0; element < _frame.ChoiceCount; element++)
            {
                var choice = _frame.ReadChoice(element);
                if (IsAsked(choice)) TranslateChoice((int)choice, output);
            }
        }
        _events.Clear();
    }

    private void TranslateChoice(int choice, IEventOutput output)
    {
        var json = _frame.Json;
        var delta = _frame.Delta;
        for (var member = 0; member < delta.Count; member++)
        {
            if (!delta.HasSubstance(member)) continue;
            if (delta.IsNamed(json, member, "content"u8))
            {
                if (delta.TypeOf(member) != JsonTokenType.String) continue;
                EndReasoning(output, choice);
                Text(output, choice, _frame.ReadText(member), ReadLogprobs());
            }
            else if (delta.IsNamed(json, member, "reasoning_content"u8) || delta.IsNamed(json, member, "reasoning"u8))
            {
                if (delta.TypeOf(member) != JsonTokenType.String) continue;
                var text = _frame.ReadText(member);
                if (_reasoning.Length < ProtocolLimits.ThinkingBytesMax) _reasoning.Append(Encoding.UTF8.GetString(text));
                Reasoning(output, choice, text);
            }
            else if (delta.IsNamed(json, member, "refusal"u8))
            {
                if (delta.TypeOf(member) != JsonTokenType.String) continue;
                EndReasoning(output, choice);
                Refusal(output, choice, _frame.ReadText(member));
            }
            else if (delta.IsNamed(json, member, "tool_calls"u8) && delta.TypeOf(member) == JsonTokenType.StartArray)
            {
                EndReasoning(output, choice);
                TranslateCalls(choice, delta.ValueStart(member), output);
            }
        }
        if (_frame.HasFinish) SetFinish(choice, ReadFinish());
    }

    private void TranslateCalls(int choice, int start, IEventOutput output)
    {
        var json = _frame.Json;
        _calls.Read(json, start);
        for (var i = 0; i < _calls.Count; i++)
        {
            if (_calls[i].Type != JsonTokenType.StartObject) continue;
            _call.Read(json, _calls[i].Start);
            var custom = _call.Find(json, "custom"u8);
            var kind = _call.TypeOf(custom) == JsonTokenType.StartObject ? CallKind.Custom : CallKind.Function;
            var body = kind == CallKind.Custom ? custom : _call.Find(json, "function"u8);
            if (_call.TypeOf(body) != JsonTokenType.StartObject) continue;
            _body.Read(json, _call.ValueStart(body));
            // The normalizer gives only the first piece of a call an id and a name, and pieces of a later call wait for it.
            if (_call.Text(json, _call.Find(json, "id"u8)) is { } id) Call(output, choice, kind, id, _body.Text(json, _body.Find(json, "name"u8)) ?? "");
            var input = _body.Find(json, kind == CallKind.Custom ? "input"u8 : "arguments"u8);
            if (_body.HasSubstance(input) && _body.TypeOf(input) == JsonTokenType.String) Input(output, choice, kind, Unescape(_body.Value(json, input)));
        }
    }

    // Text of others goes back to them as it was. The origin says that it is nothing but text.
    private void EndReasoning(IEventOutput output, int choice)
    {
        if (_reasoning.Length == 0) return;
        var json = new ArrayBufferWriter<byte>();
        JsonText.WriteStringOrNull(json, _reasoning.ToString());
        _reasoning.Clear();
        EndReasoning(output, choice, json.WrittenMemory);
    }

    private ReadOnlySpan<byte> Unescape(ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(value);
        reader.Read();
        _text.ResetWrittenCount();
        _text.Advance(reader.CopyString(_text.GetSpan(value.Length)));
        return _text.WrittenSpan;
    }

    private AnswerFinish ReadFinish()
    {
        var json = _frame.Json;
        var choice = _frame.Choice;
        var end = choice.Text(json, choice.Find(json, "finish_reason"u8)) switch
        {
            "length" => AnswerEnd.Length,
            "tool_calls" or "function_call" => AnswerEnd.ToolCalls,
            "content_filter" => AnswerEnd.ContentFilter,
            _ => AnswerEnd.Stop,
        };
        // vLLM's and SGLang's: the text where it was one, a number where it was a token.
        var stop = choice.Text(json, choice.Find(json, "stop_reason"u8)) ?? choice.Text(json, choice.Find(json, "matched_stop"u8));
        var ours = _frame.Root.Find(json, "sluice"u8);
        var isDerived = ours >= 0 && _frame.Root.Value(json, ours).IndexOf("\"finish_derived\":true"u8) >= 0;
        return new AnswerFinish(end) { StopText = stop, IsDerived = isDerived };
    }

    private ReadOnlySpan<DeltaLogprob> ReadLogprobs()
    {
        var json = _frame.Json;
        var choice = _frame.Choice;
        var member = choice.Find(json, "logprobs"u8);
        if (choice.TypeOf(member) != JsonTokenType.StartObject) return default;
        var reader = new Utf8JsonReader(choice.Value(json, member));
        using var document = JsonDocument.ParseValue(ref reader);
        if (!document.RootElement.TryGet("content"u8, JsonValueKind.Array, out var tokens)) return default;
        var read = new List<DeltaLogprob>();
        foreach (var token in tokens.EnumerateArray()) read.Add(LogprobText.Read(token));
        return read.ToArray();
    }
}
