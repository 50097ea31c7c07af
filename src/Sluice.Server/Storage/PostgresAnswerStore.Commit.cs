using System.Runtime.InteropServices;
using Npgsql;

namespace Sluice.Server.Storage;

// One batch of statements for everything that has come to the answers of this node: one way there and back, and one transaction, which ends on the
// server whatever becomes of this process.
internal sealed partial class PostgresAnswerStore
{
    private const string InsertAnswers = """
        insert into sluice.answer (id, owner, epoch, isa, principal, idempotency_key, raw_hash, canonical_hash, on_disconnect, model, created, dialect, charge, ledger)
        select id, $1, 1, $2, principal, key, raw_hash, canonical_hash, on_disconnect, model, created, dialect, charge, ledger
        from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::smallint[], $9::text[], $10::bigint[], $11::text[], $12::text[], $13::text[])
          with ordinality as t (id, principal, key, raw_hash, canonical_hash, on_disconnect, model, created, dialect, charge, ledger, place)
        order by place on conflict (id) do nothing
        """;

    // Most have their key already; others began while it could not be taken.
    private const string InsertKeys = """
        insert into sluice.key (principal, key, answer_id)
        select t.principal, t.key, t.id from unnest($3::text[], $4::text[], $5::text[]) as t (id, principal, key)
        join sluice.answer as a on a.id = t.id and a.owner = $1 and a.epoch = $2 order by t.principal, t.key on conflict (principal, key) do nothing
        """;

    private const string InsertRequests = """
        insert into sluice.request (id, body, changed_at)
        select t.id, t.body, t.changed_at from unnest($3::text[], $4::bytea[], $5::bigint[]) as t (id, body, changed_at)
        join sluice.answer as a on a.id = t.id and a.owner = $1 and a.epoch = $2 on conflict (id) do nothing
        """;

    // What follows holds for these alone. The rows stay locked to the end, so that nobody claims one between the look and the change.
    private const string FindMine = """
        select a.id from sluice.answer as a join unnest($2::text[], $3::int[]) as t (id, epoch) on a.id = t.id and a.epoch = t.epoch
        where a.owner = $1 order by a.id for share of a
        """;

    // A run that was committed without our knowing it may come again with more events behind; those of it are the same. Events that are missing in
    // between make a number of a text that is none, so that the whole batch fails.
    private static readonly string s_insertRuns = $"""
        with mine as materialized (
          select t.* from unnest($2::text[], $3::int[], $4::bigint[], $5::int[], $6::bytea[], $7::bytea[]) as t (id, epoch, first_event, event_count, ends, events)
          join sluice.answer as a on a.id = t.id and a.epoch = t.epoch and a.owner = $1),
        checked as materialized (
          select mine.*, case when mine.first_event <= coalesce({CountOf("mine.id")}, 0) then 0
            else ('events of ' || mine.id || ' before ' || mine.first_event)::int end as gap from mine)
        insert into sluice.event_run (id, first_event, epoch, event_count, ends, events)
        select id, first_event, epoch, event_count, ends, events from checked where gap = 0
        on conflict (id, first_event) do update set event_count = excluded.event_count, ends = excluded.ends, events = excluded.events, epoch = excluded.epoch
        where excluded.event_count > sluice.event_run.event_count
        """;

    private const string SetProgress = """
        update sluice.request as r set progress = t.progress, changed_at = t.changed_at
        from unnest($2::text[], $3::int[], $4::bytea[], $5::bigint[]) as t (id, epoch, progress, changed_at)
        join sluice.answer as a on a.id = t.id and a.epoch = t.epoch and a.owner = $1 where r.id = t.id
        """;

    private const string SetCharges = """
        update sluice.answer as a set charge = t.charge from unnest($2::text[], $3::int[], $4::text[]) as t (id, epoch, charge)
        where a.id = t.id and a.epoch = t.epoch and a.owner = $1
        """;

    private const string SetEnds = """
        update sluice.answer as a set end_kind = t.kind, ended_at = t.ended_at, failure = t.failure, prompt_tokens = t.prompt, cached_tokens = t.cached,
          completion_tokens = t.completion, reasoning_tokens = t.reasoning, is_estimated = t.is_estimated
        from unnest($2::text[], $3::int[], $4::smallint[], $5::bigint[], $6::text[], $7::int[], $8::int[], $9::int[], $10::int[], $11::boolean[])
          as t (id, epoch, kind, ended_at, failure, prompt, cached, completion, reasoning, is_estimated)
        where a.id = t.id and a.epoch = t.epoch and a.owner = $1
        """;

    private const string DropProgress = """
        update sluice.request as r set progress = null from sluice.answer as a
        where r.id = any($2) and a.id = r.id and a.owner = $1 and r.progress is not null
        """;

    private const string InsertTraces = """
        insert into sluice.trace (id, node, principal, idempotency_key, at)
        select t.id, $1, t.principal, t.key, t.at from unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) with ordinality as t (id, principal, key, at, place)
        order by place on conflict (id) do nothing
        """;

    // What nobody owns any more can be taken away by anybody.
    private static readonly string[] s_delete =
    [
        "delete from sluice.answer where id = any($2) and (owner = $1 or owner is null)",
        "delete from sluice.event_run as r where id = any($2) and not exists (select from sluice.answer as a where a.id = r.id) and $1::uuid is not null",
        "delete from sluice.request as r where id = any($2) and not exists (select from sluice.answer as a where a.id = r.id) and $1::uuid is not null",
        "delete from sluice.key as k where answer_id = any($2) and not exists (select from sluice.answer as a where a.id = k.answer_id) and $1::uuid is not null",
    ];

    public async ValueTask<IReadOnlyList<string>> CommitAsync(StoreBatch batch, CancellationToken cancellation)
    {
        var refused = await RunAsync(async () =>
        {
            step?.Invoke("commit");
            var refused = await CommitWithoutGapsAsync(batch);
            step?.Invoke("committed");
            return refused;
        });
        foreach (var change in batch.Changes) if (change.End is not null) _epochs.TryRemove(change.Id, out _);
        foreach (var trace in batch.Expired) _epochs.TryRemove(trace.Id, out _);
        foreach (var id in batch.Deleted) _epochs.TryRemove(id, out _);
        foreach (var id in refused) _epochs.TryRemove(id, out _);
        return refused;
    }

    // A database that was replaced by one which has not got everything costs what is missing there, and nothing else.
    private async Task<List<string>> CommitWithoutGapsAsync(StoreBatch batch)
    {
        try
        {
            return await CommitBatchAsync(batch);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InvalidTextRepresentation)
        {
            if (await FindGapsAsync(batch.Changes) is not { Count: > 0 } gaps) throw;
            var rest = new StoreBatch { TracesBefore = batch.TracesBefore };
            rest.Changes.AddRange(batch.Changes.FindAll(change => !gaps.Contains(change.Id)));
            rest.Expired.AddRange(batch.Expired);
            rest.Deleted.AddRange(batch.Deleted);
            return [.. await CommitBatchAsync(rest), .. gaps];
        }
    }

    private async Task<List<string>> FindGapsAsync(List<AnswerChange> changes)
    {
        var runs = changes.FindAll(static change => change.Ends.Count > 0);
        await using var command = source.CreateCommand($"""
            select t.id from unnest($1::text[], $2::bigint[]) as t (id, first_event) where t.first_event > coalesce({CountOf("t.id")}, 0)
            """);
        command.Parameters.Add(Ids(runs));
        command.Parameters.Add(Of(runs.Select(static change => change.FirstEvent).ToArray()));
        return await ReadIdsAsync(command, CancellationToken.None);
    }

    private async Task<List<string>> CommitBatchAsync(StoreBatch batch)
    {
        await using var statements = source.CreateBatch();
        var begun = batch.Changes.FindAll(static change => change.Begun is not null);
        if (begun.Count > 0) AddBegun(statements, begun);
        var changes = batch.Changes;
        if (changes.Count > 0)
        {
            // The first one that has rows; the others have none.
            Add(statements, FindMine, Of(node), Ids(changes), Epochs(changes));
            AddChanges(statements, changes);
        }
        if (batch.Expired.Count > 0)
        {
            AddDelete(statements, [.. batch.Expired.Select(static trace => trace.Id)]);
            Add(
                statements, InsertTraces, Of(node), Texts(batch.Expired.Select(static trace => trace.Id)), Texts(batch.Expired.Select(static trace => trace.Principal)),
                Texts(batch.Expired.Select(static trace => trace.Key)), Of(batch.Expired.Select(static trace => trace.At.ToUnixTimeMilliseconds()).ToArray()));
        }
        if (batch.Deleted.Count > 0) AddDelete(statements, [.. batch.Deleted]);
        if (batch.TracesBefore is { } before) Add(statements, "delete from sluice.trace where at < $1", Of(before.ToUnixTimeMilliseconds()));
        if (statements.BatchCommands.Count == 0) return [];
        var mine = new HashSet<string>(StringComparer.Ordinal);
        await using var rows = await statements.ExecuteReaderAsync();
        do
        {
            while (await rows.ReadAsync()) mine.Add(rows.GetString(0));
        }
        while (await rows.NextResultAsync());
        return [.. changes.Where(change => !mine.Contains(change.Id)).Select(static change => change.Id)];
    }

    private void AddBegun(NpgsqlBatch statements, List<AnswerChange> begun)
    {
        var answers = begun.ConvertAll(static change => change.Begun!.Value.Answer);
        foreach (var answer in answers) _epochs.TryAdd(answer.Id, 1);
        Add(
            statements, InsertAnswers, Of(node), Of(isa), Ids(begun), Texts(answers.Select(static answer => answer.Owner.Principal)),
            Texts(answers.Select(static answer => answer.Owner.Key)), Texts(answers.Select(static answer => answer.Owner.Fingerprint.Raw)),
            Texts(answers.Select(static answer => answer.Owner.Fingerprint.Canonical)), Of(answers.Select(static answer => (short)answer.Owner.OnDisconnect).ToArray()),
            Texts(answers.Select(static answer => answer.Model)), Of(answers.Select(static answer => answer.Created).ToArray()),
            Texts(answers.Select(static answer => answer.Owner.Dialect.Name)), Texts(answers.Select(static answer => answer.Charge)),
            Texts(answers.Select(static answer => answer.Ledger)));
        Add(
            statements, InsertRequests, Of(node), Of(1), Ids(begun), Of(begun.Select(static change => change.Begun!.Value.Body.ToArray()).ToArray()),
            Of(begun.Select(static change => change.At.ToUnixTimeMilliseconds()).ToArray()));
        // A session's key holds at one hub alone.
        var keyed = answers.FindAll(static answer => answer.Owner is { Key: not null, Turn: not TurnKind.Session });
        if (keyed.Count == 0) return;
        Add(
            statements, InsertKeys, Of(node), Of(1), Texts(keyed.Select(static answer => answer.Id)), Texts(keyed.Select(static answer => answer.Owner.Principal)),
            Texts(keyed.Select(static answer => answer.Owner.Key)));
    }

    private void AddChanges(NpgsqlBatch statements, List<AnswerChange> changes)
    {
        var runs = changes.FindAll(static change => change.Ends.Count > 0);
        if (runs.Count > 0)
        {
            Add(
                statements, s_insertRuns, Of(node), Ids(runs), Epochs(runs), Of(runs.Select(static change => change.FirstEvent).ToArray()),
                Of(runs.Select(static change => change.Ends.Count).ToArray()),
                Of(runs.Select(static change => MemoryMarshal.AsBytes<int>(change.Ends.ToArray()).ToArray()).ToArray()),
                Of(runs.Select(static change => change.Events.ToArray()).ToArray()));
        }
        var progress = changes.FindAll(static change => change.Progress is not null);
        if (progress.Count > 0)
        {
            Add(
                statements, SetProgress, Of(node), Ids(progress), Epochs(progress),
                Of(progress.Select(static change => change.Progress!.Value is { Length: > 0 } bytes ? bytes.ToArray() : null).ToArray()),
                Of(progress.Select(static change => change.At.ToUnixTimeMilliseconds()).ToArray()));
        }
        var charged = changes.FindAll(static change => change.Charge is not null);
        if (charged.Count > 0) Add(statements, SetCharges, Of(node), Ids(charged), Epochs(charged), Texts(charged.Select(static change => change.Charge)));
        var ended = changes.FindAll(static change => change.End is not null);
        if (ended.Count == 0) return;
        var ends = ended.ConvertAll(static change => change.End!);
        Add(
            statements, SetEnds, Of(node), Ids(ended), Epochs(ended), Of(ends.Select(static end => (short)end.Kind).ToArray()),
            Of(ends.Select(static end => end.At.ToUnixTimeMilliseconds()).ToArray()),
            Texts(ends.Select(static end => end.Failure is { } failure ? StoredFailure.Write(failure) : null)),
            Of(ends.Select(static end => end.Usage?.PromptTokens).ToArray()), Of(ends.Select(static end => end.Usage?.CachedTokens).ToArray()),
            Of(ends.Select(static end => end.Usage?.CompletionTokens).ToArray()), Of(ends.Select(static end => end.Usage?.ReasoningTokens).ToArray()),
            Of(ends.Select(static end => end.IsUsageEstimated).ToArray()));
        Add(statements, DropProgress, Of(node), Ids(ended));
    }

    private void AddDelete(NpgsqlBatch statements, string[] ids)
    {
        foreach (var sql in s_delete) Add(statements, sql, Of(node), Of(ids));
    }

    private static void Add(NpgsqlBatch statements, string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
#pragma warning disable CA2100 // Constants of this class, never words of a client: those are parameters.
        var command = new NpgsqlBatchCommand(sql);
#pragma warning restore CA2100
        foreach (var parameter in parameters) command.Parameters.Add(parameter);
        statements.BatchCommands.Add(command);
    }

    private static NpgsqlParameter<string?[]> Ids(List<AnswerChange> changes) => Texts(changes.Select(static change => change.Id));

    private NpgsqlParameter<int[]> Epochs(List<AnswerChange> changes) => Of(changes.Select(change => _epochs.GetValueOrDefault(change.Id, 1)).ToArray());

    private static NpgsqlParameter<string?[]> Texts(IEnumerable<string?> texts) => Of(texts.ToArray());

    // Events of an answer, without a count that every flush would have to change. The last of its runs in order need not reach farthest.
    private static string CountOf(string id) => $"""
        (select max(last.first_event + last.event_count) from (
          select r.first_event, r.event_count from sluice.event_run as r where r.id = {id} order by r.first_event desc limit {OverlapMax}) as last)
        """;
}
