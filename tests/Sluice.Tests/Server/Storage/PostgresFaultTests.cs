using System.Buffers;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>
/// The n-th access to the database fails, before or after it has taken effect, for all n until none is left: answers go on, nobody loses an event or gets
/// one twice, and when the database works again it has everything.
/// </summary>
public sealed class PostgresFaultTests
{
    private const int EventCount = 120;
    private readonly Limits _limits = new() { Streams = new StreamLimits { HotBytes = 2_000, SegmentBytes = 512 }, StoreBatchBytes = 3_000 };

    private static string Event(string id, int number) => $"data: {id}{number} {new string('.', number % 40)}\n\n";

    private static string Events(string id) => string.Concat(Enumerable.Range(0, EventCount).Select(number => Event(id, number)));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_nth_access_fails_once_or_from_then_on_for_every_n(bool staysBroken)
    {
        var server = await PostgresServer.FindAsync();
        Assert.SkipWhen(server is null, PostgresServer.Missing);
        var connection = await server.CreateDatabaseAsync();
        var n = 1;
        while (await RunAsync(connection, n, staysBroken)) n++;
        Assert.InRange(n, 12, 500);
    }

    // Whether the fault came.
    private async Task<bool> RunAsync(string connection, int n, bool staysBroken)
    {
        var clock = new ManualTimeProvider();
        var (count, hasFailed, isRepaired) = (0, false, true);
        void Step(string step)
        {
            if (isRepaired || (++count != n && !(staysBroken && count > n))) return;
            hasFailed = true;
            throw new NpgsqlException("The fault of this test.");
        }

        var node = Guid.NewGuid();
        var prefix = $"{staysBroken}{n}";
        await using (var store = new PostgresAnswerStore(PostgresSource.Create(connection), "a secret of sixteen characters", node, "", Step))
        {
            using var recorder = new AnswerRecorder(store, _limits, long.MaxValue, clock, NullLogger.Instance);
            using var table = new AnswerTable(_limits, clock, recorder);
            await table.StartAsync(CancellationToken.None);
            isRepaired = false;
            await ServeAsync(table, recorder, clock, prefix);
            isRepaired = true;
            Assert.True(await recorder.FlushAsync());
            Assert.False(recorder.IsDegraded);
            await CheckAsync(table, prefix);
        }
        await using (var store = new PostgresAnswerStore(PostgresSource.Create(connection), "a secret of sixteen characters", node, ""))
        {
            using var recorder = new AnswerRecorder(store, _limits, long.MaxValue, clock, NullLogger.Instance);
            using var table = new AnswerTable(_limits, clock, recorder);
            await table.StartAsync(CancellationToken.None);
            await CheckAsync(table, prefix);
        }
        return hasFailed;
    }

    private static async Task ServeAsync(AnswerTable table, AnswerRecorder recorder, ManualTimeProvider clock, string prefix)
    {
        var answers = ((string[])["a", "b"]).Select(id => Begin(table, clock, prefix + id)).ToArray();
        var gone = Begin(table, clock, prefix + "gone");
        for (var number = 0; number < EventCount; number++)
        {
            foreach (var answer in answers) answer.Log.Append(Encoding.ASCII.GetBytes(Event(answer.Id, number)));
            if (number % 30 == 0) await recorder.FlushAsync();
            // One that is behind, and may be told that its place is lost, but nothing wrong.
            if (number % 50 == 49) Assert.StartsWith(await ReadAsync(answers[0]), Events(answers[0].Id), StringComparison.Ordinal);
        }
        gone.Log.Cancel();
        gone.SetEnded();
        table.Delete(gone);
        foreach (var answer in answers)
        {
            answer.Record.SetUsage(new AnswerUsage(1, 0, EventCount), isEstimated: false);
            answer.Log.Complete();
            answer.SetEnded();
        }
        await recorder.FlushAsync();
    }

    private static Answer Begin(AnswerTable table, ManualTimeProvider clock, string id)
    {
        var owner = new AnswerIdentity("p", "key of " + id, new RequestFingerprint("raw", null), DisconnectPolicy.Default) { Retention = Retention.Store };
        var answer = table.TryCreate(id, owner, "m", new RequestFigures(clock), null, out _)!;
        table.Record(answer, "body"u8.ToArray());
        return answer;
    }

    private static async Task CheckAsync(AnswerTable table, string prefix)
    {
        Assert.Equal(2, table.Count);
        foreach (var id in (string[])["a", "b"])
        {
            Assert.True(table.TryFindKey("key of " + prefix + id, "p", out var answer));
            Assert.Equal((prefix + id, "completed", EventCount), (answer.Id, answer.State, answer.Record.Usage!.Value.CompletionTokens));
            Assert.Equal(Events(answer.Id), await ReadAsync(answer));
        }
    }

    private static async Task<string> ReadAsync(Answer answer)
    {
        using var reader = answer.Log.TryOpenReader()!;
        var output = new ArrayBufferWriter<byte>();
        while (reader.TryRead(output, 700) is var outcome && (outcome == ReadOutcome.Events || (outcome == ReadOutcome.Spilled && await reader.ReadSpilledAsync(output, 700))))
        {
        }
        return Encoding.ASCII.GetString(output.WrittenSpan);
    }
}
