using System.Buffers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Answers;

/// <summary>What is kept, for how long and how much of it, on a manual clock.</summary>
public sealed class AnswerTableTests : IDisposable
{
    private readonly ManualTimeProvider _clock = new();
    private readonly Limits _limits = new() { KeptAnswersMax = 3, KeptBytesMax = 135 << 10, Streams = new StreamLimits { GenerationsMax = 4 } };
    private readonly AnswerTable _table;

    public AnswerTableTests() => _table = new AnswerTable(_limits, _clock);

    public void Dispose() => _table.Dispose();

    private static AnswerIdentity Owner(string? key = null, string body = "body", string principal = "p") =>
        new(principal, key, new RequestFingerprint(body, body), DisconnectPolicy.Default);

    private Answer? Create(string id, AnswerIdentity owner, out Answer? existing) => _table.TryCreate(id, owner, "m", new RequestFigures(_clock), null, out existing);

    private Answer Ended(string id, AnswerIdentity owner, int bytes = 100)
    {
        var answer = Create(id, owner, out _)!;
        answer.Log.Append(new byte[bytes]);
        answer.Log.Complete();
        answer.SetEnded();
        return answer;
    }

    private bool Has(string id) => _table.TryFind(id, "p", out _);

    [Fact]
    public void An_ended_answer_is_kept_for_ten_minutes_and_gives_its_memory_back()
    {
        var answer = Ended("a", Owner("k"));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Ended("b", Owner());
        // An event of 100 bytes, four for its end, and what the answer itself takes.
        Assert.Equal(2 * (104 + _limits.AnswerOverheadBytes), _table.KeptBytes);
        _clock.Advance(_limits.Retention - TimeSpan.FromSeconds(1));
        Assert.Equal((false, true), (Has("a"), Has("b")));
        Assert.True(_table.HasExpired("a", "p") && _table.HasKeyExpired("k", "p"));
        Assert.False(_table.HasExpired("a", "q"));
        Assert.Equal(0, answer.Log.HeldBytes);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((0, 0L), (_table.Count, _table.KeptBytes));
        Assert.Equal(0, _clock.PendingTimerCount);
    }

    [Fact]
    public void An_ended_answer_of_an_earlier_process_is_never_adopted()
    {
        var generation = new Generation("a", _limits.Streams);
        generation.Log.Append(new byte[100]);
        generation.Log.Complete();
        // The clock is younger than the time in which answers are adopted.
        var restored = new Answer(_table, generation, Owner(), "m", new RequestFigures(_clock), _limits, _clock);
        Assert.Equal(AttachOutcome.Gone, restored.TryAttach(0, adopts: true, out _));
        Assert.Equal(AttachOutcome.Attached, restored.TryAttach(0, adopts: false, out var reader));
        reader!.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_is_read_of_another_hub_leaves_this_hubs_own_answer_of_the_id_where_it_is(bool isKept)
    {
        var own = Create("a", Owner("k"), out _)!;
        var followed = new Answer(_table, new Generation("a", _limits.Streams), Owner("k") with { Retention = isKept ? Retention.Memory : Retention.Off }, "m", new RequestFigures(_clock), _limits, _clock);
        followed.Log.Complete();
        followed.SetEnded();
        _table.Disown(followed);
        Assert.Same(own, _table.Find("a"));
        Assert.True(_table.TryFindKey("k", "p", out var keyed));
        Assert.Same(own, keyed);
        Assert.Equal(0, _table.KeptBytes);
    }

    [Fact]
    public void Beyond_the_number_the_one_that_ended_first_goes()
    {
        var first = Create("a", Owner(), out _)!;
        foreach (var id in (string[])["b", "c"]) Ended(id, Owner());
        first.Log.Complete();
        first.SetEnded();
        Ended("d", Owner());
        Assert.Equal((true, false, true, true), (Has("a"), Has("b"), Has("c"), Has("d")));
    }

    [Fact]
    public void Beyond_the_bytes_the_one_that_ended_first_goes()
    {
        Ended("a", Owner(), bytes: 60 << 10);
        Ended("b", Owner(), bytes: 80 << 10);
        Assert.Equal((false, true), (Has("a"), Has("b")));
        Assert.InRange(_table.KeptBytes, 80 << 10, _limits.KeptBytesMax);
        Ended("c", Owner(), bytes: 200 << 10);
        Assert.Equal((0, 0L), (_table.Count, _table.KeptBytes));
    }

    [Fact]
    public void Ended_answers_give_way_to_running_ones_and_running_ones_to_nothing()
    {
        Ended("ended", Owner());
        for (var i = 0; i < 4; i++) Assert.NotNull(Create($"{i}", Owner(), out _));
        Assert.False(Has("ended"));
        Assert.Null(Create("5", Owner(), out var existing));
        Assert.Null(existing);
    }

    [Fact]
    public void A_key_belongs_to_a_principal_and_to_what_did_not_break_off()
    {
        var answer = Create("a", Owner("k"), out _)!;
        Assert.Null(Create("b", Owner("k"), out var existing));
        Assert.Same(answer, existing);
        Assert.NotNull(Create("c", Owner("k", principal: "q"), out _));
        answer.Log.Cancel();
        Assert.Null(Create("d", Owner("k", "another body"), out existing));
        Assert.Same(answer, existing);
        Assert.NotNull(Create("e", Owner("k"), out _));
        Assert.True(Has("a"));
    }

    [Fact]
    public void An_answer_that_goes_while_it_is_read_stays_until_the_reader_has_left()
    {
        var answer = Ended("a", Owner());
        Assert.Equal(AttachOutcome.Attached, answer.TryAttach(0, adopts: false, out var reader));
        _table.Delete(answer);
        Assert.True(answer.Log.HeldBytes > 0);
        Assert.Equal(AttachOutcome.Gone, answer.TryAttach(0, adopts: false, out _));
        reader!.Dispose();
        Assert.Equal(0, answer.Log.HeldBytes);
        Assert.Equal((0, 0L), (_table.Count, _table.KeptBytes));
    }

    [Fact]
    public void An_orphan_is_adopted_once_and_for_fifteen_seconds()
    {
        var owner = Owner() with { OnDisconnect = DisconnectPolicy.Continue };
        var answer = Create("a", owner, out _)!;
        Orphan(answer);
        Assert.Null(_table.TakeOrphan(Owner(body: "another")));
        Assert.Null(_table.TakeOrphan(Owner(principal: "q")));
        Assert.Same(answer, _table.TakeOrphan(owner));
        Assert.Null(_table.TakeOrphan(owner));
        Assert.Equal(AttachOutcome.Attached, answer.TryAttach(0, adopts: true, out var reader));
        Assert.Equal(AttachOutcome.Gone, answer.TryAttach(0, adopts: true, out _));
        reader!.Dispose();
        _clock.Advance(TimeSpan.FromSeconds(15.1));
        Assert.Same(answer, _table.TakeOrphan(owner));
        Assert.Equal(AttachOutcome.Gone, answer.TryAttach(0, adopts: true, out _));
    }

    [Fact]
    public void An_orphan_is_adopted_only_by_a_request_that_wants_it_kept_as_much()
    {
        var owner = Owner() with { OnDisconnect = DisconnectPolicy.Continue };
        var kept = Create("kept", owner, out _)!;
        Orphan(kept);
        Assert.Null(_table.TakeOrphan(owner with { Retention = Retention.Off }));
        var off = Create("off", owner with { Retention = Retention.Off }, out _)!;
        Orphan(off);
        Assert.Same(kept, _table.TakeOrphan(owner));
        Assert.Null(_table.TakeOrphan(owner));
        Assert.Same(off, _table.TakeOrphan(owner with { Retention = Retention.Off }));
    }

    [Fact]
    public void A_local_answer_with_a_key_is_suspended_after_a_minute_or_two_thousand_tokens_and_an_upstreams_is_not()
    {
        foreach (var (name, isTime, isLocal) in (IEnumerable<(string, bool, bool)>)[("local", true, true), ("local", false, true), ("http://up", true, false), ("http://up", false, false)])
        {
            var answer = Create(name + isTime, Owner($"{name}{isTime}"), out _)!;
            answer.Record.BeginAttempt(new UpstreamIdentity(name, "x", "m"), "m");
            var work = new ScriptedWork();
            if (isLocal) answer.Production!.Begin(work);
            answer.Production!.AddContent();
            Orphan(answer);
            for (var i = 0; i < 1_999; i++) answer.Production!.AddContent();
            if (isTime) _clock.Advance(TimeSpan.FromSeconds(59.9));
            Assert.Equal(("detached", false), (answer.State, work.IsTold));
            if (isTime) _clock.Advance(TimeSpan.FromSeconds(0.1));
            else answer.Production!.AddContent();
            Assert.Equal((isLocal, null), (work.IsTold, answer.Generation.CancellationCause));
            Assert.False(answer.IsBroken);
        }
    }

    [Fact]
    public async Task What_must_not_be_kept_ends_when_its_budget_has_stopped_it()
    {
        var answer = Create("a", Owner("k") with { Retention = Retention.Off }, out _)!;
        var work = new ScriptedWork();
        answer.Production!.Begin(work);
        Orphan(answer);
        for (var i = 0; i < 2_000; i++) answer.Production.AddContent();
        Assert.Equal((true, null), (work.IsTold, answer.Generation.CancellationCause));
        answer.SetSuspended(Snapshot());
        Assert.Equal(CancellationCause.ClientLeft, answer.Generation.CancellationCause);
        await answer.Produced;
        Assert.Equal(("cancelled", false), (answer.State, Has("a")));
    }

    [Fact]
    public async Task A_cancel_that_overtakes_a_suspension_ends_the_answer_all_the_same()
    {
        var answer = Create("a", Owner("k"), out _)!;
        answer.Production!.Begin(new ScriptedWork());
        answer.Cancel(CancellationCause.Shutdown);
        answer.SetSuspended(Snapshot());
        Assert.False(answer.IsSuspended);
        await answer.Produced;
        Assert.Equal("failed", answer.State);
    }

    [Fact]
    public void One_that_is_taken_up_at_once_is_not_kept_among_the_suspended()
    {
        for (var i = 0; i < 3; i++)
        {
            var answer = Create($"{i}", Owner($"k{i}"), out _)!;
            Assert.True(answer.TryHold());
            answer.SetSuspended(Snapshot());
            Assert.NotNull(answer.TakeUp());
            Assert.Null(answer.TakeUp());
            // However late it hears of it.
            _table.Place(answer);
        }
        _clock.Advance(_limits.SuspendedRetention);
        Assert.Equal((3, 3), (_table.Count, _table.RunningCount));
    }

    // Between the go-ahead and its reader an answer may be made as far as its budget goes.
    [Fact]
    public void A_reader_that_comes_when_the_budget_has_stopped_its_answer_is_sent_away_and_one_of_two_not_while_it_goes_on()
    {
        var limiter = new Limiter(_clock, new RandomSource(1));
        var limits = new LimitOptions { Budgets = [new BudgetOptions(BudgetUnit.Tokens, 5, BudgetPeriod.Day)] };
        var account = limiter.CreateAccount(new KeyOptions("k", "secret") { Limits = limits, OnExhausted = ExhaustedPolicy.Suspend }, "k", [], LimitOptions.None);
        var hold = limiter.TryBegin(account, "m", 1, null, 1).Hold!;
        var answer = Create("a", Owner("k"), out _)!;
        answer.Record.Hold = hold;
        Assert.True(answer.TryHold());
        answer.Log.Append(new byte[1]);
        while (hold.TryTake())
        {
        }
        answer.SetSuspended(Snapshot());
        Assert.Equal(AttachOutcome.Attached, answer.TryAttach(0, adopts: false, out var late));
        var read = new ArrayBufferWriter<byte>();
        Assert.Equal((ReadOutcome.Events, ReadOutcome.Dismissed), (late!.Cursor.TryRead(read, 9), late.Cursor.TryRead(read, 9)));
        Assert.Equal("insufficient_quota", Assert.IsType<ApiError>(late.Cursor.Dismissal!.Failure).Code);

        Assert.NotNull(answer.TryTakeTurn(out _));
        answer.TryAttach(1, adopts: false, out var early);
        Assert.Equal(ReadOutcome.NothingYet, early!.Cursor.TryRead(read, 9));
    }

    private static AnswerSnapshot Snapshot() => new()
    {
        ModelId = "m",
        ModelName = "m",
        Body = """{"model":"m","messages":[{"role":"user","content":"?"}]}"""u8.ToArray(),
        Created = 0,
        RenderedAt = DateTimeOffset.UnixEpoch,
        Seed = 0,
    };

    [Fact]
    public void A_reader_that_comes_back_ends_the_time_of_grace()
    {
        var answer = Create("a", Owner("k"), out _)!;
        var work = new ScriptedWork();
        answer.Production!.Begin(work);
        Orphan(answer);
        _clock.Advance(TimeSpan.FromSeconds(59));
        answer.TryAttach(0, adopts: false, out var reader);
        _clock.Advance(TimeSpan.FromSeconds(120));
        for (var i = 0; i < 3_000; i++) answer.Production!.AddContent();
        Assert.Equal(("running", false), (answer.State, work.IsTold));
        reader!.Dispose();
        _clock.Advance(TimeSpan.FromSeconds(60));
        Assert.True(work.IsTold);
    }

    // Beyond its bound an answer gives its count back, whatever has become of it.
    [Fact]
    public void Ten_thousand_answers_hold_no_more_than_the_bounds()
    {
        for (var i = 0; i < 10_000; i++) Ended($"{i}", Owner(i % 2 == 0 ? $"k{i}" : null));
        Assert.Equal(3, _table.Count);
        Assert.InRange(_table.KeptBytes, 1, _limits.KeptBytesMax);
    }

    private void Orphan(Answer answer)
    {
        answer.TryAttach(0, adopts: false, out var reader);
        reader!.Dispose();
    }
}
