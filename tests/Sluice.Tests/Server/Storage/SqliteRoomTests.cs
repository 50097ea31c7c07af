using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>How answers share the room of a file: one thread, a manual clock, a real file.</summary>
public sealed class SqliteRoomTests : IDisposable
{
    private const int FileBytes = 1 << 20;
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-room-").FullName;
    private readonly ManualTimeProvider _clock = new();
    private readonly Limits _limits = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private SqliteAnswerStore Store() => new(Path.Combine(_folder, "answers.db"), FileBytes, new InlineScheduler());

    private Answer Begin(AnswerTable table, string id, int eventCount, int eventBytes)
    {
        var owner = new AnswerIdentity("p", null, new RequestFingerprint("raw", null), DisconnectPolicy.Default) { Retention = Retention.Store };
        var answer = table.TryCreate(id, owner, "m", new RequestFigures(_clock), null, out _)!;
        table.Record(answer, "body"u8.ToArray());
        for (var number = 0; number < eventCount; number++) answer.Log.Append(new byte[eventBytes]);
        return answer;
    }

    private void End(Answer answer)
    {
        answer.Record.SetUsage(new AnswerUsage(1, 0, 1), isEstimated: false);
        answer.Log.Complete();
        answer.SetEnded();
        _clock.Advance(_limits.StoreInterval);
    }

    [Fact]
    public async Task A_full_file_takes_what_came_when_something_goes()
    {
        await using var store = Store();
        // One that is told of more room than there is, and lets go of nothing by itself.
        using var recorder = new AnswerRecorder(store, _limits, 1 << 30, _clock, NullLogger.Instance);
        using var table = new AnswerTable(_limits, _clock, recorder);
        await table.StartAsync(Cancellation);
        var old = Enumerable.Range(0, 8).Select(number => Begin(table, $"a{number}", 2, 50 << 10)).ToArray();
        foreach (var answer in old) End(answer);
        Assert.False(recorder.IsDegraded);
        End(Begin(table, "b", 6, 50 << 10));
        Assert.True(recorder.IsDegraded);
        foreach (var answer in old[..4]) table.Delete(answer);
        _clock.Advance(_limits.StoreRetry);
        Assert.False(recorder.IsDegraded);
        Assert.Equal(["a4", "a5", "a6", "a7", "b"], (await store.LoadAsync(Cancellation)).Answers.Select(static answer => answer.Id));
    }

    [Theory]
    [InlineData(8_000, 1, 10)]
    [InlineData(300, 4, 3_000)]
    public async Task Answers_of_any_size_give_way_before_the_file_is_full_and_most_of_it_stays_in_use(int answerCount, int eventCount, int eventBytes)
    {
        await using var store = Store();
        using var recorder = new AnswerRecorder(store, _limits, FileBytes, _clock, NullLogger.Instance);
        using var table = new AnswerTable(_limits with { Retention = TimeSpan.FromHours(10) }, _clock, recorder);
        await table.StartAsync(Cancellation);
        for (var number = 0; number < answerCount; number++)
        {
            End(Begin(table, $"a{number:D4}", eventCount, eventBytes));
            Assert.False(recorder.IsDegraded, $"{number} answers");
        }
        Assert.InRange(table.Count, 10, answerCount - 1);
        Assert.InRange(store.UsedBytes, FileBytes * 3 / 4, FileBytes);
    }

    [Fact]
    public async Task A_file_that_is_full_at_one_answer_lets_go_of_others_when_it_ends()
    {
        await using var store = Store();
        using var recorder = new AnswerRecorder(store, _limits, FileBytes, _clock, NullLogger.Instance);
        using var table = new AnswerTable(_limits, _clock, recorder);
        await table.StartAsync(Cancellation);
        for (var number = 0; number < 8; number++) End(Begin(table, $"a{number}", 2, 50 << 10));
        var large = Begin(table, "b", 4, 50 << 10);
        _clock.Advance(_limits.StoreInterval);
        Assert.True(recorder.IsDegraded);
        End(large);
        _clock.Advance(_limits.StoreRetry);
        Assert.False(recorder.IsDegraded);
        Assert.True(table.HasExpired("a0", "p"));
    }
}
