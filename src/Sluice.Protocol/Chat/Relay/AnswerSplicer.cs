using System.Buffers;
using System.Text.Json;
using Sluice.Protocol.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>How a new answer stands to the one that it is to go on with.</summary>
public enum SpliceState
{
    /// <summary>So far it says what was delivered, and not all of that yet.</summary>
    Repeating,

    /// <summary>It has repeated all of it, and what is written goes beyond.</summary>
    Beyond,

    /// <summary>It says something else. Nothing of it may be used.</summary>
    Different,
}

/// <summary>
/// Lets a new answer go on where a broken one ended: leaves out what repeats the delivered text byte by byte, and passes on what goes
/// beyond. For one thread at a time.
/// </summary>
/// <param name="delivered">What the client has; its progress is kept there.</param>
/// <param name="continuedTokens">
/// Tokens of the delivered text that the new answer was given and doesn't count, so that its usage isn't the answer's; 0 when it wrote all of them itself.
/// </param>
public sealed class AnswerSplicer(DeliveredAnswer delivered, int continuedTokens)
{
    private static readonly byte[] s_contentQuote = "\""u8.ToArray();
    private readonly FrameText _frame = new();

    /// <summary>Where the new answer stands. Text beyond one choice may be written while another is being repeated.</summary>
    public SpliceState State { get; private set; } = delivered.IsRepeated ? SpliceState.Beyond : SpliceState.Repeating;

    /// <summary>Takes one event of the new answer.</summary>
    /// <param name="sseEvent">A whole event as the hub writes it.</param>
    /// <param name="output">Receives what goes beyond the delivered text: one whole event or nothing.</param>
    public SpliceState Add(ReadOnlySpan<byte> sseEvent, IEventOutput output)
    {
        if (State == SpliceState.Different) return State;
        try
        {
            if (_frame.TryRead(sseEvent) && !AddFrame(sseEvent, output)) return State = SpliceState.Different;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return State = SpliceState.Different;
        }
        if (delivered.IsRepeated) State = SpliceState.Beyond;
        return State;
    }

    private bool AddFrame(ReadOnlySpan<byte> sseEvent, IEventOutput output)
    {
        if (_frame.ChoiceCount == 0)
        {
            WriteUsage(sseEvent, output);
            return true;
        }
        // The hub writes one choice to a frame.
        if (_frame.ChoiceCount > 1 || delivered.Choice(_frame.ReadChoice(0)) is not { } choice) return false;
        if (choice.IsFinished) return true;

        var isBeyond = false;
        var isCut = false;
        for (var member = 0; member < _frame.Delta.Count; member++)
        {
            if (_frame.Delta.IsNamed(_frame.Json, member, "role"u8))
            {
                _frame.Delta.Drop(member);
                continue;
            }
            if (!_frame.Delta.HasSubstance(member)) continue;
            if (_frame.Delta.TypeOf(member) != JsonTokenType.String)
            {
                isBeyond = true;
                continue;
            }
            var text = _frame.ReadText(member);
            var rest = (choice.Find(_frame.Delta.Name(_frame.Json, member)) is { } known ? known.Rest : default)[..];
            var common = int.Min(text.Length, rest.Length);
            if (!text[..common].SequenceEqual(rest[..common])) return false;
            if (common > 0) choice.Find(_frame.Delta.Name(_frame.Json, member))!.Repeated += common;
            if (common == text.Length)
            {
                _frame.Delta.Drop(member);
                isCut = true;
                continue;
            }
            isBeyond = true;
            if (common == 0) continue;
            isCut = true;
            _frame.Delta.Set(member, default, Quote(text[common..]));
        }
        isBeyond |= _frame.HasFinish;
        // Something is said before all was repeated: another order, a shorter text, or a tool call in place of words.
        if (isBeyond && !choice.IsRepeated) return false;
        if (!isBeyond) return true;
        // The probabilities of a token that was delivered in part would belong to both halves.
        if (isCut && _frame.Choice.HasSubstance(_frame.Choice.Find(_frame.Json, "logprobs"u8))) return false;
        if (_frame.Delta.IsEdited) _frame.WriteTo(output);
        else output.Write(sseEvent);
        output.EndEvent();
        return true;
    }

    private static ReadOnlyMemory<byte> Quote(ReadOnlySpan<byte> utf8)
    {
        var quoted = new ArrayBufferWriter<byte>();
        JsonText.WriteRaw(quoted, s_contentQuote);
        JsonText.WriteEscaped(quoted, utf8);
        JsonText.WriteRaw(quoted, s_contentQuote);
        return quoted.WrittenMemory;
    }

    private void WriteUsage(ReadOnlySpan<byte> sseEvent, IEventOutput output)
    {
        var usage = _frame.Root.Find(_frame.Json, "usage"u8);
        if (continuedTokens == 0 || _frame.Root.TypeOf(usage) != JsonTokenType.StartObject)
        {
            output.Write(sseEvent);
            output.EndEvent();
            return;
        }
        var counts = new JsonObjectText();
        counts.Read(_frame.Json, _frame.Root.ValueStart(usage));
        var prompt = counts.Integer(_frame.Json, counts.Find(_frame.Json, "prompt_tokens"u8)) ?? 0;
        var completion = counts.Integer(_frame.Json, counts.Find(_frame.Json, "completion_tokens"u8)) ?? 0;
        var id = _frame.Root.Text(_frame.Json, _frame.Root.Find(_frame.Json, "id"u8))!;
        new ChatChunkWriter(id, delivered.Created, delivered.Model, includeUsage: true, serviceTier: null).WriteEstimatedUsage(
            output, (int)long.Clamp(prompt - continuedTokens, 0, int.MaxValue), (int)long.Clamp(completion + continuedTokens, 0, int.MaxValue));
    }
}
