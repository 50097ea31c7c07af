using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Streaming;

namespace Sluice.Server.Cluster;

/// <summary>Looks after what nobody asks for: answers of hubs that are gone, wishes of hubs that can't reach this one, and what has had its time.</summary>
internal sealed partial class ClusterSweep(
    PostgresAnswerStore store, ClusterMembers members, PeerLink link, RemoteAnswers hubs, AnswerTable answers, Limits limits, TimeProvider time, ILogger<ClusterSweep> logger)
    : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private ITimer? _timer;
    private long _lastSweep = time.GetTimestamp();
    private int _isLooking;
    private HashSet<string> _ownerless = [];
    private long _behind;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _timer = time.CreateTimer(static state => _ = ((ClusterSweep)state!).LookAsync(), this, limits.ClusterRenew, limits.ClusterRenew);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        _timer?.Dispose();
        return _stop.CancelAsync();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer?.Dispose();
        _stop.Dispose();
    }

    // Never throws.
    private async Task LookAsync()
    {
        if (members.IsDraining || Interlocked.Exchange(ref _isLooking, 1) != 0) return;
        try
        {
            foreach (var id in await store.FindCancelledAsync(_stop.Token)) answers.Find(id)?.Cancel(CancellationCause.Requested);
            await TakeAsync();
            await TakeOwnAsync();
            if (time.GetElapsedTime(_lastSweep) < limits.ClusterSweep) return;
            var now = time.GetUtcNow();
            if (await store.SweepAsync(now - limits.Retention, now - limits.SuspendedRetention, now, limits.ClusterPortion, _stop.Token) < limits.ClusterPortion)
                _lastSweep = time.GetTimestamp();
        }
        catch (Exception exception) when (exception is StoreException or OperationCanceledException or ObjectDisposedException)
        {
            // The lease's renewal tells of a database that can't be reached; the next look begins anew.
        }
#pragma warning disable CA1031 // Nobody waits for this.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogFailed(exception);
        }
        finally
        {
            Volatile.Write(ref _isLooking, 0);
        }
    }

    private async Task TakeAsync()
    {
        var alive = new Dictionary<Guid, bool>();
        // Those that this hub can't take must not hide those behind them.
        var orphans = await store.FindOrphanedAsync(_behind, limits.ClusterPortion, _stop.Token);
        _behind = orphans.Count < limits.ClusterPortion ? 0 : orphans[^1].Number;
        foreach (var (id, _) in orphans)
        {
            if (await store.FindAsync(id, _stop.Token) is not { IsOwned: false, Stored.End: null } row) continue;
            // After an outage of the database no lease runs, and all are there all the same.
            if (row.Owner is { } owner && members.Find(owner) is { } node)
            {
                if (!alive.TryGetValue(owner, out var isAlive)) alive[owner] = isAlive = await link.IsAliveAsync(node, _stop.Token);
                if (isAlive) continue;
            }
            var taken = await hubs.TakeAsync(row, _stop.Token);
            if (taken.Local is { IsSuspended: true } answer) _ = ContinueAsync(answer);
        }
    }

    // By the rows they are this hub's, and it doesn't know them: claims whose replies were lost. Twice in a row, because one that is let go of leaves the
    // table first.
    private async Task TakeOwnAsync()
    {
        var found = (await store.FindOwnAsync(time.GetUtcNow() - RemoteAnswer.Birth, _stop.Token)).Where(id => answers.Find(id) is null).ToHashSet(StringComparer.Ordinal);
        var before = _ownerless;
        _ownerless = found;
        foreach (var id in found.Where(before.Contains))
        {
            if (answers.Find(id) is not null || await store.FindAsync(id, _stop.Token) is not { Stored.End: null } row || row.Owner != store.Node) continue;
            var taken = await hubs.TakeAsync(row, _stop.Token);
            if (taken.Local is { IsSuspended: true, Owner.OnDisconnect: DisconnectPolicy.Continue } answer) _ = ContinueAsync(answer);
        }
    }

    private async Task ContinueAsync(Answer answer)
    {
        var (connection, error) = await hubs.AttachAsync(answer, 0, _stop.Token);
        connection?.Dispose();
        if (error is not null) LogStays(answer.Id, error.Message);
    }

    [LoggerMessage(1, LogLevel.Error, "What hubs that are gone have left can't be looked after.")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(2, LogLevel.Warning, "{Id} was to go on without a reader, and can't: {Reason}")]
    private partial void LogStays(string id, string reason);
}
