using System.Text.Json;
using Npgsql;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Storage;

// Look-ups: what this node has no answer of in memory.
internal sealed partial class PostgresAnswerStore
{
    private static readonly string s_answer = $"""
        select a.id, a.principal, a.idempotency_key, a.raw_hash, a.canonical_hash, a.on_disconnect, a.model, a.created, a.dialect,
          a.end_kind, a.ended_at, a.failure, a.prompt_tokens, a.cached_tokens, a.completion_tokens, a.reasoning_tokens, a.is_estimated,
          coalesce({CountOf("a.id")}, 0), octet_length(r.body), r.progress is not null, r.changed_at, a.owner, a.epoch, a.isa,
          exists (select from sluice.node as n where n.id = a.owner and n.lease_until > clock_timestamp()), a.charge, a.ledger
        from sluice.answer as a left join sluice.request as r on r.id = a.id
        """;

    // A fresh node owns nothing.
    public async ValueTask<StoreContents> LoadAsync(CancellationToken cancellation) => await RunAsync(async () =>
    {
        step?.Invoke("load");
        var (answers, traces) = (new List<StoredAnswer>(), new List<StoredTombstone>());
#pragma warning disable CA2100 // Constants of this class.
        await using (var command = source.CreateCommand(s_answer + " where a.owner = $1 order by a.number"))
#pragma warning restore CA2100
        {
            command.Parameters.Add(Of(node));
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
            {
                if (TryReadAnswer(rows) is not { } answer) continue;
                _epochs[answer.Stored.Id] = answer.Epoch;
                answers.Add(await SumAsync(answer.Stored, cancellation));
            }
        }
        await using (var command = source.CreateCommand("select id, principal, idempotency_key, at from sluice.trace where node = $1 order by number"))
        {
            command.Parameters.Add(Of(node));
            await using var rows = await command.ExecuteReaderAsync(cancellation);
            while (await rows.ReadAsync(cancellation))
                traces.Add(new StoredTombstone(rows.GetString(0), rows.GetString(1), TextOrNull(rows, 2), DateTimeOffset.FromUnixTimeMilliseconds(rows.GetInt64(3))));
        }
        return new StoreContents(answers, traces);
    });

    /// <summary>An answer of any node.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<SharedAnswer?> FindAsync(string id, CancellationToken cancellation) => RunAsync(async () =>
    {
        step?.Invoke("find");
#pragma warning disable CA2100 // Constants of this class.
        await using var command = source.CreateCommand(s_answer + " where a.id = $1");
#pragma warning restore CA2100
        command.Parameters.Add(Of(id));
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        if (!await rows.ReadAsync(cancellation) || TryReadAnswer(rows) is not { } answer) return null;
        // A claim whose reply was lost is learnt of here. A look that comes late knows less than a claim.
        if (answer.Owner == node && answer.Stored.End is null) _epochs.AddOrUpdate(id, answer.Epoch, (_, known) => int.Max(known, answer.Epoch));
        return answer;
    });

    /// <summary>How far the engine had come, without what was asked; null where there is nothing.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<byte[]?> FindProgressAsync(string id, CancellationToken cancellation) => RunAsync(async () =>
    {
        step?.Invoke("find");
        await using var command = source.CreateCommand("select progress from sluice.request where id = $1");
        command.Parameters.Add(Of(id));
        return await command.ExecuteScalarAsync(cancellation) as byte[];
    });

    /// <summary>Whose an answer was that is no longer kept; null where nothing is known of it.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<string?> FindTraceAsync(string id, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand("select principal from sluice.trace where id = $1");
        command.Parameters.Add(Of(id));
        return await command.ExecuteScalarAsync(cancellation) as string;
    });

    /// <summary>Whether an answer with a key is no longer kept.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<bool> HasKeyExpiredAsync(string principal, string key, CancellationToken cancellation) => RunAsync(async () =>
    {
        await using var command = source.CreateCommand("select exists (select from sluice.trace where principal = $1 and idempotency_key = $2)");
        command.Parameters.Add(Of(principal));
        command.Parameters.Add(Of(key));
        return await command.ExecuteScalarAsync(cancellation) is true;
    });

    /// <summary>Who has a key; null where nobody has.</summary>
    /// <exception cref="StoreException">The database can't be read.</exception>
    public Task<KeyClaim?> FindKeyAsync(string principal, string key, CancellationToken cancellation) => RunAsync<KeyClaim?>(async () =>
    {
        await using var command = source.CreateCommand("""
            select answer_id from sluice.key where principal = $1 and key = $2 and (until is null or until > clock_timestamp())
            """);
        command.Parameters.Add(Of(principal));
        command.Parameters.Add(Of(key));
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation) ? new KeyClaim(false, TextOrNull(row, 0)) : null;
    });

    // Only at a load: the sum of all runs.
    private async Task<StoredAnswer> SumAsync(StoredAnswer answer, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand("select coalesce(sum(octet_length(events)), 0)::bigint from sluice.event_run where id = $1");
        command.Parameters.Add(Of(answer.Id));
        return answer with { ByteCount = answer.ByteCount + (long)(await command.ExecuteScalarAsync(cancellation))! };
    }

    // Null where the row is damaged; it takes no other with it.
    private static SharedAnswer? TryReadAnswer(NpgsqlDataReader row)
    {
        try
        {
            if (Dialects.Find(row.GetString(8)) is not { } dialect) return null;
            var owner = new AnswerIdentity(
                row.GetString(1), TextOrNull(row, 2), new RequestFingerprint(row.GetString(3), TextOrNull(row, 4)), (DisconnectPolicy)row.GetInt16(5))
            { Dialect = dialect };
            var stored = new StoredAnswer(row.GetString(0), owner, row.GetString(6), row.GetInt64(7))
            {
                EventCount = row.GetInt64(17),
                ByteCount = row.IsDBNull(18) ? 0 : row.GetInt32(18),
                HasProgress = !row.IsDBNull(19) && row.GetBoolean(19),
                ChangedAt = DateTimeOffset.FromUnixTimeMilliseconds(row.IsDBNull(20) ? 0 : row.GetInt64(20)),
                End = row.IsDBNull(9) ? null : ReadEnd(row),
                Charge = TextOrNull(row, 25),
                Ledger = TextOrNull(row, 26),
            };
            if (!Enum.IsDefined(owner.OnDisconnect) || (stored.End is { } end && !Enum.IsDefined(end.Kind))) return null;
            return new SharedAnswer(stored, row.IsDBNull(21) ? null : row.GetGuid(21), row.GetInt32(22), row.GetBoolean(24), row.GetString(23));
        }
        catch (Exception exception) when (exception is JsonException or InvalidCastException or FormatException or KeyNotFoundException)
        {
            return null;
        }
    }

    private static StoredEnd ReadEnd(NpgsqlDataReader row)
    {
        AnswerUsage? usage = row.IsDBNull(12) ? null : new AnswerUsage(row.GetInt32(12), row.GetInt32(13), row.GetInt32(14), row.GetInt32(15));
        return new StoredEnd(
            (StreamEndKind)row.GetInt16(9), TextOrNull(row, 11) is { } failure ? StoredFailure.Read(failure) : null, usage, row.GetBoolean(16),
            DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(10)));
    }

    private static string? TextOrNull(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);
}
