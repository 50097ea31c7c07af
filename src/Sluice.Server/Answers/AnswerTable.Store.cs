using Microsoft.Extensions.Hosting;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

// What the table has to do with the store behind it, and its own begin and end.
internal sealed partial class AnswerTable : IHostedService
{
    // Of the start alone.
    private readonly Dictionary<OwnKey, string> _storedKeys = [];

    /// <summary>Whether answers can be brought into a store.</summary>
    public bool HasStore => _recorder is not null;

    /// <summary>Whether there is no room for more answers, because the store has failed for too long.</summary>
    public bool IsStoreFull => _recorder is { IsFull: true };

    /// <summary>Whether the store fails.</summary>
    public bool IsStoreDegraded => _recorder is { IsDegraded: true };

    /// <summary>Takes over what an earlier process has left in the store.</summary>
    /// <exception cref="StoreException">The store can't be opened or read.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var accounting = Journal?.Accounting;
        if (accounting is not null) await accounting.LoadAsync();
        if (_recorder is not null) _recorder.Ledger = accounting?.LedgerId;
        if (_recorder is not null) await TakeOverAsync(_recorder, cancellationToken);
        if (accounting is not null) await accounting.SettleLostAsync(id => _byId.GetValueOrDefault(id));
    }

    private async Task TakeOverAsync(AnswerRecorder recorder, CancellationToken cancellationToken)
    {
        var contents = await recorder.OpenAsync(cancellationToken);
        var suspended = await FindSuspendedAsync(contents.Answers, cancellationToken);
        lock (_lock)
        {
            foreach (var trace in contents.Tombstones) RestoreTrace(trace);
            // The last one with a key has it.
            foreach (var stored in contents.Answers)
                if (stored.Owner.Key is { } key) _storedKeys[new OwnKey(stored.Owner.Principal, key)] = stored.Id;
            // Those that ended first come first, as if they had ended here. What was cut off ends at this moment.
            var inOrder = contents.Answers.OrderBy(static answer => answer.End?.At ?? answer.ChangedAt);
            foreach (var stored in inOrder.ThenBy(static answer => answer.End is null))
                Restore(stored, suspended.GetValueOrDefault(stored.Id));
            _storedKeys.Clear();
            Relieve();
            Sweep(_kept, _timer);
            Sweep(_suspended, _suspendedTimer);
        }
    }

    /// <summary>Takes over an answer of a hub that is gone, or has let go of it, as if it were left by an earlier process of this one.</summary>
    /// <param name="stored">As the store has it; it is this hub's already.</param>
    /// <param name="suspended">What the engine goes on from; null where the rest is lost.</param>
    public Answer TakeOver(StoredAnswer stored, AnswerSnapshot? suspended)
    {
        lock (_lock)
        {
            if (_byId.TryGetValue(stored.Id, out var known)) return known;
            var own = new OwnKey(stored.Owner.Principal, stored.Owner.Key ?? "");
            if (stored.Owner.Key is not null && !_byKey.ContainsKey(own)) _storedKeys[own] = stored.Id;
            Restore(stored, suspended);
            _storedKeys.Clear();
            return _byId[stored.Id];
        }
    }

    /// <summary>Another hub has this answer: it is not found here any more. Whoever reads it reads on.</summary>
    public void Disown(Answer answer)
    {
        lock (_lock)
        {
            if (_byId.GetValueOrDefault(answer.Id) != answer) return;
            _kept.Remove(answer);
            _hidden.Remove(answer);
            _suspended.Remove(answer);
            Remove(answer);
        }
    }

    /// <summary>Brings an answer into the store again that the store has lost, or the end of which it has lost; not one that was deleted here meanwhile.</summary>
    /// <param name="answer">Which one.</param>
    /// <param name="body">The request, where the store has lost that too.</param>
    /// <param name="storedCount">Events that the store has; null where it doesn't know the answer.</param>
    public bool TryRecordAgain(Answer answer, ReadOnlyMemory<byte> body, long? storedCount)
    {
        lock (_lock) return _byId.GetValueOrDefault(answer.Id) == answer && _recorder?.TryAddAgain(answer, body, storedCount) == true;
    }

    /// <summary>Takes an answer out of the store that was written down there before it could be made.</summary>
    public void DeleteStored(string id) => _recorder?.Delete(id);

    /// <summary>Leaves an answer in the store as it is there. After a flush.</summary>
    /// <returns>Whether it can be gone on with from there.</returns>
    public bool Release(Answer answer) => _recorder?.Release(answer) == true;

    /// <summary>Whether an answer could be gone on with from what the store has of it.</summary>
    public bool CanRelease(Answer answer) => _recorder?.CanRelease(answer) == true;

    /// <summary>Commits all that there is now. False when that was not possible.</summary>
    public Task<bool> FlushAsync() => _recorder?.FlushAsync() ?? Task.FromResult(true);

    /// <summary>What the engine makes here, and the store keeps, so that another hub could go on with it.</summary>
    public IReadOnlyList<Answer> FindMovable() =>
        [.. Running().Where(static answer => answer.Owner.Retention == Retention.Store && answer.TrySnapshot() is { ChoiceCount: 1 })];

    /// <summary>Suspended answers that are to go on whether somebody reads them or not.</summary>
    public IReadOnlyList<Answer> FindUnattended()
    {
        lock (_lock) return [.. _byId.Values.Where(static answer => answer is { IsSuspended: true, Owner.OnDisconnect: DisconnectPolicy.Continue })];
    }

    /// <summary>Waits for those that nobody waits for, and brings all into the store.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        CancelAll(CancellationCause.Shutdown);
        await WhenProducedAsync(cancellationToken);
        if (Journal?.Accounting is { } accounting) await Waits.WaitAsync(accounting.FlushAsync(), Timeout.InfiniteTimeSpan, _time, cancellationToken);
        if (_recorder is null) return;
        await Waits.WaitAsync(_recorder.FlushAsync(), Timeout.InfiniteTimeSpan, _time, cancellationToken);
        _recorder.Dispose();
    }

    /// <summary>
    /// Ends what runs, because the hub stops. What the local engine makes, and the store keeps, is suspended there, so that it can be gone
    /// on with after the
    /// next start; its readers get the same error as all others.
    /// </summary>
    public async Task EndAllAsync(CancellationToken cancellation)
    {
        Answer[] suspended = [];
        if (_recorder is not null)
        {
            suspended = [.. Running().Where(static answer => answer.Owner.Retention == Retention.Store)];
            var stopped = Task.WhenAll(suspended.Select(static answer => answer.SuspendAsync()));
            await Waits.WaitAsync(stopped, _limits.CancelWait, _time, cancellation);
            lock (_lock)
                suspended = [.. _byId.Values.Where(static answer => answer is { IsSuspended: true, Owner.Retention: Retention.Store })];
        }
        foreach (var answer in Running()) answer.Cancel(CancellationCause.Shutdown);
        await Waits.WaitAsync(WhenProducedAsync(cancellation), _limits.CancelWait, _time, cancellation);
        if (_recorder is not null) await Waits.WaitAsync(_recorder.FlushAsync(), Timeout.InfiniteTimeSpan, _time, cancellation);
        // What follows is of this process alone: in the store they stay as they are.
        foreach (var answer in suspended)
        {
            if (_recorder!.Release(answer) && answer.TrySnapshot() is { ChoiceCount: 1 }) answer.LeaveToStore();
        }
        CancelAll(CancellationCause.Shutdown);
    }

    /// <summary>
    /// Completes when no answer is being made, those that begin meanwhile included, or with the cancellation; never throws.
    /// </summary>
    public async Task WhenProducedAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested && Running() is [var running, ..])
        {
            var closed = running.Production?.Closed ?? Task.CompletedTask;
            await Waits.WaitAsync(Waits.FirstAsync(running.Produced, closed), Timeout.InfiniteTimeSpan, _time, cancellation);
            // Between a production that is over and what its answer makes of that somebody else has to have a turn.
            await Task.Yield();
        }
    }

    /// <summary>Answers that are being made.</summary>
    public int RunningCount => Running().Length;

    private Answer[] Running()
    {
        lock (_lock) return [.. _byId.Values.Where(static answer => !answer.Produced.IsCompleted && !answer.IsSuspended)];
    }

    /// <summary>Brings an answer into the store from now on, where it is to be there.</summary>
    /// <param name="answer">Nothing of it has been produced.</param>
    /// <param name="body">The request as the client wrote it.</param>
    public void Record(Answer answer, ReadOnlyMemory<byte> body)
    {
        if (answer.Owner.Retention == Retention.Store) _recorder?.Add(answer, body);
    }

    /// <summary>Completes when what was deleted is gone from the store too; false when that can't be now.</summary>
    public Task<bool> FlushRemovalsAsync() => _recorder?.FlushRemovalsAsync() ?? Task.FromResult(true);

    private async Task<Dictionary<string, AnswerSnapshot>> FindSuspendedAsync(
        IReadOnlyList<StoredAnswer> answers, CancellationToken cancellation)
    {
        var suspended = new Dictionary<string, AnswerSnapshot>(StringComparer.Ordinal);
        foreach (var answer in answers.Where(static answer => answer is { End: null, HasProgress: true }))
        {
            // Several choices may interleave otherwise when they are made again, and a client may have seen more of them than the store.
            if (await _recorder!.FindRequestAsync(answer.Id, cancellation) is not { } request) continue;
            if (AnswerSnapshot.TryRead(request) is not { ChoiceCount: 1 } snapshot || snapshot.EventCount > answer.EventCount) continue;
            suspended[answer.Id] = snapshot;
        }
        return suspended;
    }

    // Under the lock, as all below. What the store has need not be in memory, and when that is nearly full, ended answers go.
    private void Relieve()
    {
        while (_kept.Bytes > _limits.KeptBytesMax && _kept.TryShed(_limits.AnswerOverheadBytes))
        {
        }
        while (_recorder is { IsCrowded: true } && _kept.TakeFirst() is { } answer) Expire(answer);
    }

    private void RestoreTrace(StoredTombstone trace)
    {
        var age = AgeOf(trace.At);
        if (age >= _limits.ExpiredIds) return;
        _expired.Add(trace.Id, trace.Principal, age);
        if (trace.Key is { } key) _expiredKeys.Add(new OwnKey(trace.Principal, key), true, age);
    }

    private void Restore(StoredAnswer stored, AnswerSnapshot? suspended)
    {
        var record = RestoreFigures(stored, suspended);
        // Events behind those that the engine's progress accounts for are made again, the same ones.
        var generation = new Generation(stored.Id, _limits.Streams, suspended?.EventCount ?? stored.EventCount);
        if (suspended is null) End(generation.Log, stored.End);
        var owner = stored.Owner with { Retention = Retention.Store };
        var answer = new Answer(this, generation, owner, stored.Model, record, _limits, _time, suspended) { Created = stored.Created };
        _byId.Add(stored.Id, answer);
        var own = new OwnKey(owner.Principal, owner.Key ?? "");
        if (owner.Key is not null && _storedKeys.GetValueOrDefault(own) == stored.Id) _byKey[own] = answer;
        if (stored.End is null) _recorder!.Resume(answer, isSuspended: suspended is not null);
        else _recorder!.Attach(answer);
        if (suspended is null) generation.Log.Shed(0);
        Place(answer, AgeOf(suspended is not null ? stored.ChangedAt : stored.End?.At ?? _time.GetUtcNow()));
    }

    private RequestFigures RestoreFigures(StoredAnswer stored, AnswerSnapshot? suspended)
    {
        var record = new RequestFigures(_time);
        // A process that was cut off: of the prompt there is what was read, and nobody knows which tokens were reasoning.
        var made = stored.End?.Usage ?? suspended?.Usage ?? (suspended?.Progress is { } progress
            ? new AnswerUsage(progress.ReachedPromptTokens, progress.CachedPromptTokens, progress.Choices.Sum(static choice => choice.Tokens.Count))
            : (AnswerUsage?)null);
        if (suspended is not null) Journal?.Restore(stored.Id, record, suspended.ModelId, stored.Owner.Dialect.Operation, made ?? default, stored.Charge);
        if (made is { } usage) record.SetUsage(usage, stored.End is { Usage: not null } end ? end.IsUsageEstimated : suspended?.Usage is null);
        return record;
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
