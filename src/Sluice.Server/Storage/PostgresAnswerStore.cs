using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Npgsql;

namespace Sluice.Server.Storage;

/// <summary>
/// Answers in PostgreSQL, which several hubs share. Each answer has one owner, by a row with an epoch, and every change is made only where both are still
/// what the owner believes them to be.
/// </summary>
/// <param name="source">The database; belongs to this object.</param>
/// <param name="secret">The cluster's.</param>
/// <param name="node">Id of this hub.</param>
/// <param name="isa">Its instruction set.</param>
/// <param name="step">Called before every access, and after a commit, with a word for it; what it throws is taken for a failure of the access. Null for nobody.</param>
internal sealed partial class PostgresAnswerStore(NpgsqlDataSource source, string secret, Guid node, string isa, Action<string>? step = null) : IAnswerStore
{
    // Runs of one answer that a look at its end, or for a place in it, has to go through: where an answer changed hands, some lie over others.
    private const int OverlapMax = 16;

    // Runs that one read gets: what isn't used of them was sent for nothing.
    private const int ReadRunsMax = 32;

    // Of the answers of this node that have not ended.
    private readonly ConcurrentDictionary<string, int> _epochs = new(StringComparer.Ordinal);

    /// <summary>Id of this hub.</summary>
    public Guid Node => node;

    /// <summary>Instruction set of this hub.</summary>
    public string Isa => isa;

    public string Name { get; } = PostgresSource.NameOf(source);

    // What others put into the database is not this hub's to bound.
    public long UsedBytes => 0;

    public ValueTask DisposeAsync() => source.DisposeAsync();

    public async ValueTask OpenAsync(CancellationToken cancellation) => await RunAsync(
        async () =>
        {
            step?.Invoke("open");
            await PostgresSchema.PrepareAsync(source, secret, cancellation);
            return true;
        });

    public async ValueTask<int> ReadAsync(
        string id, long position, IBufferWriter<byte> output, Action<int>? addEvent, int bytesMax, CancellationToken cancellation)
    {
        var runs = await RunAsync(() => ReadRunsAsync(id, position, cancellation));
        var (count, copied) = (0, 0);
        foreach (var (first, ends, events) in runs)
        {
            // What is missing is not passed over.
            if (first > position) break;
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

    public async ValueTask<StoredRequest?> FindRequestAsync(string id, CancellationToken cancellation) => await RunAsync<StoredRequest?>(async () =>
    {
        step?.Invoke("find");
        await using var command = source.CreateCommand("select body, progress from sluice.request where id = $1");
        command.Parameters.Add(Of(id));
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation) ? new StoredRequest(row.GetFieldValue<byte[]>(0), row.IsDBNull(1) ? null : row.GetFieldValue<byte[]>(1)) : null;
    });

    private async Task<List<(long First, int[] Ends, byte[] Events)>> ReadRunsAsync(string id, long position, CancellationToken cancellation)
    {
        step?.Invoke("read");
        await using var command = source.CreateCommand($"""
            select first_event, ends, events from sluice.event_run where id = $1 and first_event >= (
              select first_event from (
                select first_event, event_count from sluice.event_run where id = $1 and first_event <= $2 order by first_event desc limit {OverlapMax}) as near
              where first_event + event_count > $2 order by first_event desc limit 1)
            order by first_event limit {ReadRunsMax}
            """);
        command.Parameters.Add(Of(id));
        command.Parameters.Add(Of(position));
        await using var rows = await command.ExecuteReaderAsync(cancellation);
        var runs = new List<(long, int[], byte[])>();
        while (await rows.ReadAsync(cancellation))
        {
            var (ends, events) = (MemoryMarshal.Cast<byte, int>(rows.GetFieldValue<byte[]>(1)).ToArray(), rows.GetFieldValue<byte[]>(2));
            for (var i = 0; i < ends.Length; i++)
            {
                if (ends[i] <= (i == 0 ? 0 : ends[i - 1]) || ends[i] > events.Length)
                    throw new StoreException(StoreFault.Corrupt, $"The events of {id} in the database {Name} are damaged.");
            }
            runs.Add((rows.GetInt64(0), ends, events));
        }
        return runs;
    }

    // The one door for what goes wrong. A statement is never broken off in the middle: under synchronous replication its outcome would be
    // anybody's guess. It has a time of its own.
    private async Task<T> RunAsync<T>(Func<Task<T>> access)
    {
        try
        {
            return await access();
        }
        catch (Exception exception) when (PostgresSource.IsFailure(exception))
        {
            throw PostgresSource.Explain(source, exception);
        }
    }

    private static NpgsqlParameter<T> Of<T>(T value) => new() { TypedValue = value };

    private static NpgsqlParameter OrNull(string? value) =>
        value is null ? new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text } : Of(value);
}
