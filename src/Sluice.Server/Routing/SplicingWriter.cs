using Sluice.Protocol;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Routing;

/// <summary>
/// Takes an attempt that is to continue an answer that broke off. What repeats the delivered part is left out, what goes beyond it goes on
/// to the answer, and an attempt that says something else is given up.
/// </summary>
/// <param name="answer">What broke off.</param>
/// <param name="delivered">What of it the client has.</param>
/// <param name="continuedTokens">Tokens that the attempt was given as a beginning, and doesn't count itself.</param>
/// <param name="method">How the answer is continued: a word.</param>
/// <param name="figures">Of the request.</param>
/// <param name="giveUp">Ends the attempt; must not block.</param>
internal sealed class SplicingWriter(
    AnswerWriter answer, DeliveredAnswer delivered, int continuedTokens, string method, RequestFigures figures, Action giveUp) : RescueWriter
{
    private readonly AnswerSplicer _splicer = new(delivered, continuedTokens);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly EventBuffer _event = new();
    private readonly EventBuffer _beyond = new();
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

    public override void Advance(int count) => _event.Advance(count);

    public override Memory<byte> GetMemory(int sizeHint = 0) => _event.GetMemory(sizeHint);

    public override void EndEvent()
    {
        _event.EndEvent();
        Splice(_event[0]);
        _event.Clear();
        answer.Publish();
    }

    public override void AppendQuietly(ReadOnlySpan<byte> sseEvent) => Splice(sseEvent);

    public override void Publish() => answer.Publish();

    // Until all choices are repeated, what goes beyond waits here.
    public override bool IsAhead(int bytes) => answer.IsAhead(_beyond.WrittenCount + bytes);

    public override Task WaitAsync(int bytes, CancellationToken cancellation) => answer.WaitAsync(_beyond.WrittenCount + bytes, cancellation);

    // Counted where it goes beyond.
    public override void AddContent()
    {
    }

    // What an attempt says that comes to nothing is no part of the answer.
    public override void SetUsage(AnswerUsage usage, bool isEstimated)
    {
        if (!IsRescued)
        {
            _usage = (usage, isEstimated);
            return;
        }
        answer.SetUsage(Whole(usage), isEstimated || continuedTokens > 0);
    }

    public override void Complete(AnswerUsage usage, bool isEstimated)
    {
        if (IsRescued && !IsDifferent)
        {
            _isWhole = true;
            answer.Complete(Whole(usage), isEstimated || continuedTokens > 0);
        }
        _ended.TrySetResult();
    }

    public override void Fail(ApiError error) => _ended.TrySetResult();

    public override void Cancel(Attempt attempt) => _ended.TrySetResult();

    private AnswerUsage Whole(AnswerUsage usage) => usage with
    {
        PromptTokens = int.Max(0, usage.PromptTokens - continuedTokens),
        CompletionTokens = usage.CompletionTokens + continuedTokens,
    };

    private void Splice(ReadOnlySpan<byte> sseEvent)
    {
        if (IsDifferent) return;
        if (_splicer.Add(sseEvent, _beyond) == SpliceState.Different || _beyond.WrittenCount > ProtocolLimits.CompletionBytesMax)
        {
            _isDifferent = true;
            giveUp();
            return;
        }
        if (_splicer.State != SpliceState.Beyond || _beyond.Count == 0) return;
        if (!IsRescued)
        {
            _isRescued = true;
            figures.AddRescue(method, isRerun: continuedTokens == 0);
            // The comment belongs to the event behind it.
            ChatChunkWriter.WriteRescue(answer, method);
            if (_usage is { } early) SetUsage(early.Usage, early.IsEstimated);
        }
        for (var i = 0; i < _beyond.Count; i++)
        {
            answer.AppendQuietly(_beyond[i]);
            if (DeliveredAnswer.IsContent(_beyond[i])) answer.AddContent();
        }
        _beyond.Clear();
    }
}
