using System.Buffers;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Server.Answers;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;
using Sluice.Testing;
using Sluice.Tests.Server.Storage;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>How answers get into a store and what becomes of them when it fails, on one thread and a manual clock.</summary>
public sealed class AnswerRecorderTests : IDisposable
{
    private readonly ManualTimeProvider _clock = new();
    private readonly Limits _limits = new() { HotBytesMax = 40_000, HotBytesMin = 1_000, StoreBatchBytes = 30_000, Streams = new StreamLimits { HotBytes = 10_000, SegmentBytes = 1_024 } };
    private readonly MemoryAnswerStore _store;
    private readonly List<AnswerTable> _tables = [];
    private string? _fault;
    private Action? _onCommit;
    private AnswerRecorder _recorder = null!;

    public AnswerRecorderTests() => _store = new MemoryAnswerStore(step =>
    {
        if (step == "commit") _onCommit?.Invoke();
        if (step == _fault) throw new StoreException(StoreFault.Failed, "The disk is gone.");
    });

    public void Dispose() => _tables.ForEach(table => table.Dispose());

    private async Task<AnswerTable> StartAsync()
    {
        _recorder = new AnswerRecorder(_store, _limits, 200_000, _clock, NullLogger.Instance);
        _tables.Add(new AnswerTable(_limits, _clock, _recorder));
        await _tables[^1].StartAsync(CancellationToken.None);
        return _tables[^1];
    }

    private Answer? Begin(AnswerTable table, string id, string? key = null, Retention keeping = Retention.Store, int bodyBytes = 4)
    {
        var owner = new AnswerIdentity("p", key, new RequestFingerprint("raw", "canonical"), DisconnectPolicy.Default) { Retention = keeping };
        var answer = table.TryCreate(id, owner, "m", new RequestFigures(_clock), null, out _);
        if (answer is not null) table.Record(answer, Encoding.ASCII.GetBytes("body".PadRight(bodyBytes)));
        return answer;
    }

    private static byte[] Event(string id, int number) => Encoding.ASCII.GetBytes($"data: {id}{number} {new string('.', number % 50)}\n\n");

    private static void Append(Answer answer, int first, int count)
    {
        for (var number = first; number < first + count; number++) answer.Log.Append(Event(answer.Id, number));
    }

    private static string Events(string id, int count) => string.Concat(Enumerable.Range(0, count).Select(number => Encoding.ASCII.GetString(Event(id, number))));

    private static void End(Answer answer)
    {
        answer.Record.SetUsage(new AnswerUsage(3, 0, 4), isEstimated: false);
        answer.Log.Complete();
        answer.SetEnded();
    }

    private static async Task<string> ReadAsync(Answer answer, long position = 0)
    {
        using var reader = answer.Log.TryOpenReader(position)!;
        var output = new ArrayBufferWriter<byte>();
        while (true)
        {
            switch (reader.TryRead(output, 1_000))
            {
                case ReadOutcome.Events:
                    break;
                case ReadOutcome.Spilled when await reader.ReadSpilledAsync(output, 1_000):
                    break;
                case ReadOutcome.NothingYet or ReadOutcome.Ended:
                    return Encoding.ASCII.GetString(output.WrittenSpan);
                case var lost:
                    return $"{lost} after {output.WrittenCount}";
            }
        }
    }

    private async Task<string> StoredAsync(string id)
    {
        var output = new ArrayBufferWriter<byte>();
        await _store.ReadAsync(id, 0, output, null, int.MaxValue, CancellationToken.None);
        return Encoding.ASCII.GetString(output.WrittenSpan);
    }

    private void Tick() => _clock.Advance(_limits.StoreInterval);

    [Fact]
    public async Task One_commit_a_tenth_of_a_second_for_all_that_came_to_all()
    {
        var table = await StartAsync();
        var answers = Enumerable.Range(0, 10).Select(number => Begin(table, $"a{number}")!).ToArray();
        foreach (var answer in answers) Append(answer, 0, 5);
        Assert.Equal(0, _store.CommitCount);
        Tick();
        Assert.Equal(1, _store.CommitCount);
        foreach (var answer in answers) Assert.Equal((Events(answer.Id, 5), 5L), (await StoredAsync(answer.Id), answer.Log.StoredEvents));
        Tick();
        Assert.Equal(1, _store.CommitCount);
        Append(answers[3], 5, 1);
        Tick();
        Assert.Equal((2, Events("a3", 6)), (_store.CommitCount, await StoredAsync("a3")));
        foreach (var answer in answers) End(answer);
        Tick();
        Assert.Equal(3, _store.CommitCount);
        Assert.All((await _store.LoadAsync(default)).Answers, stored => Assert.Equal(StreamEndKind.Completed, stored.End!.Kind));
        // The time to expire is all that is waited for.
        Assert.Equal(1, _clock.PendingTimerCount);
    }

    [Fact]
    public async Task Appending_allocates_nothing_for_the_store()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a")!;
        var text = Event("a", 7);
        void Work()
        {
            for (var i = 0; i < 400; i++) answer.Log.Append(text);
        }

        // The store takes it in between, so that the log is in its steady state.
        var least = long.MaxValue;
        for (var round = 0; round < 20; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Work();
            least = long.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            Tick();
        }
        // Segments come from the pool of the process, which has them from the rounds before.
        Assert.InRange(least, 0, 400 * 4);
        Assert.Equal(8_000, answer.Log.StoredEvents);
    }

    [Fact]
    public async Task Beyond_the_hot_bound_events_are_in_the_store_and_every_reader_gets_them()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a")!;
        Append(answer, 0, 1_000);
        // What the store has not got stays.
        Assert.Equal(0, answer.Log.FirstEvent);
        Assert.True(answer.Log.RetainedBytes > _limits.Streams.HotBytes);
        Tick();
        Assert.True(answer.Log.FirstEvent > 0);
        Assert.InRange(answer.Log.RetainedBytes, 1, _limits.Streams.HotBytes);
        foreach (var position in (int[])[0, 1, 500, 999, 1_000]) Assert.Equal(Events("a", 1_000)[Events("a", position).Length..], await ReadAsync(answer, position));
        Append(answer, 1_000, 500);
        Assert.Equal(Events("a", 1_500), await ReadAsync(answer));
    }

    [Fact]
    public async Task A_producer_that_can_wait_waits_for_the_store_and_for_no_reader()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a")!;
        using var reader = answer.Log.TryOpenReader()!;
        Append(answer, 0, 100);
        Assert.Null(answer.Log.FindLag(1_000));
        Append(answer, 100, 200);
        var lag = answer.Log.FindLag(1_000)!;
        Assert.False(lag.IsCompleted);
        Tick();
        Assert.True(lag.IsCompleted);
        Assert.Null(answer.Log.FindLag(1_000));
        // One that is larger than the bound is waited for by nobody when all else is stored.
        Assert.Null(answer.Log.FindLag(1 << 20));
    }

    private static AnswerSnapshot Progress(long eventCount) => new()
    {
        ModelId = "local",
        ModelName = "m",
        Body = "body"u8.ToArray(),
        Created = 7,
        RenderedAt = new DateTimeOffset(2026, 1, 1, 1, 0, 0, TimeSpan.FromHours(1)),
        Seed = ulong.MaxValue - 1,
        EventCount = eventCount,
        Progress = new GenerationProgress("identity", ulong.MaxValue, [s_choice]),
    };

    private static readonly ChoiceProgress s_choice = new()
    {
        Tokens = [1, 2, 70_000],
        OutputDigest = 5,
        Finish = FinishReason.Length,
        IsCallForced = true,
        CachedPromptTokens = 4,
        ReachedPromptTokens = 20,
        EchoedCount = 3,
        Held = [new TokenLogprob(9, default, -0.1f, [new TokenAlternative(9, default, -0.1f), new TokenAlternative(4, default, float.NegativeInfinity)])],
    };

    private async Task<AnswerTable> RestartAsync()
    {
        _recorder.Dispose();
        _recorder = new AnswerRecorder(_store, _limits, 200_000, _clock, NullLogger.Instance);
        var table = new AnswerTable(_limits, _clock, _recorder);
        _tables.Add(table);
        await table.StartAsync(CancellationToken.None);
        return table;
    }

    [Fact]
    public async Task What_the_engine_makes_is_suspended_after_a_restart_where_its_progress_was_and_events_beyond_it_are_made_again()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", "k")!;
        var known = 5L;
        answer.Production!.Begin(new ScriptedWork(() => Progress(known)));
        Append(answer, 0, 8);
        Tick();
        // No event without the progress that accounts for it.
        Assert.Equal(Events("a", 5), await StoredAsync("a"));
        known = 8;
        Tick();
        Assert.Equal(Events("a", 8), await StoredAsync("a"));
        // The engine is done, and the end isn't there yet: these have no progress any more.
        answer.Production!.Close();
        Append(answer, 8, 4);
        Tick();
        Assert.Equal(Events("a", 12), await StoredAsync("a"));

        _clock.Advance(TimeSpan.FromMinutes(40));
        table = await RestartAsync();
        Assert.True(table.TryFindKey("k", "p", out var found));
        Assert.Equal(("suspended", 8L, 0), (found.State, found.Log.EventCount, table.RunningCount));
        Assert.Equal(Progress(8).Write().ToArray(), found.Suspended!.Write().ToArray());
        Assert.Equal("body", Encoding.ASCII.GetString(found.Suspended.Body.Span));
        // It goes when its time since then is over, and not a restart later.
        _clock.Advance(TimeSpan.FromMinutes(15));
        table = await RestartAsync();
        Assert.True(table.TryFind("a", "p", out _));
        _clock.Advance(TimeSpan.FromMinutes(5));
        Assert.True(table.HasExpired("a", "p"));
        Tick();
        Assert.Empty((await _store.LoadAsync(default)).Answers);
    }

    [Fact]
    public async Task What_a_suspended_answer_took_is_known_after_a_restart_and_of_one_that_was_cut_off_about()
    {
        var table = await StartAsync();
        var (suspended, cut) = (Begin(table, "suspended")!, Begin(table, "cut")!);
        foreach (var answer in (Answer[])[suspended, cut])
        {
            answer.Production!.Begin(new ScriptedWork(() => Progress(5)));
            Append(answer, 0, 5);
        }
        Tick();
        // Its events and its progress are in the store already.
        suspended.Record.SetUsage(new AnswerUsage(20, 4, 3, 2), isEstimated: false);
        suspended.Production!.Suspend(Progress(5));
        suspended.Production!.Close();
        Tick();
        for (var restart = 0; restart < 2; restart++)
        {
            table = await RestartAsync();
            Assert.True(table.TryFind("suspended", "p", out var found));
            Assert.Equal((new AnswerUsage(20, 4, 3, 2), false), (found.Record.Usage, found.Record.IsUsageEstimated));
            Assert.True(table.TryFind("cut", "p", out found));
            Assert.Equal((new AnswerUsage(20, 4, 3), true), (found.Record.Usage, found.Record.IsUsageEstimated));
            Tick();
        }
    }

    [Fact]
    public async Task Requests_that_the_store_has_not_got_count_for_the_memory_and_for_the_size_of_a_commit()
    {
        var table = await StartAsync();
        _fault = "commit";
        for (var number = 0; number < 9; number++) Assert.NotNull(Begin(table, $"a{number}", bodyBytes: 10_000));
        Tick();
        Assert.True(_recorder.IsFull);
        Assert.Null(Begin(table, "another"));
        _fault = null;
        _clock.Advance(_limits.StoreRetry);
        Assert.False(_recorder.IsFull);
        Assert.Equal((9, 3), (_store.AnswerCount, _store.CommitCount));
    }

    [Fact]
    public async Task Several_choices_are_not_gone_on_with_after_a_restart_for_they_may_interleave_otherwise()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", "k")!;
        var one = Progress(4);
        answer.Production!.Begin(new ScriptedWork(() => one with { Progress = one.Progress! with { Choices = [one.Progress.Choices[0], one.Progress.Choices[0]] } }));
        Append(answer, 0, 4);
        Tick();
        table = await RestartAsync();
        Assert.True(table.TryFind("a", "p", out var found));
        Assert.Equal(("failed", true), (found.State, found.IsLost));
    }

    [Fact]
    public async Task A_client_that_has_seen_more_than_the_store_waits_until_it_is_made_again()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", "k")!;
        answer.Production!.Begin(new ScriptedWork(() => Progress(8)));
        Append(answer, 0, 8);
        Tick();
        table = await RestartAsync();
        Assert.True(table.TryFind("a", "p", out var found) && found.TryHold());
        found.TakeUp()!.Value.Production.Begin(new ScriptedWork(() => Progress(18)));
        var reaching = found.ReachAsync(10, CancellationToken.None);
        // Longer than a cursor may be ahead of a stream that says something.
        _clock.Advance(_limits.CursorWait * 3);
        Assert.False(reaching.IsCompleted);
        Append(found, 8, 4);
        Assert.True(await reaching);
        found.Release();
    }

    [Fact]
    public async Task Whoever_goes_on_after_a_restart_makes_the_events_beyond_the_progress_again_and_nobody_sees_them_twice()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", "k")!;
        answer.Production!.Begin(new ScriptedWork(() => Progress(8)));
        Append(answer, 0, 8);
        Tick();
        answer.Production!.Close();
        Append(answer, 8, 4);
        Tick();
        table = await RestartAsync();
        Assert.True(table.TryFind("a", "p", out var found) && found.TryHold());
        found.TakeUp()!.Value.Production.Begin(new ScriptedWork(() => Progress(18)));
        Append(found, 8, 10);
        Tick();
        Assert.Equal((Events("a", 18), Events("a", 18)), (await ReadAsync(found), await StoredAsync("a")));
        End(found);
        Tick();
        table = await RestartAsync();
        Assert.True(table.TryFind("a", "p", out found));
        Assert.Equal(("completed", Events("a", 18)), (found.State, await ReadAsync(found)));
    }

    [Fact]
    public async Task What_is_not_to_be_kept_is_not_suspended_but_ends()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", keeping: Retention.Off)!;
        var work = new ScriptedWork(() => Progress(0));
        answer.Production!.Begin(work);
        Assert.Equal(AttachOutcome.Attached, answer.TryAttach(0, adopts: false, out var reader));
        answer.Detach(null!, hasSent: true);
        Assert.Equal((CancellationCause.ClientLeft, false), (answer.Generation.CancellationCause, work.IsTold));
        Assert.NotNull(reader);
    }

    [Fact]
    public async Task Beyond_the_bound_of_all_answers_they_share_it_and_new_ones_begin()
    {
        var table = await StartAsync();
        var answers = Enumerable.Range(0, 10).Select(number => Begin(table, $"a{number}")!).ToArray();
        foreach (var answer in answers) Append(answer, 0, 300);
        Tick();
        Assert.InRange(answers.Sum(answer => answer.Log.RetainedBytes), 1, _limits.HotBytesMax);
        Assert.False(_recorder.IsFull);
        foreach (var answer in answers) Assert.Equal(Events(answer.Id, 300), await ReadAsync(answer));
        Assert.NotNull(Begin(table, "another"));
    }

    [Fact]
    public async Task While_the_store_fails_nothing_is_dropped_and_beyond_the_memory_new_answers_are_refused()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a")!;
        _fault = "commit";
        Append(answer, 0, 500);
        Tick();
        Assert.True(_recorder.IsDegraded && table.IsStoreDegraded && !_recorder.IsFull);
        Append(answer, 500, 1_500);
        _clock.Advance(_limits.StoreRetry);
        Assert.True(_recorder.IsFull);
        Assert.Null(Begin(table, "b"));
        Assert.Equal(Events("a", 2_000), await ReadAsync(answer));
        _fault = null;
        _clock.Advance(_limits.StoreRetry);
        Assert.False(_recorder.IsDegraded || _recorder.IsFull);
        Assert.NotNull(Begin(table, "b"));
        Assert.Equal(Events("a", 2_000), await StoredAsync("a"));
        Assert.InRange(answer.Log.RetainedBytes, 1, _limits.Streams.HotBytes);
    }

    [Fact]
    public async Task A_commit_that_succeeded_unknown_is_made_again_without_a_double()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a")!;
        Append(answer, 0, 10);
        _fault = "committed";
        Tick();
        Append(answer, 10, 10);
        _fault = null;
        _clock.Advance(_limits.StoreRetry);
        Assert.Equal(Events("a", 20), await StoredAsync("a"));
        Assert.Equal(20, answer.Log.StoredEvents);
    }

    [Fact]
    public async Task What_the_store_can_not_read_loses_its_reader_its_place_and_no_more()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a")!;
        Append(answer, 0, 1_000);
        Tick();
        _fault = "read";
        Assert.Equal("Spilled after 0", await ReadAsync(answer));
        _fault = null;
        Assert.Equal(Events("a", 1_000), await ReadAsync(answer));
    }

    [Fact]
    public async Task After_a_restart_answers_are_there_by_id_and_by_key_for_the_rest_of_their_time()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", "k")!;
        Append(answer, 0, 100);
        End(answer);
        Tick();
        _clock.Advance(TimeSpan.FromMinutes(4));
        table = await StartAsync();
        Assert.True(table.TryFind("a", "p", out var found) && table.TryFindKey("k", "p", out var same) && found == same);
        Assert.Equal(("completed", answer.Created, 0L, new AnswerUsage(3, 0, 4)), (found.State, found.Created, found.Log.HeldBytes, found.Record.Usage));
        Assert.Equal(Events("a", 100), await ReadAsync(found));
        Assert.False(table.TryFind("a", "somebody else", out _));
        _clock.Advance(TimeSpan.FromMinutes(6));
        Assert.False(table.TryFind("a", "p", out _));
        Assert.True(table.HasExpired("a", "p") && table.HasKeyExpired("k", "p"));
        Tick();
        table = await StartAsync();
        Assert.True(table.HasExpired("a", "p") && table.HasKeyExpired("k", "p") && !table.HasExpired("a", "q"));
        _clock.Advance(TimeSpan.FromHours(24));
        Assert.False(table.HasExpired("a", "p") || table.HasKeyExpired("k", "p"));
        Assert.False((await StartAsync()).HasExpired("a", "p"));
    }

    [Fact]
    public async Task What_expired_while_nobody_served_has_expired()
    {
        var table = await StartAsync();
        End(Begin(table, "a", "k")!);
        Tick();
        _tables[0].Dispose();
        _recorder.Dispose();
        _clock.Advance(TimeSpan.FromHours(1));
        table = await StartAsync();
        Assert.False(table.TryFind("a", "p", out _));
        Assert.True(table.HasExpired("a", "p"));
        Tick();
        Assert.Empty((await _store.LoadAsync(default)).Answers);
    }

    [Fact]
    public async Task An_answer_that_was_cut_off_is_lost_but_for_what_there_is_of_it()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", "k")!;
        Append(answer, 0, 10);
        Tick();
        Append(answer, 10, 10);
        table = await StartAsync();
        Assert.True(table.TryFind("a", "p", out var found));
        Assert.Equal(("failed", true, true, 10L), (found.State, found.IsLost, found.IsBroken, found.Log.EventCount));
        Assert.Equal(Events("a", 10), await ReadAsync(found));
        // Its key is free for another attempt.
        Assert.NotNull(Begin(table, "b", "k"));
        Tick();
        table = await StartAsync();
        Assert.True(table.TryFind("a", "p", out found) && found.IsLost);
        Assert.True(table.TryFindKey("k", "p", out var other) && other.Id == "b");
    }

    [Fact]
    public async Task What_is_deleted_leaves_nothing()
    {
        var table = await StartAsync();
        var running = Begin(table, "running")!;
        var ended = Begin(table, "ended")!;
        Append(running, 0, 10);
        End(ended);
        Tick();
        table.Delete(running);
        table.Delete(ended);
        Assert.True(await table.FlushRemovalsAsync());
        running.Log.Cancel();
        running.SetEnded();
        Tick();
        Assert.Equal((0, 0), ((await _store.LoadAsync(default)).Answers.Count, (await _store.LoadAsync(default)).Tombstones.Count));
        Assert.Equal(0, _recorder.StoredBytes);
        _fault = "commit";
        End(Begin(table, "c")!);
        Assert.False(await _recorder.FlushAsync());
    }

    [Fact]
    public async Task What_is_deleted_is_gone_before_all_that_is_new_is_there()
    {
        var table = await StartAsync();
        var old = Begin(table, "old")!;
        End(old);
        Tick();
        _fault = null;
        table.Delete(old);
        // More than one commit takes, and the second one fails.
        var answer = Begin(table, "new")!;
        var count = 0;
        _onCommit = () => { if (++count == 2) throw new StoreException(StoreFault.Failed, "The disk is gone."); };
        Append(answer, 0, 5);
        Assert.True(await table.FlushRemovalsAsync());
        _onCommit = null;
    }

    [Fact]
    public async Task What_is_not_to_be_kept_never_gets_there_and_goes_with_its_readers()
    {
        var table = await StartAsync();
        var answer = Begin(table, "a", "k", Retention.Off)!;
        Append(answer, 0, 3);
        Tick();
        Assert.True(table.TryFind("a", "p", out _));
        var reader = answer.Log.TryOpenReader()!;
        End(answer);
        Tick();
        Assert.False(table.TryFind("a", "p", out _) || table.TryFindKey("k", "p", out _) || table.HasExpired("a", "p"));
        Assert.Empty((await _store.LoadAsync(default)).Answers);
        reader.Dispose();
    }

    [Fact]
    public async Task Memory_of_ended_answers_is_given_back_before_they_are()
    {
        await StartAsync();
        var small = new AnswerTable(_limits with { KeptBytesMax = 100_000 }, _clock, _recorder);
        _tables.Add(small);
        for (var number = 0; number < 30; number++)
        {
            var answer = Begin(small, $"b{number}")!;
            Append(answer, 0, 100);
            End(answer);
            Tick();
        }
        Assert.Equal(30, small.Count);
        Assert.InRange(small.KeptBytes, 1, 100_000);
        for (var number = 0; number < 30; number++)
        {
            Assert.True(small.TryFind($"b{number}", "p", out var answer));
            Assert.Equal(Events($"b{number}", 100), await ReadAsync(answer));
        }
    }

    [Fact]
    public async Task A_crowded_store_lets_go_of_what_ended_first()
    {
        var table = await StartAsync();
        for (var number = 0; number < 100; number++)
        {
            var answer = Begin(table, $"a{number}")!;
            Append(answer, 0, 100);
            End(answer);
            Tick();
        }
        Assert.InRange(_recorder.StoredBytes, 150_000, 200_000);
        Assert.True(table.HasExpired("a0", "p") && table.TryFind("a99", "p", out _));
        Assert.Equal((await _store.LoadAsync(default)).Answers.Sum(answer => answer.ByteCount), _recorder.StoredBytes);
    }

    [Fact]
    public async Task What_is_much_goes_in_several_commits_at_once()
    {
        var table = await StartAsync();
        var answers = Enumerable.Range(0, 4).Select(number => Begin(table, $"a{number}")!).ToArray();
        foreach (var answer in answers) Append(answer, 0, 700);
        Tick();
        Assert.InRange(_store.CommitCount, 3, 10);
        foreach (var answer in answers) Assert.Equal(Events(answer.Id, 700), await StoredAsync(answer.Id));
    }
}
