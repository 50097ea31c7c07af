using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
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
/// The n-th access to the file fails, for all n until none is left that could: whatever it is, answers go on, nobody loses an event or gets one twice,
/// and when the file works again it has everything. One thread, a manual clock, a real file.
/// </summary>
public sealed class SqliteFaultTests : IDisposable
{
    private const int EventCount = 120;
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-fault-").FullName;
    private readonly Limits _limits = new() { Streams = new StreamLimits { HotBytes = 2_000, SegmentBytes = 512 }, StoreBatchBytes = 3_000 };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Event(string id, int number) => $"data: {id}{number} {new string('.', number % 40)}\n\n";

    private static string Events(string id) => string.Concat(Enumerable.Range(0, EventCount).Select(number => Event(id, number)));

    [Theory]
    [InlineData(10, false)]
    [InlineData(10, true)]
    [InlineData(13, false)]
    [InlineData(5, true)]
    public async Task The_nth_access_fails_once_or_from_then_on_for_every_n(int errorCode, bool staysBroken)
    {
        var n = 1;
        while (await RunAsync(n, errorCode, staysBroken)) n++;
        // Begins, inserts, updates, commits, reads and their outcomes.
        Assert.InRange(n, 60, 2_000);
    }

    // Whether the fault came.
    private async Task<bool> RunAsync(int n, int errorCode, bool staysBroken)
    {
        var path = Path.Combine(_folder, $"{n}-{errorCode}-{staysBroken}.db");
        var clock = new ManualTimeProvider();
        var (count, hasFailed, isRepaired) = (0, false, true);
        void Step(string step)
        {
            if (isRepaired || (++count != n && !(staysBroken && count > n))) return;
            hasFailed = true;
            throw new SqliteException("The fault of this test.", errorCode);
        }

        await using (var store = new SqliteAnswerStore(path, 1 << 30, new InlineScheduler(), Step))
        {
            using var recorder = new AnswerRecorder(store, _limits, 1 << 30, clock, NullLogger.Instance);
            using var table = new AnswerTable(_limits, clock, recorder);
            await table.StartAsync(CancellationToken.None);
            isRepaired = false;
            await ServeAsync(table, clock);
            isRepaired = true;
            clock.Advance(_limits.StoreRetry);
            Assert.False(recorder.IsDegraded);
            await CheckAsync(table);
        }
        await using (var store = new SqliteAnswerStore(path, 1 << 30, new InlineScheduler()))
        {
            using var recorder = new AnswerRecorder(store, _limits, 1 << 30, clock, NullLogger.Instance);
            using var table = new AnswerTable(_limits, clock, recorder);
            await table.StartAsync(CancellationToken.None);
            await CheckAsync(table);
        }
        return hasFailed;
    }

    private async Task ServeAsync(AnswerTable table, ManualTimeProvider clock)
    {
        var answers = ((string[])["a", "b"]).Select(id => Begin(table, clock, id)).ToArray();
        var gone = Begin(table, clock, "gone");
        for (var number = 0; number < EventCount; number++)
        {
            foreach (var answer in answers) answer.Log.Append(Encoding.ASCII.GetBytes(Event(answer.Id, number)));
            if (number % 20 == 0) clock.Advance(_limits.StoreInterval);
            // One that is behind, and may be told that its place is lost, but nothing wrong.
            if (number % 50 == 49) Assert.StartsWith(await ReadAsync(answers[0]), Events("a"), StringComparison.Ordinal);
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
        clock.Advance(_limits.StoreInterval);
    }

    private static Answer Begin(AnswerTable table, ManualTimeProvider clock, string id)
    {
        var owner = new AnswerIdentity("p", "key of " + id, new RequestFingerprint("raw", null), DisconnectPolicy.Default) { Retention = Retention.Store };
        var answer = table.TryCreate(id, owner, "m", new RequestFigures(clock), null, out _)!;
        table.Record(answer, "body"u8.ToArray());
        return answer;
    }

    private static async Task CheckAsync(AnswerTable table)
    {
        Assert.Equal(2, table.Count);
        foreach (var id in (string[])["a", "b"])
        {
            Assert.True(table.TryFindKey("key of " + id, "p", out var answer));
            Assert.Equal((id, "completed", EventCount), (answer.Id, answer.State, answer.Record.Usage!.Value.CompletionTokens));
            Assert.Equal(Events(id), await ReadAsync(answer));
        }
        Assert.False(table.HasExpired("gone", "p"));
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
