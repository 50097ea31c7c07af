using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Storage;

// What goes into the file and comes out of it. Everything here blocks.
internal sealed partial class SqliteAnswerStore
{
    private const string InsertAnswer = """
        insert into answer (id, principal, idempotency_key, raw_hash, canonical_hash, on_disconnect, model, created, changed_at, event_count, byte_count, dialect)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $10, 0, $9, $11) on conflict (id) do nothing
        """;

    private const string InsertRequest = "insert into request (id, body) values ($1, $2) on conflict (id) do nothing";

    // A run that was committed without our knowing it may come again with more events behind; those of it are the same.
    private const string InsertRun = """
        insert into event_run (id, first_event, event_count, ends, events) values ($1, $2, $3, $4, $5)
        on conflict (id, first_event) do update set event_count = excluded.event_count, ends = excluded.ends, events = excluded.events
        where excluded.event_count > event_run.event_count
        """;

    // Nothing where events are missing in between, or the answer is gone.
    private const string CountRun = """
        update answer set event_count = max(event_count, $3),
          byte_count = byte_count + max(0, $4 - coalesce((select length(events) from event_run where id = $1 and first_event = $2), 0))
        where id = $1 and event_count >= $2
        """;

    private const string SetProgress = "update request set progress = $2 where id = $1";

    private const string DropProgress = "update request set progress = null where id = $1 and progress is not null";

    private const string SetChanged = "update answer set changed_at = $2 where id = $1";

    private const string SetEnd = """
        update answer set end_kind = $2, ended_at = $3, failure = $4, prompt_tokens = $5, cached_tokens = $6, completion_tokens = $7, reasoning_tokens = $8, is_estimated = $9
        where id = $1
        """;

    private const string InsertTrace = """
        insert into trace (id, principal, idempotency_key, at) values ($1, $2, $3, $4) on conflict (id) do nothing
        """;

    private static readonly string[] s_delete = ["delete from event_run where id = $1", "delete from request where id = $1", "delete from answer where id = $1"];

    private void Commit(StoreBatch batch)
    {
        RequireFile();
        var writer = _writer ??= Connect();
        using var transaction = writer.Begin();
        foreach (var change in batch.Changes) Apply(writer, change);
        foreach (var trace in batch.Expired)
        {
            foreach (var sql in s_delete) writer.Execute(sql, trace.Id);
            writer.Execute(InsertTrace, trace.Id, trace.Principal, trace.Key, trace.At.ToUnixTimeMilliseconds());
        }
        foreach (var id in batch.Deleted)
        {
            foreach (var sql in s_delete) writer.Execute(sql, id);
        }
        if (batch.TracesBefore is { } before) writer.Execute("delete from trace where at < $1", before.ToUnixTimeMilliseconds());
        writer.Commit(transaction);
        // Somebody wants it gone, and the log still has what the file has lost. Where a reader is in the way, the next one does it.
        if (batch.Deleted.Count > 0) writer.Execute("pragma wal_checkpoint(truncate)");
        Measure(writer);
    }

    private void Measure(SqliteStatements reader)
    {
        using var row = reader.Query("select (page_count - freelist_count) * page_size from pragma_page_count, pragma_freelist_count, pragma_page_size");
        if (row.Read()) Volatile.Write(ref _usedBytes, row.GetInt64(0));
    }

    private void Apply(SqliteStatements writer, AnswerChange change)
    {
        if (change.Begun is var (answer, body))
        {
            var owner = answer.Owner;
            writer.Execute(
                InsertAnswer, answer.Id, owner.Principal, owner.Key, owner.Fingerprint.Raw, owner.Fingerprint.Canonical, (long)owner.OnDisconnect, answer.Model, answer.Created,
                (long)body.Length, change.At.ToUnixTimeMilliseconds(), owner.Dialect.Name);
            writer.Execute(InsertRequest, answer.Id, body.ToArray());
        }
        if (change.Ends.Count > 0)
        {
            var ends = MemoryMarshal.AsBytes<int>(change.Ends.ToArray()).ToArray();
            if (writer.Execute(CountRun, change.Id, change.FirstEvent, change.FirstEvent + change.Ends.Count, (long)change.Events.Length) == 0)
            {
                if (_isRenewed) return;
                throw new StoreException(StoreFault.Failed, $"The store of answers {_path} lacks events of {change.Id} before {change.FirstEvent}: somebody else has changed it.");
            }
            writer.Execute(InsertRun, change.Id, change.FirstEvent, (long)change.Ends.Count, ends, change.Events.ToArray());
        }
        if (change.Progress is { } progress)
        {
            writer.Execute(SetProgress, change.Id, progress.Length > 0 ? progress.ToArray() : null);
            writer.Execute(SetChanged, change.Id, change.At.ToUnixTimeMilliseconds());
        }
        if (change.End is { } end)
        {
            writer.Execute(
                SetEnd, change.Id, (long)end.Kind, end.At.ToUnixTimeMilliseconds(), end.Failure is { } failure ? StoredFailure.Write(failure) : null,
                end.Usage?.PromptTokens, end.Usage?.CachedTokens, end.Usage?.CompletionTokens, end.Usage?.ReasoningTokens, end.IsUsageEstimated);
            writer.Execute(DropProgress, change.Id);
        }
    }

    private StoreContents Load()
    {
        var reader = _writer ??= Connect();
        var (answers, traces) = (new List<StoredAnswer>(), new List<StoredTombstone>());
        using (var rows = reader.Query("""
            select answer.id, principal, idempotency_key, raw_hash, canonical_hash, on_disconnect, model, created, event_count, byte_count,
              end_kind, ended_at, failure, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, is_estimated, progress is not null, changed_at, dialect
            from answer left join request on request.id = answer.id order by answer.rowid
            """))
        {
            while (rows.Read())
            {
                if (TryReadAnswer(rows) is { } answer) answers.Add(answer);
                else if (TombstoneOf(rows) is { } trace) traces.Add(trace);
            }
        }
        using (var rows = reader.Query("select id, principal, idempotency_key, at from trace order by number"))
        {
            while (rows.Read())
            {
                if (TryRead(() => new StoredTombstone(rows.GetString(0), rows.GetString(1), TextOrNull(rows, 2), TimeOf(rows, 3))) is { } trace) traces.Add(trace);
            }
        }
        Measure(reader);
        return new StoreContents(answers, traces);
    }

    // Null where the row is damaged; it takes no other with it.
    private static T? TryRead<T>(Func<T> read)
        where T : class
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (IsDamage(exception))
        {
            return null;
        }
    }

    private static StoredAnswer? TryReadAnswer(SqliteDataReader row) =>
        TryRead(() => ReadAnswer(row)) is { EventCount: >= 0, ByteCount: >= 0 } answer
        && Enum.IsDefined(answer.Owner.OnDisconnect) && (answer.End is null || Enum.IsDefined(answer.End.Kind)) ? answer : null;

    // Of a damaged answer: it can't be read any more, from now on, whatever its times say.
    private static StoredTombstone? TombstoneOf(SqliteDataReader row) => TryRead(() =>
        new StoredTombstone(row.GetString(0), TextOrNull(row, 1) ?? "", TextOrNull(row, 2), DateTimeOffset.MaxValue));

    private static StoredAnswer ReadAnswer(SqliteDataReader row)
    {
        var owner = new AnswerIdentity(
            row.GetString(1), TextOrNull(row, 2), new RequestFingerprint(row.GetString(3), TextOrNull(row, 4)), (DisconnectPolicy)row.GetInt32(5))
        {
            Dialect = Dialects.Find(row.GetString(20)) ?? throw new FormatException("The dialect of an answer is not known."),
        };
        return new StoredAnswer(row.GetString(0), owner, row.GetString(6), row.GetInt64(7))
        {
            EventCount = row.GetInt64(8),
            ByteCount = row.GetInt64(9),
            End = row.IsDBNull(10) ? null : ReadEnd(row),
            HasProgress = row.GetBoolean(18),
            ChangedAt = TimeOf(row, 19),
        };
    }

    private static StoredEnd ReadEnd(SqliteDataReader row)
    {
        AnswerUsage? usage = row.IsDBNull(13) ? null : new AnswerUsage(row.GetInt32(13), row.GetInt32(14), row.GetInt32(15), row.GetInt32(16));
        return new StoredEnd((StreamEndKind)row.GetInt32(10), TextOrNull(row, 12) is { } failure ? StoredFailure.Read(failure) : null, usage, row.GetBoolean(17), TimeOf(row, 11));
    }

    private static string? TextOrNull(SqliteDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static DateTimeOffset TimeOf(SqliteDataReader row, int column) => DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(column));

    private int Read(string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax)
    {
        _step?.Invoke("read");
        using var connection = OpenReader();
        using var command = connection.CreateCommand();
        // The run that the position lies in, and those behind it.
        command.CommandText = """
            select first_event, ends, events from event_run
            where id = $1 and first_event >= coalesce((select max(first_event) from event_run where id = $1 and first_event <= $2), $2)
            order by first_event
            """;
        command.Parameters.AddWithValue("$1", id);
        command.Parameters.AddWithValue("$2", position);
        using var rows = command.ExecuteReader();
        var (count, copied) = (0, 0);
        while (rows.Read())
        {
            var first = rows.GetInt64(0);
            // What is missing is not passed over.
            if (first > position) break;
            var (ends, events) = ReadRun(rows);
            var skipped = (int)(position - first);
            if (skipped >= ends.Length) continue;
            var start = skipped == 0 ? 0 : ends[skipped - 1];
            var last = skipped;
            while (last < ends.Length && (count + last - skipped == 0 || copied + ends[last] - start <= bytesMax)) last++;
            if (last == skipped) break;
            output.Write(events.AsSpan(start, ends[last - 1] - start));
            for (var i = skipped; addEvent is not null && i < last; i++) addEvent(ends[i] - (i == 0 ? 0 : ends[i - 1]));
            copied += ends[last - 1] - start;
            count += last - skipped;
            position += last - skipped;
            if (last < ends.Length) break;
        }
        return count;
    }

    private static (int[] Ends, byte[] Events) ReadRun(SqliteDataReader row)
    {
        var (ends, events) = (MemoryMarshal.Cast<byte, int>((byte[])row.GetValue(1)).ToArray(), (byte[])row.GetValue(2));
        for (var i = 0; i < ends.Length; i++)
        {
            if (ends[i] <= (i == 0 ? 0 : ends[i - 1]) || ends[i] > events.Length) throw new FormatException("The events of an answer don't end where they should.");
        }
        return (ends, events);
    }

    private StoredRequest? FindRequest(string id)
    {
        _step?.Invoke("find");
        using var connection = OpenReader();
        using var command = connection.CreateCommand();
        command.CommandText = "select body, progress from request where id = $1";
        command.Parameters.AddWithValue("$1", id);
        using var rows = command.ExecuteReader();
        return rows.Read() && rows.GetValue(0) is byte[] body ? new StoredRequest(body, rows.GetValue(1) as byte[]) : null;
    }

    private SqliteConnection OpenReader()
    {
        var connection = new SqliteConnection(ConnectionString(isReader: true));
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
