using System.Buffers;
using Sluice.Protocol.Errors;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Answers;

// What has come to the answers since the last commit.
internal sealed partial class AnswerRecorder
{
    private (StoreBatch Batch, long Bytes) GatherGoing()
    {
        var batch = new StoreBatch();
        long bytes;
        lock (_lock)
        {
            batch.Expired.AddRange(_expired);
            batch.Deleted.AddRange(_deleted);
            bytes = _goingBytes;
        }
        if (batch.Expired.Count > 0) batch.TracesBefore = _time.GetUtcNow() - _limits.ExpiredIds;
        return (batch, bytes);
    }

    private (StoreBatch Batch, List<Taken> Taken, bool HasMore) Gather()
    {
        Entry[] entries;
        var batch = new StoreBatch();
        lock (_lock) entries = [.. _entries.Values];
        var taken = new List<Taken>();
        var (left, hasMore) = (_limits.StoreBatchBytes, false);
        foreach (var entry in entries)
        {
            if (left <= 0)
            {
                hasMore = true;
                break;
            }
            if (FindChange(entry, left, out var isWhole, out var hasUsage) is not { } change) continue;
            left -= change.Events.Length + entry.Body.Length;
            // There was no room for the rest. What has come since has the time until the next commit.
            hasMore |= !isWhole;
            batch.Changes.Add(change);
            taken.Add(new Taken(entry, change, hasUsage));
        }
        return (batch, taken, hasMore);
    }

    // Whole is what has all events that were there when it was looked for.
    private AnswerChange? FindChange(Entry entry, int bytesMax, out bool isWhole, out bool hasUsage)
    {
        (isWhole, hasUsage) = (true, entry.HasUsage);
        var answer = entry.Answer;
        // Before its events: what has ended is there as a whole.
        var isProduced = answer.Produced.IsCompleted;
        // What the engine had made when it stopped is counted, also where no event has come since its last snapshot.
        var usage = !isProduced && answer.HasStopped && answer.Record is { IsUsageEstimated: false } record ? record.Usage : null;
        var isCounted = usage is not null && !entry.HasUsage;
        var eventCount = answer.Log.EventCount;
        var charge = answer.Record.Hold?.ChargeText;
        var isCharged = charge is not null && !ReferenceEquals(charge, entry.Charge);
        if (entry.IsBegun && eventCount == entry.RecordedCount && eventCount == entry.ProgressCount && !isProduced && !isCounted && !isCharged) return null;
        // What the local engine could continue from, and no event beyond that.
        var snapshot = isProduced ? null : answer.TrySnapshot();
        if (snapshot is not null) eventCount = long.Max(entry.RecordedCount, snapshot.EventCount);
        var (events, ends) = (new ArrayBufferWriter<byte>(), new List<int>());
        if (eventCount > entry.RecordedCount) answer.Log.CopyTo(entry.RecordedCount, events, ends, bytesMax, eventCount);
        isWhole = entry.RecordedCount + ends.Count == eventCount;
        var progress = (ReadOnlyMemory<byte>?)null;
        if (snapshot is not null && isWhole && snapshot.EventCount == eventCount && (entry.ProgressCount != eventCount || isCounted))
        {
            progress = (snapshot with { Usage = usage }).Write();
            hasUsage = usage is not null;
        }
        // Something else than the engine has gone on with it.
        if (snapshot is null && entry.ProgressCount >= 0 && answer.Record.Upstream is not (null or UpstreamIdentity.Local))
            progress = ReadOnlyMemory<byte>.Empty;
        var end = isProduced && isWhole ? answer.Log.End : null;
        if (entry.IsBegun && ends.Count == 0 && progress is null && end is null && !isCharged) return null;
        return new AnswerChange(answer.Id, entry.RecordedCount)
        {
            Begun = entry.IsBegun ? null : (new StoredAnswer(answer.Id, answer.Owner, answer.Model, answer.Created) { Charge = charge, Ledger = Ledger }, entry.Body),
            Events = events.WrittenMemory,
            Ends = ends,
            Progress = progress,
            Charge = isCharged ? charge : null,
            At = _time.GetUtcNow(),
            End = end is null ? null : new StoredEnd(end.Kind, end.Failure as ApiError, answer.Record.Usage, answer.Record.IsUsageEstimated, _time.GetUtcNow()),
        };
    }
}
