using System.Buffers;
using Sluice.Server.Storage;

namespace Sluice.Tests.Server.Storage;

/// <summary>The model of a store: what the conformance suite asks of one, in the simplest way, with faults at a test's will. It lives as long as the test wants, over any number of hubs.</summary>
/// <param name="step">Called before every access; what it throws is thrown to the caller.</param>
internal sealed class MemoryAnswerStore(Action<string>? step = null) : IAnswerStore
{
    private sealed record Kept(StoredAnswer Answer, byte[] Body)
    {
        public byte[]? Progress { get; set; }

        public DateTimeOffset ChangedAt { get; set; }

        public StoredEnd? End { get; set; }

        public List<byte[]> Events { get; } = [];
    }

    private readonly Lock _lock = new();
    private readonly OrderedDictionary<string, Kept> _answers = [];
    private readonly OrderedDictionary<string, StoredTombstone> _traces = [];

    public string Name => "memory";

    public long UsedBytes
    {
        get { lock (_lock) return _answers.Values.Sum(BytesOf); }
    }

    public int CommitCount { get; private set; }

    /// <summary>Answers that it has.</summary>
    public int AnswerCount
    {
        get { lock (_lock) return _answers.Count; }
    }

    public ValueTask OpenAsync(CancellationToken cancellation)
    {
        step?.Invoke("open");
        return default;
    }

    public ValueTask<StoreContents> LoadAsync(CancellationToken cancellation)
    {
        step?.Invoke("load");
        lock (_lock)
        {
            var answers = _answers.Values.Select(kept => kept.Answer with
            {
                EventCount = kept.Events.Count,
                ByteCount = BytesOf(kept),
                End = kept.End,
                HasProgress = kept.Progress is not null,
                ChangedAt = kept.ChangedAt,
            });
            return ValueTask.FromResult(new StoreContents([.. answers], [.. _traces.Values]));
        }
    }

    public ValueTask<IReadOnlyList<string>> CommitAsync(StoreBatch batch, CancellationToken cancellation)
    {
        step?.Invoke("commit");
        lock (_lock)
        {
            Check(batch);
            foreach (var change in batch.Changes) Apply(change);
            foreach (var trace in batch.Expired)
            {
                _answers.Remove(trace.Id);
                _traces.TryAdd(trace.Id, trace);
            }
            foreach (var id in batch.Deleted) _answers.Remove(id);
            foreach (var old in _traces.Values.Where(trace => trace.At < batch.TracesBefore).ToList()) _traces.Remove(old.Id);
            CommitCount++;
        }
        step?.Invoke("committed");
        return ValueTask.FromResult<IReadOnlyList<string>>([]);
    }

    public ValueTask<int> ReadAsync(string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax, CancellationToken cancellation)
    {
        step?.Invoke("read");
        lock (_lock)
        {
            if (!_answers.TryGetValue(id, out var kept)) return ValueTask.FromResult(0);
            var (count, bytes) = (0, 0);
            foreach (var sent in kept.Events.Skip((int)position))
            {
                if (count > 0 && bytes + sent.Length > bytesMax) break;
                output.Write(sent);
                (count, bytes) = (count + 1, bytes + sent.Length);
                addEvent?.Invoke(sent.Length);
            }
            return ValueTask.FromResult(count);
        }
    }

    public ValueTask<StoredRequest?> FindRequestAsync(string id, CancellationToken cancellation)
    {
        step?.Invoke("find");
        lock (_lock) return ValueTask.FromResult(_answers.TryGetValue(id, out var kept) ? new StoredRequest(kept.Body, kept.Progress) : null);
    }

    public ValueTask DisposeAsync() => default;

    private static long BytesOf(Kept kept) => kept.Body.Length + kept.Events.Sum(static bytes => (long)bytes.Length);

    private void Check(StoreBatch batch)
    {
        foreach (var change in batch.Changes.Where(change => change.Ends.Count > 0))
        {
            var known = _answers.TryGetValue(change.Id, out var kept) ? kept.Events.Count : change.Begun is null ? -1 : 0;
            if (known < change.FirstEvent) throw new StoreException(StoreFault.Failed, $"Events of {change.Id} before {change.FirstEvent} are missing.");
        }
    }

    private void Apply(AnswerChange change)
    {
        if (change.Begun is var (answer, body)) _answers.TryAdd(change.Id, new Kept(answer, body.ToArray()) { ChangedAt = change.At });
        if (!_answers.TryGetValue(change.Id, out var kept)) return;
        var start = 0;
        for (var i = 0; i < change.Ends.Count; i++)
        {
            if (change.FirstEvent + i == kept.Events.Count) kept.Events.Add(change.Events[start..change.Ends[i]].ToArray());
            start = change.Ends[i];
        }
        if (change.Progress is { } progress) (kept.Progress, kept.ChangedAt) = (progress.IsEmpty ? null : progress.ToArray(), change.At);
        if (change.End is { } end) (kept.End, kept.Progress) = (end, null);
    }
}
