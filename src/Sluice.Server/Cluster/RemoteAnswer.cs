using System.Text.Json;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Streaming;

namespace Sluice.Server.Cluster;

/// <summary>
/// An answer that is read here and made elsewhere. Its events are brought here one after the other, whoever has them: the hub that makes it, the
/// database, the next hub that makes it, or this one. Those who read it notice nothing but the time.
/// </summary>
/// <param name="id">Of the answer.</param>
/// <param name="hubs">What it needs of its surroundings.</param>
#pragma warning disable CA1001 // Nobody waits by the handle of its cancellation and it has no timer, so that there is nothing to give back.
internal sealed class RemoteAnswer(string id, RemoteAnswers hubs) : Following
#pragma warning restore CA1001
{
    private readonly TaskCompletionSource<ApiError?> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private Answer _answer = null!;
    private ClusterNode? _owner;
    private volatile string _state = "running";
    private long _lastWanted;
    private long _lastProgress;
    private int _isBegun;
    private ApiError? _end;

    /// <summary>Between its row and its first event an answer is not in the table of its hub, for less than this.</summary>
    public static TimeSpan Birth { get; } = TimeSpan.FromSeconds(5);

    public override string State => _state;

    /// <summary>Whose events it brings.</summary>
    public Answer Answer => _answer;

    /// <summary>Completes when there is a place behind the last event, or it is known why not.</summary>
    public Task<ApiError?> Ready => _ready.Task;

    /// <summary>Says what is known of it. Before anything else.</summary>
    public void Set(Answer answer, ClusterNode? owner, string state) => (_answer, _owner, _state) = (answer, owner, state);

    public override Task<(Answer? Answer, ApiError? Error)> BeginAsync(HubSnapshot configuration, CancellationToken cancellation) => hubs.BeginAsync(this, cancellation);

    public override void Cancel(CancellationCause cause)
    {
        if (cause == CancellationCause.Requested) _ = hubs.CancelAsync(id, _owner);
        else if (Volatile.Read(ref _isBegun) != 0) Stop(cause == CancellationCause.Shutdown ? ServerState.StoppingError : null);
    }

    /// <summary>Brings no more events, and ends what is here.</summary>
    /// <param name="error">What readers are told; null where there are none.</param>
    public void Stop(ApiError? error)
    {
        _end = error;
        _stop.Cancel();
    }

    /// <summary>Brings events from now on, until there are no more, or nobody reads them.</summary>
    public void Begin()
    {
        if (Interlocked.Exchange(ref _isBegun, 1) != 0) return;
        _state = "running";
        _lastWanted = _lastProgress = hubs.Time.GetTimestamp();
        _ = RunAsync();
    }

    // Never throws.
    private async Task RunAsync()
    {
        await Task.Yield();
        hubs.Metrics.AddFollowed(1);
        try
        {
            while (_answer.Log.End is null && !IsOver())
            {
                if (!await StepAsync()) await Waits.WaitAsync(Task.Delay(hubs.Limits.ClusterRetry, hubs.Time, _stop.Token), Timeout.InfiniteTimeSpan, hubs.Time, _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // What is left to do is below.
        }
#pragma warning disable CA1031 // Nobody waits for this; readers are told by the end of the log.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            hubs.LogBroken(id, exception);
            _end ??= ApiErrors.ServerError();
        }
        finally
        {
            hubs.Metrics.AddFollowed(-1);
            hubs.Forget(this);
            if (_end is { } error) _answer.Log.Fail(error);
            // Nobody reads it. Whoever comes in this moment comes again, and must not take it for its end.
            else _answer.Log.Fail(ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
            _ready.TrySetResult(_end ?? ApiErrors.StreamExpired());
            _answer.End();
        }
    }

    private bool IsOver()
    {
        if (_stop.IsCancellationRequested) return true;
        if (_answer.IsAwaited) _lastWanted = hubs.Time.GetTimestamp();
        // Whoever has asked for it may still be on the way to it.
        var linger = _ready.Task.IsCompleted ? hubs.Limits.PeerLinger : hubs.Limits.RestoredCursorWait;
        return hubs.Time.GetElapsedTime(_lastWanted) > linger;
    }

    // False where it is worth waiting a little before the next one.
    private async Task<bool> StepAsync()
    {
        SharedAnswer? row = null;
        var isKnown = true;
        try
        {
            row = await hubs.Store.FindAsync(id, _stop.Token);
        }
        catch (StoreException)
        {
            isKnown = false;
        }
        if (row?.Stored.End is { } end)
        {
            if (!await CopyStoredAsync(row.Stored.EventCount)) return false;
            Finish(end);
            return true;
        }
        var isLocal = row?.Owner == hubs.Store.Node;
        if (isLocal && hubs.Answers.Find(id) is { Following: null } local) return await CopyLocalAsync(local);
        if (row?.Owner is { } owner && !isLocal) _owner = hubs.Members.Find(owner) ?? (_owner?.Id == owner ? _owner : null);
        else if (isKnown && row is { Owner: null }) _owner = null;
        if (_owner is { } node && await FollowAsync(node, takes: false) is { } isGoing) return isGoing;
        if (!isKnown) return GiveUpLate(ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
        if (row is null)
        {
            // It was never anywhere but in the memory of a hub, or somebody has taken it away.
            Fail(_owner is null ? ApiErrors.StreamExpired() : ApiErrors.StreamLost());
            return true;
        }
        if (row.IsOwned && !isLocal)
        {
            // The hub lives and can't be reached from here: what it commits is there all the same.
            if (await CopyStoredAsync(row.Stored.EventCount)) SetReady();
            return GiveUpLate(ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
        }
        return await TakeAsync(row, isLocal);
    }

    private async Task<bool> TakeAsync(SharedAnswer row, bool isLocal)
    {
        // In the moment between its row and its first event an answer of this hub is not in the table.
        if (isLocal && row.Epoch == 1 && hubs.Time.GetUtcNow() - row.Stored.ChangedAt < Birth) return GiveUpLate(ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
        try
        {
            var result = await hubs.TakeAsync(row, _stop.Token);
            if (result.Local is { } taken) return await CopyLocalAsync(taken);
            foreach (var able in result.ModelId is null ? [] : hubs.Members.FindAble(result.ModelId, result.Isa))
            {
                if (await FollowAsync(able, takes: true) is not { } isGoing) continue;
                _owner = able;
                return isGoing;
            }
        }
        catch (StoreException)
        {
            // As if the database had not been there before.
        }
        return GiveUpLate(ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
    }

    // Null where the hub has not got it; false where it is worth waiting a little.
    private async Task<bool?> FollowAsync(ClusterNode node, bool takes)
    {
        var (tail, _) = await hubs.Link.FollowAsync(node, id, _answer.Log.EventCount, takes, _stop.Token);
        if (tail is null) return null;
        using (tail)
        {
            while (!IsOver())
            {
                if (await tail.TryReadAsync(_stop.Token) is not var (kind, bytes)) return false;
                switch (kind)
                {
                    case PeerFrameKind.Events when !PeerFrames.TryAppend(bytes, _answer.Log):
                        return false;
                    case PeerFrameKind.Events:
                        _answer.Log.Publish();
                        SetProgress();
                        SetReady();
                        break;
                    case PeerFrameKind.Beat:
                        // Whoever makes it is there, and has nothing to say.
                        SetProgress();
                        break;
                    case PeerFrameKind.Committed:
                        SetReady();
                        if (_answer.Log.IsSpilled) _answer.Log.SetStored(BitConverter.ToInt64(bytes), 0);
                        break;
                    case PeerFrameKind.End:
                        Finish(PeerFrames.ReadEnd(bytes));
                        return true;
                    case PeerFrameKind.Moved:
                        return false;
                    case PeerFrameKind.Refused:
                        var error = ReadRefusal(bytes);
                        if (IsPassing(error)) return GiveUpLate(error);
                        Fail(error);
                        return true;
                    default:
                        break;
                }
            }
        }
        return true;
    }

    // Of a hub that stops, or lets go of the answer in this moment: somebody else goes on with it.
    private static bool IsPassing(ApiError error) => error.Code == ServerState.StoppingError.Code || error.Code == ApiErrors.StreamExpired().Code;

    /// <summary>What a reader is told that gets no more of a stream which goes on.</summary>
    public static ApiError WhyNoMore(ReadOutcome outcome, StreamLogReader reader) =>
        outcome == ReadOutcome.Dismissed && reader.Dismissal?.Failure is ApiError error ? error : ApiErrors.EventsDropped();

    private static ApiError ReadRefusal(byte[] bytes)
    {
        try
        {
            return PeerFrames.ReadRefusal(bytes);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException)
        {
            return ApiErrors.ServerError();
        }
    }

    // From an answer of this hub, which it has taken over.
    private async Task<bool> CopyLocalAsync(Answer local)
    {
        // Its readers are not lost: what they have seen is all that there is, and they are told so.
        if (local.IsLost && _answer.Log.EventCount > local.Log.EventCount)
        {
            Fail(ApiErrors.StreamLost());
            return true;
        }
        var (connection, error) = await hubs.AttachAsync(local, _answer.Log.EventCount, _stop.Token);
        if (connection is null)
        {
            if (IsPassing(error!)) return GiveUpLate(error!);
            Fail(error!);
            return true;
        }
        using (connection)
        {
            // Of what is lost nobody gets a place; who has one already gets what there is.
            if (!local.IsLost) SetReady();
            var (reader, events) = (connection.Cursor, new EventBuffer());
            await using var timer = hubs.Time.CreateTimer(static state => ((StreamLogReader)state!).Wake(), reader, hubs.Limits.PeerBeat, hubs.Limits.PeerBeat);
            while (!IsOver() && local.Following is null)
            {
                var outcome = reader.TryRead(events, hubs.Limits.ReadBatchBytes, events.AddEvent);
                if (outcome == ReadOutcome.Spilled && await reader.ReadSpilledAsync(events, hubs.Limits.ReadBatchBytes, events.AddEvent)) outcome = ReadOutcome.Events;
                switch (outcome)
                {
                    case ReadOutcome.Events:
                        Append(events);
                        break;
                    case ReadOutcome.NothingYet:
                        SetProgress();
                        if (_answer.Log.IsSpilled) _answer.Log.SetStored(local.Log.StoredEvents, 0);
                        await reader.WaitAsync();
                        break;
                    case ReadOutcome.Ended:
                        await local.Produced;
                        Finish(new StoredEnd(local.Log.End!.Kind, local.Log.End.Failure as ApiError, local.Record.Usage, local.Record.IsUsageEstimated, default));
                        return true;
                    default:
                        Fail(WhyNoMore(outcome, reader));
                        return true;
                }
            }
        }
        return true;
    }

    // Whether everything up to there is here.
    private async Task<bool> CopyStoredAsync(long count)
    {
        try
        {
            var events = new EventBuffer();
            while (_answer.Log.EventCount < count)
            {
                if (await hubs.Store.ReadAsync(id, _answer.Log.EventCount, events, events.AddEvent, hubs.Limits.ReadBatchBytes, _stop.Token) == 0) return false;
                Append(events);
                _answer.Log.SetStored(_answer.Log.EventCount, 0);
            }
            return true;
        }
        catch (StoreException)
        {
            return false;
        }
    }

    private void Append(EventBuffer events)
    {
        for (var i = 0; i < events.Count; i++) _answer.Log.AppendQuietly(events[i]);
        events.Clear();
        _answer.Log.Publish();
        SetProgress();
    }

    private void SetProgress() => _lastProgress = hubs.Time.GetTimestamp();

    // No progress by itself: a place alone brings nobody further.
    private void SetReady()
    {
        if (!_ready.Task.IsCompleted) _ready.TrySetResult(null);
    }

    // False, which is worth waiting a little; but not for ever.
    private bool GiveUpLate(ApiError error)
    {
        if (hubs.Time.GetElapsedTime(_lastProgress) <= hubs.Limits.RestoredCursorWait) return false;
        Fail(error);
        return true;
    }

    private void Fail(ApiError error)
    {
        _ready.TrySetResult(error);
        _end = error;
        _answer.Log.Fail(error);
    }

    private void Finish(StoredEnd end)
    {
        if (end.Usage is { } usage) _answer.Record.SetUsage(usage, end.IsUsageEstimated);
        // Whoever has not seen a part of it may ask for it; the rest of it is lost for all.
        if (!_ready.Task.IsCompleted && end.Failure is { Code: ApiErrors.StreamLostCode }) _ready.TrySetResult(end.Failure);
        SetReady();
        RemoteAnswers.End(_answer.Log, end);
    }
}
