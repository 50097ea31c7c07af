using Microsoft.Extensions.Hosting;
using Sluice.Protocol.Errors;
using Sluice.Server.Storage;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

// What the table has to do with the store behind it, and its own begin and end.
internal sealed partial class AnswerTable : IHostedService
{
    /// <summary>Whether answers can be brought into a store.</summary>
    public bool HasStore => _recorder is not null;

    /// <summary>Whether the store fails.</summary>
    public bool IsStoreDegraded => _recorder is { IsDegraded: true };

    /// <summary>Takes over what an earlier process has left in the store.</summary>
    /// <exception cref="StoreException">The store can't be opened or read.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (_recorder is null) return;
        var contents = await _recorder.OpenAsync(cancellationToken);
        lock (_lock)
        {
            foreach (var trace in contents.Traces) RestoreTrace(trace);
            // Those that ended first come first, as if they had ended here. What was cut off ends at this moment.
            foreach (var stored in contents.Answers.OrderBy(static answer => answer.End?.At ?? DateTimeOffset.MaxValue)) Restore(stored);
            SweepLocked();
        }
    }

    /// <summary>Waits for those that nobody waits for, and brings all into the store.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        CancelAll(CancellationCause.Shutdown);
        await WhenProducedAsync(cancellationToken);
        if (_recorder is null) return;
        await Patience.WaitAsync(_recorder.FlushAsync(), Timeout.InfiniteTimeSpan, _time, cancellationToken);
        _recorder.Dispose();
    }

    /// <summary>Completes when no answer is being made, those that begin meanwhile included, or with the cancellation; never throws.</summary>
    public async Task WhenProducedAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            Answer? running;
            lock (_lock) running = _byId.Values.FirstOrDefault(static answer => !answer.Produced.IsCompleted);
            if (running is null) return;
            await Patience.WaitAsync(running.Produced, Timeout.InfiniteTimeSpan, _time, cancellation);
        }
    }

    /// <summary>Answers that are being made.</summary>
    public int RunningCount
    {
        get { lock (_lock) return _byId.Values.Count(static answer => !answer.Produced.IsCompleted); }
    }

    /// <summary>Brings an answer into the store from now on, where it is to be there.</summary>
    /// <param name="answer">Nothing of it has been produced.</param>
    /// <param name="body">The request as the client wrote it.</param>
    public void Record(Answer answer, ReadOnlyMemory<byte> body)
    {
        if (answer.Owner.Keeping == Keeping.Store) _recorder?.Add(answer, body);
    }

    /// <summary>Completes when what was deleted is gone from the store too; false when that can't be now.</summary>
    public Task<bool> FlushAsync() => _recorder?.FlushAsync() ?? Task.FromResult(true);

    // Under the lock, as all below.
    private void Keep(Answer answer, long endedAt)
    {
        // The log, and what the table and the answer itself are made of.
        var bytes = answer.Log.HeldBytes + _limits.AnswerOverheadBytes;
        _keptBytes += bytes;
        _kept.AddLast(new Kept(answer, endedAt, bytes));
        while (_keptBytes > _limits.KeptBytesMax && TryShed())
        {
        }
        while (_kept.First is { } first && (_kept.Count > _limits.KeptAnswersMax || _keptBytes > _limits.KeptBytesMax || _recorder is { IsCrowded: true })) Expire(first);
    }

    // What the store has need not be in memory: the events of the answer that ended first are read from there from now on.
    private bool TryShed()
    {
        if (_recorder is null) return false;
        for (var node = _kept.First; node is not null; node = node.Next)
        {
            var kept = node.Value;
            if (kept.Bytes <= _limits.AnswerOverheadBytes || !kept.Answer.Log.IsSpilled || !kept.Answer.Log.Shed(0)) continue;
            node.Value = kept with { Bytes = _limits.AnswerOverheadBytes };
            _keptBytes -= kept.Bytes - _limits.AnswerOverheadBytes;
            return true;
        }
        return false;
    }

    private void RestoreTrace(StoredTrace trace)
    {
        var age = AgeOf(trace.At);
        if (age >= _limits.ExpiredIds) return;
        _expired.Add(trace.Id, trace.Principal, age);
        if (trace.Key is { } key) _expiredKeys.Add(new OwnKey(trace.Principal, key), true, age);
    }

    private void Restore(StoredAnswer stored)
    {
        var record = new RequestRecord(_time);
        if (stored.End?.Usage is { } usage) record.SetUsage(usage, stored.End.IsUsageEstimated);
        var generation = new Generation(stored.Id, _limits.Streams, stored.EventCount);
        var answer = new Answer(this, generation, stored.Owner with { Keeping = Keeping.Store }, stored.Model, record, _limits, _time) { Created = stored.Created };
        _byId.Add(stored.Id, answer);
        if (stored.Owner.Key is { } key) _byKey[new OwnKey(stored.Owner.Principal, key)] = answer;
        End(generation.Log, stored.End);
        if (stored.End is null) _recorder!.Resume(answer);
        else _recorder!.Attach(answer);
        answer.SetRestored();
        generation.Log.Shed(0);
        var age = AgeOf(stored.End?.At ?? _time.GetUtcNow());
        Keep(answer, _time.GetTimestamp() - (long)(age.TotalSeconds * _time.TimestampFrequency));
    }

    private static void End(StreamLog log, StoredEnd? end)
    {
        switch (end)
        {
            case null:
                log.Fail(ApiErrors.StreamLost());
                break;
            case { Kind: StreamEndKind.Completed }:
                log.Complete();
                break;
            case { Kind: StreamEndKind.Stopped }:
                log.Stop();
                break;
            case { Kind: StreamEndKind.Failed }:
                log.Fail(end.Failure ?? ApiErrors.ServerError());
                break;
            default:
                log.Cancel();
                break;
        }
    }

    private TimeSpan AgeOf(DateTimeOffset at)
    {
        var age = _time.GetUtcNow() - at;
        // A clock that was set back makes nothing younger than new.
        return age > TimeSpan.Zero ? age : TimeSpan.Zero;
    }
}
