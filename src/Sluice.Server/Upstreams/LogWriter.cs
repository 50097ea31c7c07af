using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Telemetry;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>Writes an answer into its log.</summary>
/// <param name="log">Of the answer.</param>
/// <param name="figures">Of the request.</param>
/// <param name="grace">What clients that are behind are given.</param>
internal sealed class LogWriter(StreamLog log, RequestFigures figures, ReaderGrace grace) : AnswerWriter
{
    public override bool HasEnded => log.End is not null;

    public override long EventCount => log.EventCount;

    public override void Advance(int count) => log.Advance(count);

    public override Memory<byte> GetMemory(int sizeHint = 0) => log.GetMemory(sizeHint);

    public override void EndEvent() => log.Commit();

    public override void AppendQuietly(ReadOnlySpan<byte> sseEvent) => log.AppendQuietly(sseEvent);

    public override void Publish() => log.Publish();

    public override bool IsAhead(int bytes) => grace.IsNeeded(bytes);

    public override Task WaitAsync(int bytes, CancellationToken cancellation) => grace.WaitAsync(bytes, cancellation);

    public override void AddContent() => figures.AddContent();

    public override void SetUsage(AnswerUsage usage, bool isEstimated) => figures.SetUsage(usage, isEstimated);

    public override void Complete(AnswerUsage usage, bool isEstimated)
    {
        figures.SetUsage(usage, isEstimated);
        log.Complete();
    }

    public override void Fail(ApiError error) => log.Fail(error);

    public override void Cancel(Attempt attempt) => CancelledEnd.Write(attempt);
}
