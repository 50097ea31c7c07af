using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Answers;

/// <summary>
/// A relay between two dialects: reads the events of one, and says what they mean to the <see cref="DeltaWriter"/> of the other. Keeps what
/// both sides need of every answer: its beginning, its calls in order, its finish, its content count.
/// </summary>
/// <param name="answer">What is known before the first event.</param>
/// <param name="writer">Of the dialect that asked.</param>
public abstract class TranslatedRelay(RelayOptions answer, DeltaWriter writer) : AnswerRelay
{
    private readonly AnswerFinish?[] _finishes = new AnswerFinish?[answer.ChoiceCount];
    private readonly int[] _callCounts = new int[answer.ChoiceCount];
    private bool _hasBegun;

    /// <inheritdoc/>
    public override bool IsFinished => Array.TrueForAll(_finishes, static finish => finish is not null);

    /// <inheritdoc/>
    public override bool HasAnswer => ContentCount > 0 || Array.Exists(_finishes, static finish => finish is not null);

    /// <summary>What is known of the answer.</summary>
    protected RelayOptions Answer => answer;

    /// <summary>Usage as the upstream states it; null before.</summary>
    protected AnswerUsage? Stated { get; set; }

    /// <inheritdoc/>
    public override bool HasUsage => Stated is not null;

    /// <inheritdoc/>
    public override AnswerUsage ReadUsage() => Stated ?? new AnswerUsage(answer.EstimatedPromptTokens, 0, EstimateTokens(ContentBytes));

    /// <inheritdoc/>
    public override void WriteEnd(IEventOutput output)
    {
        BeforeEnd(output);
        Begin(output, isText: true);
        for (var choice = 0; choice < _finishes.Length; choice++)
        {
            var finish = _finishes[choice] ?? new AnswerFinish(AnswerEnd.Stop) { IsDerived = true };
            // Whatever reason comes with calls, their results are waited for.
            if (finish.End == AnswerEnd.Stop && _callCounts[choice] > 0 && !answer.HasForcedTool) finish = finish with { End = AnswerEnd.ToolCalls };
            writer.Finish(output, choice, finish);
        }
        writer.Usage(output, ReadUsage(), isEstimated: !HasUsage);
    }

    /// <summary>The upstream's own name for the model, which stays where it was asked by it.</summary>
    protected void SetModel(string model)
    {
        if (answer.KeepsUpstreamModel && !_hasBegun) writer.SetModel(model);
    }

    /// <summary>The stream has ended in order: what was held goes out.</summary>
    protected virtual void BeforeEnd(IEventOutput output)
    {
    }

    /// <summary>More text.</summary>
    protected void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs = default)
    {
        if (!TryCount(output, choice, utf8, isText: true)) return;
        writer.Text(output, choice, utf8, logprobs);
    }

    /// <summary>More of a refusal.</summary>
    protected void Refusal(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
        if (!TryCount(output, choice, utf8, isText: true)) return;
        writer.Refusal(output, choice, utf8);
    }

    /// <summary>More reasoning.</summary>
    protected void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
        if (!TryCount(output, choice, utf8, isText: false)) return;
        writer.Reasoning(output, choice, utf8);
    }

    /// <summary>A piece of reasoning is complete.</summary>
    /// <param name="output">Receives the events.</param>
    /// <param name="choice">0 to the number of choices - 1.</param>
    /// <param name="json">In its producer's form.</param>
    protected void EndReasoning(IEventOutput output, int choice, ReadOnlyMemory<byte> json)
    {
        Begin(output, isText: false);
        ContentCount++;
        writer.EndReasoning(output, choice, new ReasoningBlob(answer.Origin, json));
    }

    /// <summary>The next call of a choice begins; returns its number, from 0.</summary>
    protected int Call(IEventOutput output, int choice, CallKind kind, string id, string name)
    {
        Begin(output, isText: false);
        ContentCount++;
        var call = _callCounts[choice]++;
        writer.Call(output, choice, call, kind, id, name);
        return call;
    }

    /// <summary>More of the input of the call that began last.</summary>
    protected void Input(IEventOutput output, int choice, CallKind kind, ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty) return;
        ContentCount++;
        ContentBytes += utf8.Length;
        writer.Input(output, choice, _callCounts[choice] - 1, kind, utf8);
    }

    /// <summary>Why a choice ended. It may go on, and then the last reason counts.</summary>
    protected void SetFinish(int choice, AnswerFinish finish)
    {
        if ((uint)choice < (uint)_finishes.Length) _finishes[choice] = finish;
    }

    /// <summary>Whether the choice was asked for.</summary>
    protected bool IsAsked(long choice) => choice >= 0 && choice < _finishes.Length;

    /// <summary>The stream has sent something that is no event of its dialect.</summary>
    protected FrameKind FailAsGarbage() => Fail(
        new ApiError(502, "The upstream sent an event that is not valid.", ApiErrors.ServerErrorType, null, "upstream_invalid_event"));

    private bool TryCount(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, bool isText)
    {
        if (utf8.IsEmpty || !IsAsked(choice)) return false;
        Begin(output, isText);
        ContentCount++;
        ContentBytes += utf8.Length;
        return true;
    }

    // Not before there is something to say, because until the first event a failure is still a status.
    private void Begin(IEventOutput output, bool isText)
    {
        if (_hasBegun) return;
        _hasBegun = true;
        writer.Begin(output, isText);
    }
}
