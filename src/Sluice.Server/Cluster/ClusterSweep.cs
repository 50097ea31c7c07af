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
    private bool _hasLooked;

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
            await SettleMovedAsync();
            if (time.GetElapsedTime(_lastSweep) < limits.ClusterSweep) return;
            var now = time.GetUtcNow();
            await SettleOpenAsync();
            await store.SweepMovedAsync(limits.LedgerAnswers, _stop.Token);
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

    // What other hubs have taken over is settled there from then on.
    private async Task SettleMovedAsync()
    {
        if (answers.Journal?.Accounting is not { LedgerId: { } ledger } accounting) return;
        foreach (var (id, charge) in await store.FindMovedAsync(ledger, id: null, limits.ClusterPortion, _stop.Token))
        {
            // It is still made here by a hub that has not noticed, and what it takes until then has to be settled before.
            if (answers.Find(id) is { Following: null, Produced.IsCompleted: false, Record.Hold.HasMoved: false }) continue;
            if (await accounting.SettleMovedAsync(id, charge)) await store.DeleteMovedAsync(ledger, id, charge, _stop.Token);
        }
        if (_hasLooked) return;
        await SettleOpenAsync();
        _hasLooked = true;
    }

    // What an earlier process with this ledger began: whoever has it settles it. What has ended, or is gone, nobody else settles.
    private async Task SettleOpenAsync()
    {
        if (answers.Journal?.Accounting is not { LedgerId: { } ledger } accounting) return;
        foreach (var id in accounting.FindOpen())
        {
            var row = await store.FindAsync(id, _stop.Token);
            if (row is { Stored.End: null }) continue;
            // Asked for later: where it was claimed before it ended, there is a mark by now.
            if ((await store.FindMovedAsync(ledger, id, 1, _stop.Token)).Count > 0) continue;
            await accounting.SettleOpenAsync(id, row?.Stored);
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
