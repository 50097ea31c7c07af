using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Routing;

/// <summary>
/// Where an attempt goes whose deltas a <see cref="RepeatingWriter"/> compares: whatever event comes is beyond what was delivered.
/// </summary>
/// <param name="answer">What broke off.</param>
/// <param name="method">How the answer is continued: a word.</param>
/// <param name="figures">Of the request.</param>
/// <param name="giveUp">Ends the attempt; must not block.</param>
internal sealed class RepeatedWriter(AnswerWriter answer, string method, RequestFigures figures, Action giveUp) : RescueWriter
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private (AnswerUsage Usage, bool IsEstimated)? _usage;
    private bool _isRescued;
    private bool _isDifferent;
    private bool _isWhole;

    public override Task WhenEnded => _ended.Task;

    public override bool IsRescued => _isRescued;

    public override bool IsDifferent => _isDifferent;

    public override bool IsWhole => _isWhole;

    public override bool HasEnded => _ended.Task.IsCompleted || _isDifferent;

    public override long EventCount => answer.EventCount;

    /// <summary>The attempt says something else.</summary>
    public void GiveUp()
    {
        _isDifferent = true;
        giveUp();
    }

    public override void Advance(int count) => answer.Advance(count);

    public override Memory<byte> GetMemory(int sizeHint = 0) => answer.GetMemory(sizeHint);

    public override void EndEvent()
    {
        Rescue();
        answer.EndEvent();
    }

    public override void AppendQuietly(ReadOnlySpan<byte> sseEvent)
    {
        Rescue();
        answer.AppendQuietly(sseEvent);
    }

    public override void Publish() => answer.Publish();

    public override bool IsAhead(int bytes) => answer.IsAhead(bytes);

    public override Task WaitAsync(int bytes, CancellationToken cancellation) => answer.WaitAsync(bytes, cancellation);

    public override void AddContent()
    {
        if (_isRescued) answer.AddContent();
    }

    // What an attempt says that comes to nothing is no part of the answer.
    public override void SetUsage(AnswerUsage usage, bool isEstimated)
    {
        if (_isRescued) answer.SetUsage(usage, isEstimated);
        else _usage = (usage, isEstimated);
    }

    public override void Complete(AnswerUsage usage, bool isEstimated)
    {
        if (_isRescued && !_isDifferent)
        {
            _isWhole = true;
            answer.Complete(usage, isEstimated);
        }
        _ended.TrySetResult();
    }

    public override void Fail(ApiError error) => _ended.TrySetResult();

    public override void Cancel(Attempt attempt) => _ended.TrySetResult();

    private void Rescue()
    {
        if (_isRescued) return;
        _isRescued = true;
        figures.AddRescue(method, isRerun: true);
        if (_usage is { } early) answer.SetUsage(early.Usage, early.IsEstimated);
    }
}
