using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Answers;

/// <summary>
/// Takes the answer of another attempt and leaves out what repeats the delivered part, byte by byte; what goes beyond it goes on to the writer
/// that has taken the answer up. An attempt that says something else is given up. For one thread at a time.
/// </summary>
/// <remarks>
/// Reasoning may differ: nobody compares thoughts, and those of the second attempt stay with it. An answer that has called a tool is never
/// continued.
/// </remarks>
/// <param name="inner">Has taken up the events that were delivered.</param>
/// <param name="delivered">What they say.</param>
/// <param name="giveUp">Called once, when the attempt says something else; must not block.</param>
public sealed class RepeatingWriter(DeltaWriter inner, DeliveredDeltas delivered, Action giveUp) : DeltaWriter
{
    private int _repeated;
    private bool _isDifferent;

    /// <summary>Whether everything that was delivered has been said again.</summary>
    public bool IsBeyond => !_isDifferent && _repeated == delivered.Text.Length;

    /// <inheritdoc/>
    public override void Begin(IEventOutput output, bool isText)
    {
        // The answer has begun.
    }

    /// <inheritdoc/>
    public override void Text(IEventOutput output, int choice, ReadOnlySpan<byte> utf8, ReadOnlySpan<DeltaLogprob> logprobs)
    {
        if (_isDifferent) return;
        var left = delivered.Text.Span[_repeated..];
        var same = int.Min(left.Length, utf8.Length);
        if (!utf8[..same].SequenceEqual(left[..same]))
        {
            GiveUp();
            return;
        }
        _repeated += same;
        if (utf8.Length > same) inner.Text(output, choice, utf8[same..], same == 0 ? logprobs : default);
    }

    /// <inheritdoc/>
    public override void Refusal(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
        if (CanGoOn()) inner.Refusal(output, choice, utf8);
    }

    /// <inheritdoc/>
    public override void Reasoning(IEventOutput output, int choice, ReadOnlySpan<byte> utf8)
    {
    }

    /// <inheritdoc/>
    public override void EndReasoning(IEventOutput output, int choice, ReasoningBlob blob)
    {
    }

    /// <inheritdoc/>
    public override void Call(IEventOutput output, int choice, int call, CallKind kind, string id, string name)
    {
        if (CanGoOn()) inner.Call(output, choice, call, kind, id, name);
    }

    /// <inheritdoc/>
    public override void Input(IEventOutput output, int choice, int call, CallKind kind, ReadOnlySpan<byte> utf8)
    {
        if (IsBeyond) inner.Input(output, choice, call, kind, utf8);
    }

    /// <inheritdoc/>
    public override void Finish(IEventOutput output, int choice, AnswerFinish finish)
    {
        if (CanGoOn()) inner.Finish(output, choice, finish);
    }

    /// <inheritdoc/>
    public override void Usage(IEventOutput output, in AnswerUsage usage, bool isEstimated)
    {
        if (IsBeyond) inner.Usage(output, usage, isEstimated);
    }

    private bool CanGoOn()
    {
        if (!IsBeyond && !_isDifferent) GiveUp();
        return IsBeyond;
    }

    private void GiveUp()
    {
        _isDifferent = true;
        giveUp();
    }
}
