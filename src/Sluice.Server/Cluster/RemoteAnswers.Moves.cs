using Microsoft.Extensions.Logging;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;

namespace Sluice.Server.Cluster;

// What was made here, and is made elsewhere from now on.
internal sealed partial class RemoteAnswers
{
    public async Task LeadAsync(TimeSpan lead, CancellationToken cancellation)
    {
        await Members.DrainAsync();
        await Waits.WaitAsync(Task.Delay(lead, Time, cancellation), Timeout.InfiniteTimeSpan, Time, cancellation);
        _server.IsLeading = false;
    }

    public async Task HandOverAsync(CancellationToken cancellation)
    {
        // What can't be committed can't be gone on with elsewhere.
        if (Answers.IsStoreDegraded) return;
        var movable = Answers.FindMovable().Where(answer => answer.TrySnapshot() is { } snapshot && Members.FindAble(snapshot.ModelId, isa: null).Count > 0).ToList();
        if (movable.Count == 0) return;
        await Waits.WaitAsync(Task.WhenAll(movable.Select(static answer => answer.SuspendAsync())), Limits.CancelWait, Time, cancellation);
        var stopped = await Answers.FlushAsync() ? movable.FindAll(answer => answer.IsSuspended && Answers.CanRelease(answer)) : [];
        var isReleased = await TryReleaseAsync(stopped);
        // The rest stays here, those included at which the engine stops only now.
        foreach (var answer in movable) _ = isReleased && stopped.Contains(answer) ? MoveAsync(answer) : StayAsync(answer);
    }

    public async Task WhenUnreadAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested && Following().Exists(static remote => remote.Answer.IsAwaited))
            await Waits.WaitAsync(Task.Delay(Limits.ClusterRetry, Time, cancellation), Timeout.InfiniteTimeSpan, Time, cancellation);
    }

    public async Task LeaveAsync(CancellationToken cancellation)
    {
        foreach (var remote in Following()) remote.Stop(ServerState.StoppingError);
        try
        {
            await Store.ReleaseAllAsync(cancellation);
        }
        catch (StoreException exception)
        {
            LogUnreleased(exception.Message);
        }
        await Members.LeaveAsync();
    }

    private List<RemoteAnswer> Following()
    {
        lock (_lock) return [.. _followed.Values, .. _moved];
    }

    // In the database first: where that fails, they are recorded here as before.
    private async Task<bool> TryReleaseAsync(List<Answer> answers)
    {
        if (answers.Count == 0) return true;
        try
        {
            await Store.ReleaseAsync([.. answers.Select(static answer => answer.Id)], CancellationToken.None);
            return true;
        }
        catch (StoreException exception)
        {
            LogUnreleased(exception.Message);
            return false;
        }
    }

    private async Task MoveAsync(Answer answer)
    {
        Metrics.CountHandover();
        AnswerAccounting.Leave(answer);
        Answers.Release(answer);
        Answers.Disown(answer);
        // Somebody may have come for it while it was let go of, so that it goes on here.
        await answer.SuspendAsync();
        if (answer.IsSuspended) Follow(answer);
    }

    // Whoever reads it reads on. Where nobody does, it ends here, and nowhere else.
    private void Follow(Answer answer)
    {
        var remote = new RemoteAnswer(answer.Id, this);
        remote.Set(answer, null, "running");
        if (!answer.IsAwaited || !answer.TryFollow(remote))
        {
            answer.LeaveToStore();
            return;
        }
        lock (_lock) _moved.Add(remote);
        remote.Begin();
    }

    private async Task StayAsync(Answer answer)
    {
        if (answer.Log.End is not null || !answer.TryHold()) return;
        var configuration = _hub.Hold();
        try
        {
            await _producer.ContinueAsync(answer, configuration);
        }
        finally
        {
            configuration.Release();
            answer.Release();
        }
    }

    // The database has the answer otherwise than this hub believes: another one has claimed it, because this one was away for too long; or the
    // database was replaced by one that has not got everything.
    private async Task FenceAsync(Answer answer, ReadOnlyMemory<byte> body)
    {
        await Task.Yield();
        while (Answers.Find(answer.Id) == answer && !_server.IsEnding)
        {
            try
            {
                var row = await Store.FindAsync(answer.Id, CancellationToken.None);
                if (await TryMendAsync(answer, body, row)) return;
                await LeaveAsync(answer, row);
                return;
            }
            catch (StoreException)
            {
                // Nobody can say yet whose it is. It goes on here until then.
                await Task.Delay(Limits.StoreRetry, Time);
            }
        }
    }

    // What the database has lost and this hub still has comes there again.
    private async Task<bool> TryMendAsync(Answer answer, ReadOnlyMemory<byte> body, SharedAnswer? row)
    {
        var isMended = false;
        if (row is not null)
        {
            isMended = row.Owner == Store.Node && row.Stored.End is null && Answers.TryRecordAgain(answer, body, row.Stored.EventCount);
        }
        else if (!await Store.WasDeletedAsync(answer.Id, CancellationToken.None))
        {
            var request = body.IsEmpty ? answer.TrySnapshot()?.Body ?? default : body;
            isMended = !request.IsEmpty && Answers.TryRecordAgain(answer, request, null);
        }
        if (isMended) LogMended(answer.Id);
        return isMended;
    }

    private async Task LeaveAsync(Answer answer, SharedAnswer? row)
    {
        Metrics.CountFenced();
        Answers.Disown(answer);
        if (row is null)
        {
            // Nobody can go on from there. Those who read it here get it to its end.
            LogGone(answer.Id);
            return;
        }
        AnswerAccounting.Leave(answer);
        var isEngines = answer.TrySnapshot() is not null;
        // Whoever asks for it calls it lost.
        if (!isEngines && row.Owner == Store.Node) await TryReleaseAsync(answer.Id);
        LogFenced(answer.Id);
        // What something else than the engine makes is said to those who read it here, and to nobody else.
        if (!isEngines) return;
        await answer.SuspendAsync();
        if (answer.IsSuspended) Follow(answer);
    }

    private async Task TryReleaseAsync(string id)
    {
        try
        {
            await Store.ReleaseAsync([id], CancellationToken.None);
        }
        catch (StoreException exception)
        {
            // The sweep finds it.
            LogUnreleased(exception.Message);
        }
    }

    [LoggerMessage(14, LogLevel.Warning, "The database had lost a part of {Id}, and gets it again.")]
    private partial void LogMended(string id);

    [LoggerMessage(11, LogLevel.Warning, "{Id} is not this hub's any more, and is read on from whoever has it.")]
    private partial void LogFenced(string id);

    [LoggerMessage(12, LogLevel.Warning, "{Id} is not in the database any more, and is said to those who read it here alone.")]
    private partial void LogGone(string id);

    [LoggerMessage(13, LogLevel.Warning, "Answers can't be let go of for other hubs now. {Message}")]
    private partial void LogUnreleased(string message);
}
