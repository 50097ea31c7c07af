using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Errors;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Streaming;

namespace Sluice.Server.Cluster;

/// <summary>What this hub has not got, and others have: looked up in the database, and with the hubs themselves. Thread-safe.</summary>
internal sealed partial class RemoteAnswers : IOtherHubs
{
    private readonly Takeover _takeover;
    private readonly AnswerProducer _producer;
    private readonly ServerState _server;
    private readonly Hub _hub;
    private readonly ILogger _logger;

    // Guards those below.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, RemoteAnswer> _followed = new(StringComparer.Ordinal);
    private readonly HashSet<RemoteAnswer> _moved = [];
    private readonly Dictionary<(string Principal, string Key), (SemaphoreSlim Turn, int Count)> _turns = [];

    public RemoteAnswers(
        PostgresAnswerStore store, ClusterMembers members, PeerLink link, Takeover takeover, AnswerTable answers, AnswerRecorder recorder, AnswerProducer producer,
        ServerState server, Hub hub, ClusterMetrics metrics, Limits limits, TimeProvider time, ILogger<RemoteAnswers> logger)
    {
        (Store, Members, Link, _takeover, Answers, _producer, _server) = (store, members, link, takeover, answers, producer, server);
        (_hub, Metrics, Limits, Time, _logger) = (hub, metrics, limits, time, logger);
        recorder.Refused += (answer, body) => _ = FenceAsync(answer, body);
        // New requests come until balancers know.
        server.IsLeading = true;
    }

    public PostgresAnswerStore Store { get; }

    public ClusterMembers Members { get; }

    public PeerLink Link { get; }

    public AnswerTable Answers { get; }

    public ClusterMetrics Metrics { get; }

    public Limits Limits { get; }

    public TimeProvider Time { get; }

    public async Task<(Answer? Answer, ApiError? Error)> FindAsync(string id, IReadOnlyList<string> principals, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_followed.TryGetValue(id, out var followed) && followed.Answer.Log.End is null)
                return principals.Contains(followed.Answer.Owner.Principal) ? (followed.Answer, null) : default;
        }
        try
        {
            var row = await Store.FindAsync(id, cancellation);
            if (row is not null) return principals.Contains(row.Stored.Owner.Principal) ? (await OpenAsync(row, cancellation), null) : default;
            if (await Store.FindTraceAsync(id, cancellation) is { } principal) return principals.Contains(principal) ? (null, ApiErrors.StreamExpired()) : default;
        }
        catch (StoreException exception)
        {
            LogUnfound(id, exception.Message);
        }
        // It may be younger than its first commit, or be kept nowhere but in memory; or the database is away.
        var looks = await Task.WhenAll(Members.Others.Select(async node => (node, tail: (await Link.LookAsync(node, id, 0, cancellation)).Tail)));
        try
        {
            foreach (var (node, tail) in looks)
            {
                if (tail is null || !principals.Contains(tail.Head.Owner.Principal)) continue;
                return (await ReadAsync(id, node, tail, null, tail.Head.Request, cancellation), null);
            }
        }
        finally
        {
            foreach (var (_, tail) in looks) tail?.Dispose();
        }
        return default;
    }

    public async Task<(Answer? Answer, ApiError? Error)> FindKeyAsync(string key, IReadOnlyList<string> principals, CancellationToken cancellation)
    {
        try
        {
            foreach (var principal in principals)
            {
                if (await Store.FindKeyAsync(principal, key, cancellation) is { Holder: { } holder }) return await FindAnywhereAsync(holder, principals, cancellation);
                if (await Store.HasKeyExpiredAsync(principal, key, cancellation)) return (null, ApiErrors.StreamExpired());
            }
            return default;
        }
        catch (StoreException)
        {
            return (null, ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
        }
    }

    public async Task<(Answer? Holder, ApiError? Error)> TakeKeyAsync(
        StoredAnswer answer, ReadOnlyMemory<byte> body, ReadOnlyMemory<byte>? frame, CancellationToken cancellation)
    {
        const int TriesMax = 20;
        string? replaced = null;
        try
        {
            for (var tries = 0; tries < TriesMax; tries++)
            {
                // Whoever gives up in the middle leaves a key behind that nobody has.
                var claim = await Store.TakeKeyAsync(answer, body, frame, Time.GetUtcNow(), replaced, CancellationToken.None);
                if (claim.IsMine) return default;
                if (claim.Holder is null) return (null, ApiErrors.GenerationCancelled());
                var (holder, _) = await FindAnywhereAsync(claim.Holder, [answer.Owner.Principal], cancellation);
                if (holder is null)
                {
                    // It goes in this moment, or has not come quite yet.
                    await Task.Delay(Limits.ClusterRetry, Time, cancellation);
                    continue;
                }
                // One that broke off gives its key away.
                if (!holder.IsBroken || !holder.Owner.Fingerprint.Matches(answer.Owner.Fingerprint)) return (holder, null);
                replaced = claim.Holder;
            }
            return (null, ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
        }
        catch (StoreException exception)
        {
            // A request that would be refused now is of less use than one that may be made twice.
            LogUnchecked(answer.Id, exception.Message);
            Metrics.CountUncheckedKey();
            return default;
        }
    }

    public async Task<IDisposable> EnterKeyAsync(string principal, string key, CancellationToken cancellation)
    {
        SemaphoreSlim turn;
        lock (_lock)
        {
            var (known, count) = _turns.GetValueOrDefault((principal, key));
            turn = known ?? new SemaphoreSlim(1);
            _turns[(principal, key)] = (turn, count + 1);
        }
        try
        {
            await turn.WaitAsync(cancellation);
        }
        catch
        {
            Leave((principal, key), hasTurn: false);
            throw;
        }
        return new KeyTurn(() => Leave((principal, key), hasTurn: true));
    }

    public async Task<Answer?> CancelKeyAsync(string key, string principal, CancellationToken cancellation)
    {
        try
        {
            if (await Store.CancelKeyAsync(principal, key, Limits.CancelledKey, cancellation) is not { } holder) return null;
            return (await FindAnywhereAsync(holder, [principal], cancellation)).Answer;
        }
        catch (StoreException)
        {
            // This hub remembers it at least.
            return null;
        }
    }

    public async Task<bool> DeleteAsync(Answer answer, CancellationToken cancellation)
    {
        try
        {
            var row = await Store.FindAsync(answer.Id, cancellation);
            var owner = row?.Owner is { } id ? Members.Find(id) : null;
            if (owner is not null && await Link.TellAsync(owner, HttpMethod.Delete, PathOf(answer.Id), cancellation) == PeerOutcome.Open) return true;
            if (row is null)
            {
                // Only in the memory of some hub.
                var outcomes = await Task.WhenAll(Members.Others.Select(node => Link.TellAsync(node, HttpMethod.Delete, PathOf(answer.Id), cancellation)));
                return outcomes.Contains(PeerOutcome.Open);
            }
            if (row.IsOwned && row.Stored.End is null) await Store.WantCancelAsync(answer.Id, cancellation);
            return await Store.DeleteAsync(answer.Id, cancellation);
        }
        catch (StoreException)
        {
            return false;
        }
    }

    /// <summary>Wishes for the end of an answer, from whoever makes it.</summary>
    public async Task CancelAsync(string id, ClusterNode? owner)
    {
        if (Answers.Find(id) is { Following: null } local)
        {
            local.Cancel(CancellationCause.Requested);
            return;
        }
        var path = PathOf(id) + "/cancel";
        if (owner is not null && await Link.TellAsync(owner, HttpMethod.Post, path, CancellationToken.None) == PeerOutcome.Open) return;
        try
        {
            if (await Store.FindAsync(id, CancellationToken.None) is { Owner: { } other } && Members.Find(other) is { } node && node.Id != owner?.Id
                && await Link.TellAsync(node, HttpMethod.Post, path, CancellationToken.None) == PeerOutcome.Open)
            {
                return;
            }
            await Store.WantCancelAsync(id, CancellationToken.None);
        }
        catch (StoreException exception)
        {
            LogUncancelled(id, exception.Message);
        }
    }

    /// <summary>Has an answer's events come, unless they do already.</summary>
    public async Task<(Answer? Answer, ApiError? Error)> BeginAsync(RemoteAnswer remote, CancellationToken cancellation)
    {
        var id = remote.Answer.Id;
        if (remote.Answer.Log.End is not null) return (remote.Answer, null);
        if (Answers.Find(id) is { Following: null } local) return (local, null);
        lock (_lock)
        {
            if (_followed.TryGetValue(id, out var known) && known.Answer.Log.End is null) remote = known;
            else _followed[id] = remote;
        }
        // So that it isn't given up before the caller has its place.
        if (!remote.Answer.TryHold()) return (null, ApiErrors.StreamExpired());
        try
        {
            remote.Begin();
            await Waits.WaitAsync(remote.Ready, Limits.HeadersHeld, Time, cancellation);
            if (remote.Ready.IsCompletedSuccessfully && await remote.Ready is { } error) return (null, error);
            return (remote.Answer, null);
        }
        finally
        {
            remote.Answer.Release();
        }
    }

    /// <summary>Takes over an answer that nobody makes, where its former owner doesn't answer.</summary>
    /// <exception cref="StoreException">The database can't be read or written.</exception>
    public async Task<TakeoverResult> TakeAsync(SharedAnswer row, CancellationToken cancellation)
    {
        var configuration = _hub.Hold();
        try
        {
            return await _takeover.TryTakeAsync(row, configuration, cancellation);
        }
        finally
        {
            configuration.Release();
        }
    }

    /// <summary>A place in an answer of this hub, which goes on if it is suspended.</summary>
    public async Task<(AnswerConnection? Connection, ApiError? Error)> AttachAsync(Answer local, long position, CancellationToken cancellation)
    {
        if (!local.TryHold()) return (null, ApiErrors.StreamExpired());
        var configuration = _hub.Hold();
        try
        {
            if (await _producer.ContinueAsync(local, configuration) is { } stays) return (null, stays);
            if (!await local.ReachAsync(position, cancellation)) return (null, ApiErrors.StreamDiverged());
            return local.TryAttach(position, adopts: false, out var connection) == AttachOutcome.Attached ? (connection, null) : (null, ApiErrors.TooManyReaders());
        }
        finally
        {
            configuration.Release();
            local.Release();
        }
    }

    /// <summary>Its events come no more.</summary>
    public void Forget(RemoteAnswer remote)
    {
        lock (_lock)
        {
            if (_followed.GetValueOrDefault(remote.Answer.Id) == remote) _followed.Remove(remote.Answer.Id);
            _moved.Remove(remote);
        }
    }

    public void LogBroken(string id, Exception exception) => LogBroke(exception, id);

    /// <summary>Ends a log as the answer has ended elsewhere.</summary>
    public static void End(StreamLog log, StoredEnd end)
    {
        switch (end.Kind)
        {
            case StreamEndKind.Completed:
                log.Complete();
                break;
            case StreamEndKind.Stopped:
                log.Stop();
                break;
            case StreamEndKind.Failed:
                log.Fail(end.Failure ?? ApiErrors.ServerError());
                break;
            default:
                log.Cancel();
                break;
        }
    }

    private async Task<(Answer? Answer, ApiError? Error)> FindAnywhereAsync(string id, IReadOnlyList<string> principals, CancellationToken cancellation) =>
        Answers.Find(id) is { } local && principals.Contains(local.Owner.Principal) ? (local, null) : await FindAsync(id, principals, cancellation);

    private async Task<Answer> OpenAsync(SharedAnswer row, CancellationToken cancellation)
    {
        var stored = row.Stored;
        var request = stored.Owner.Dialect.WritesFromPast ? (await Store.FindRequestAsync(stored.Id, cancellation))?.Body ?? [] : [];
        if (stored.End is null && row.Owner is { } owner && Members.Find(owner) is { } node)
        {
            var (tail, _) = await Link.LookAsync(node, stored.Id, stored.EventCount, cancellation);
            using (tail) if (tail is not null) return await ReadAsync(stored.Id, node, tail, stored, request, cancellation);
        }
        var answer = Create(stored.Id, stored.Owner, stored.Model, stored.Created, stored.EventCount, isStored: true, request, out var remote);
        var isTaken = row.IsOwned || stored.End is not null;
        remote.Set(answer, row.Owner is { } id ? Members.Find(id) : null, isTaken ? "running" : "suspended");
        if (stored.End is not { } end) return answer;
        if (end.Usage is { } usage) answer.Record.SetUsage(usage, end.IsUsageEstimated);
        End(answer.Log, end);
        answer.Log.Shed(0);
        answer.SetEnded();
        return answer;
    }

    // What a hub says of an answer, as far as it has come.
    private async Task<Answer> ReadAsync(string id, ClusterNode node, PeerTail tail, StoredAnswer? stored, ReadOnlyMemory<byte> request, CancellationToken cancellation)
    {
        var head = tail.Head;
        var answer = Create(id, head.Owner, head.Model, head.Created, head.First, stored is not null || head.IsStored, request, out var remote);
        remote.Set(answer, node, head.State);
        try
        {
            while (answer.Log.End is null && await tail.TryReadAsync(cancellation) is var (kind, bytes))
            {
                if (kind == PeerFrameKind.Events && PeerFrames.TryAppend(bytes, answer.Log)) continue;
                if (kind != PeerFrameKind.End) break;
                var end = PeerFrames.ReadEnd(bytes);
                if (end.Usage is { } usage) answer.Record.SetUsage(usage, end.IsUsageEstimated);
                End(answer.Log, end);
                answer.SetEnded();
            }
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            LogUnfound(id, exception.Message);
        }
        answer.Log.Publish();
        return answer;
    }

    private Answer Create(
        string id, AnswerIdentity owner, string model, long created, long position, bool isStored, ReadOnlyMemory<byte> request, out RemoteAnswer remote)
    {
        remote = new RemoteAnswer(id, this);
        var generation = new Generation(id, Limits.Streams, position);
        var answer = new Answer(Answers, generation, owner with { Retention = Retention.Off }, model, new RequestFigures(Time), Limits, Time)
        {
            Created = created,
            Request = request,
            Following = remote,
        };
        if (isStored) answer.Log.SpillTo((from, output, addEvent, bytesMax) => ReadStoredAsync(id, from, output, addEvent, bytesMax));
        return answer;
    }

    private async ValueTask<int> ReadStoredAsync(string id, long position, System.Buffers.IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax)
    {
        try
        {
            return await Store.ReadAsync(id, position, output, addEvent, bytesMax, CancellationToken.None);
        }
        catch (StoreException exception)
        {
            LogUnfound(id, exception.Message);
            return 0;
        }
    }

    private void Leave((string Principal, string Key) key, bool hasTurn)
    {
        lock (_lock)
        {
            var (turn, count) = _turns[key];
            if (hasTurn) turn.Release();
            if (count > 1) _turns[key] = (turn, count - 1);
            else _turns.Remove(key);
        }
    }

    private static string PathOf(string id) => $"/v1/answers/{Uri.EscapeDataString(id)}";

    private sealed class KeyTurn(Action leave) : IDisposable
    {
        private int _isOver;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isOver, 1) == 0) leave();
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "{Id} can't be looked up. {Message}")]
    private partial void LogUnfound(string id, string message);

    [LoggerMessage(2, LogLevel.Warning, "{Id} begins although another hub may have its key. {Message}")]
    private partial void LogUnchecked(string id, string message);

    [LoggerMessage(3, LogLevel.Warning, "{Id} can't be cancelled now. {Message}")]
    private partial void LogUncancelled(string id, string message);

    [LoggerMessage(4, LogLevel.Error, "{Id} of another hub can't be read any more.")]
    private partial void LogBroke(Exception exception, string id);
}
