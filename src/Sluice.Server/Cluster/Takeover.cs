using Microsoft.Extensions.Logging;
using Sluice.Server.Answers;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Cluster;

/// <summary>What came of an attempt to take an answer over.</summary>
/// <param name="Local">The answer, which is this hub's now; null where it is not.</param>
/// <param name="ModelId">Where only a hub with this model can go on with it; else null.</param>
/// <param name="Isa">And with this instruction set; null for any.</param>
internal readonly record struct TakeoverResult(Answer? Local, string? ModelId = null, string? Isa = null);

/// <summary>
/// Takes over answers that nobody makes any more: those of the engine go on from where they are, others are lost with the hub that made them. Whoever
/// calls this has asked the former owner before, and it did not answer.
/// </summary>
internal sealed partial class Takeover(PostgresAnswerStore store, AnswerTable answers, ClusterMembers members, ClusterMetrics metrics, ILogger<Takeover> logger)
{
    /// <summary>Takes over an answer, if this hub can go on with it, or nobody can.</summary>
    /// <param name="row">Of an answer without an end whose owner is gone.</param>
    /// <param name="configuration">Has the models.</param>
    /// <param name="cancellation">Gives up, before anything is claimed.</param>
    /// <exception cref="StoreException">The database can't be read or written.</exception>
    public async Task<TakeoverResult> TryTakeAsync(SharedAnswer row, HubSnapshot configuration, CancellationToken cancellation)
    {
        var id = row.Stored.Id;
        var isMine = row.Owner == store.Node;
        // Of one that was let go of everything is in the database that anybody has seen. Of others somebody may have seen more, and that has to
        // come out the same.
        var isa = row.Owner is null ? null : row.Isa;
        if (!isMine && await FindProgressAsync(row.Stored, cancellation) is { } snapshot)
        {
            var isAble = !members.IsDraining && (isa is null || isa == store.Isa) && configuration.Router.FindLocal(snapshot.ModelId) is not null;
            if (!isAble) return new(null, snapshot.ModelId, isa);
        }
        if (!isMine && !await store.TryClaimAsync(id, row.Epoch, Accounting?.LedgerId, CancellationToken.None)) return default;
        // From here on it is this hub's, whoever has asked for it.
        // What its owner has committed between the look and the claim counts.
        if (await store.FindAsync(id, CancellationToken.None) is not { Stored: { End: null } stored } claimed || claimed.Owner != store.Node) return default;
        var from = await FindSnapshotAsync(stored, CancellationToken.None);
        // Whoever claims an answer charges what follows of it; what can't follow is charged before it ends for others.
        if (Accounting is { LedgerId: { } ledger } accounting)
        {
            // This hub may have had it before, and what it settled then goes first.
            foreach (var (_, mark) in await store.FindMovedAsync(ledger, id, 1, CancellationToken.None))
                if (await accounting.SettleMovedAsync(id, mark)) await store.DeleteMovedAsync(ledger, id, mark, CancellationToken.None);
            if (from is null) await accounting.SettleTakenAsync(stored);
        }
        var isNew = answers.Find(id) is null;
        var answer = answers.TakeOver(stored, from);
        if (isNew && from is not null && Accounting is { } taken) await taken.TakeAsync(answer);
        metrics.CountTakeover(from is not null);
        if (from is null) LogLost(id, stored.EventCount);
        else LogTaken(id, from.EventCount);
        return new(answer);
    }

    private AnswerAccounting? Accounting => answers.Journal?.Accounting;

    // Without the request, which may be large: for a hub that may not be able.
    private async Task<AnswerSnapshot?> FindProgressAsync(StoredAnswer stored, CancellationToken cancellation)
    {
        if (!stored.HasProgress || await store.FindProgressAsync(stored.Id, cancellation) is not { } progress) return null;
        var snapshot = AnswerSnapshot.TryRead(new StoredRequest([], progress));
        // Before the first token the request alone says how many choices there are.
        return snapshot is { Progress: null } ? await FindSnapshotAsync(stored, cancellation) : Check(snapshot, stored);
    }

    // Several choices may interleave otherwise when they are made again, and a client may have seen more of them than the store.
    private async Task<AnswerSnapshot?> FindSnapshotAsync(StoredAnswer stored, CancellationToken cancellation)
    {
        if (!stored.HasProgress || await store.FindRequestAsync(stored.Id, cancellation) is not { } request) return null;
        return Check(AnswerSnapshot.TryRead(request), stored);
    }

    private static AnswerSnapshot? Check(AnswerSnapshot? snapshot, StoredAnswer stored) =>
        snapshot is { ChoiceCount: 1 } && snapshot.EventCount <= stored.EventCount ? snapshot : null;

    [LoggerMessage(1, LogLevel.Information, "{Id} is this hub's now, and goes on behind event {Count}.")]
    private partial void LogTaken(string id, long count);

    [LoggerMessage(2, LogLevel.Warning, "{Id} is lost behind event {Count}, with the hub that made it.")]
    private partial void LogLost(string id, long count);
}
