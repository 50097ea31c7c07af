using System.Buffers;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Storage;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>What every store has to hold to. A store's tests inherit from here and say how it is made.</summary>
public abstract class AnswerStoreConformance : IAsyncLifetime
{
    private static readonly DateTimeOffset s_now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private IAnswerStore _store = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>A store with what the one before it had.</summary>
    private protected abstract IAnswerStore Create();

    public virtual async ValueTask InitializeAsync() => await ReopenAsync();

    public virtual async ValueTask DisposeAsync()
    {
        // A test that is left out has none.
        if (_store is not null) await _store.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected static AnswerIdentity Owner(string? key = null) => new("principal", key, new RequestFingerprint("raw", "canonical"), DisconnectPolicy.Continue);

    private protected static StoredAnswer Answer(string id, string? key = null) => new(id, Owner(key), "model", 1_700_000_000);

    // Events of different lengths, of characters of one and of several bytes.
    private protected static string Event(int number) => $"data: {number} {new string('é', number % 7)}\n\n";

    private protected static AnswerChange Change(string id, int first, int count, bool begins = false, StoredEnd? end = null, string? progress = null, int minute = 0)
    {
        var (events, ends) = (new ArrayBufferWriter<byte>(), new List<int>());
        for (var number = first; number < first + count; number++)
        {
            events.Write(Encoding.UTF8.GetBytes(Event(number)));
            ends.Add(events.WrittenCount);
        }
        return new AnswerChange(id, first)
        {
            Begun = begins ? (Answer(id, "key of " + id), Encoding.UTF8.GetBytes("body of " + id)) : null,
            Events = events.WrittenMemory,
            Ends = ends,
            Progress = progress is null ? (ReadOnlyMemory<byte>?)null : Encoding.UTF8.GetBytes(progress),
            At = s_now.AddMinutes(minute),
            End = end,
        };
    }

    private protected static StoredEnd Completed { get; } = new(StreamEndKind.Completed, null, new AnswerUsage(7, 1, 5, 2), false, s_now);

    private async Task ReopenAsync()
    {
        if (_store is not null) await _store.DisposeAsync();
        _store = Create();
        await _store.OpenAsync(Cancellation);
    }

    private Task CommitAsync(params AnswerChange[] changes) => CommitAsync(changes, [], []);

    private async Task CommitAsync(AnswerChange[] changes, StoredTombstone[] expired, string[] deleted, DateTimeOffset? tracesBefore = null)
    {
        var batch = new StoreBatch { TracesBefore = tracesBefore };
        batch.Changes.AddRange(changes);
        batch.Expired.AddRange(expired);
        batch.Deleted.AddRange(deleted);
        await _store.CommitAsync(batch, Cancellation);
    }

    private async Task<string> ReadAsync(string id, long position = 0, int bytesMax = 64 << 10)
    {
        var output = new ArrayBufferWriter<byte>();
        while (await _store.ReadAsync(id, position, output, null, bytesMax, Cancellation) is > 0 and var count) position += count;
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string Events(int first, int count) => string.Concat(Enumerable.Range(first, count).Select(Event));

    private async Task<StoredAnswer> LoadOneAsync() => Assert.Single((await _store.LoadAsync(Cancellation)).Answers);

    [Fact]
    public async Task An_empty_store_has_nothing()
    {
        var contents = await _store.LoadAsync(Cancellation);
        Assert.Empty(contents.Answers);
        Assert.Empty(contents.Tombstones);
        Assert.Equal("", await ReadAsync("a"));
        Assert.Null(await _store.FindRequestAsync("a", Cancellation));
    }

    [Fact]
    public async Task What_was_committed_is_there_after_the_store_was_opened_again()
    {
        await CommitAsync(Change("a", 0, 3, begins: true));
        await CommitAsync(Change("a", 3, 4, end: Completed));
        await ReopenAsync();
        var answer = await LoadOneAsync();
        Assert.Equal(Answer("a", "key of a") with { EventCount = 7, ByteCount = Encoding.UTF8.GetByteCount(Events(0, 7) + "body of a"), End = Completed, ChangedAt = s_now }, answer);
        Assert.Equal(Events(0, 7), await ReadAsync("a"));
        Assert.Equal("body of a", Encoding.UTF8.GetString((await _store.FindRequestAsync("a", Cancellation))!.Body));
    }

    [Fact]
    public async Task A_failure_comes_back_with_all_that_it_says()
    {
        var failure = new ApiError(429, "Zu viel: \"é\"", "requests", "messages[0]", "rate_limit") { RetryAfter = TimeSpan.FromSeconds(3), ShouldRetry = false };
        var end = new StoredEnd(StreamEndKind.Failed, failure, null, true, s_now);
        await CommitAsync(Change("a", 0, 1, begins: true, end: end));
        Assert.Equal(end, (await LoadOneAsync()).End);
    }

    [Fact]
    public async Task An_answer_without_an_end_has_none_and_its_progress_is_the_last_one()
    {
        await CommitAsync(Change("a", 0, 1, begins: true, progress: "one"));
        await CommitAsync(Change("a", 1, 1, progress: "two", minute: 1));
        await CommitAsync(Change("a", 2, 1, minute: 2));
        var answer = await LoadOneAsync();
        Assert.Equal((null, true, 3L, s_now.AddMinutes(1)), (answer.End, answer.HasProgress, answer.EventCount, answer.ChangedAt));
        Assert.Equal("two", Encoding.UTF8.GetString((await _store.FindRequestAsync("a", Cancellation))!.Progress!));
    }

    [Fact]
    public async Task Progress_that_is_taken_away_is_gone()
    {
        await CommitAsync(Change("a", 0, 1, begins: true, progress: "one"));
        await CommitAsync(Change("a", 1, 1, progress: ""));
        Assert.False((await LoadOneAsync()).HasProgress);
        Assert.Null((await _store.FindRequestAsync("a", Cancellation))!.Progress);
    }

    [Fact]
    public async Task The_end_takes_the_progress_away()
    {
        await CommitAsync(Change("a", 0, 1, begins: true, progress: "one"));
        await CommitAsync(Change("a", 1, 1, end: Completed));
        Assert.False((await LoadOneAsync()).HasProgress);
        Assert.Null((await _store.FindRequestAsync("a", Cancellation))!.Progress);
    }

    [Fact]
    public async Task Events_that_are_made_again_from_within_a_run_are_the_same_ones()
    {
        await CommitAsync(Change("a", 0, 10, begins: true));
        await CommitAsync(Change("a", 10, 10));
        await CommitAsync(Change("a", 15, 2));
        await CommitAsync(Change("a", 17, 10));
        await CommitAsync(Change("a", 27, 3));
        for (var position = 0; position <= 30; position++) Assert.Equal(Events(position, 30 - position), await ReadAsync("a", position));
        Assert.Equal(30, (await LoadOneAsync()).EventCount);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    [InlineData(1000)]
    public async Task From_every_position_whole_events_are_read_in_slices(int bytesMax)
    {
        for (var first = 0; first < 30; first += 5) await CommitAsync(Change("a", first, 5, begins: first == 0));
        await CommitAsync(Change("b", 0, 5, begins: true));
        for (var position = 0; position <= 30; position++)
        {
            Assert.Equal(Events(position, 30 - position), await ReadAsync("a", position, bytesMax));
            var output = new EventBuffer();
            var count = await _store.ReadAsync("a", position, output, output.AddEvent, bytesMax, Cancellation);
            Assert.Equal(count, output.Count);
            for (var i = 0; i < count; i++) Assert.Equal(Events(position + i, 1), Encoding.UTF8.GetString(output[i]));
            Assert.Equal(Events(position, count), Encoding.UTF8.GetString(output.WrittenSpan));
            Assert.True(count <= 1 || output.WrittenCount <= bytesMax);
        }
    }

    [Fact]
    public async Task A_commit_whose_outcome_nobody_knows_may_be_made_again_with_more_behind_it()
    {
        await CommitAsync(Change("a", 0, 3, begins: true));
        await CommitAsync(Change("a", 0, 3, begins: true));
        await CommitAsync(Change("a", 0, 5, begins: true));
        await CommitAsync(Change("a", 5, 1, end: Completed));
        await CommitAsync(Change("a", 5, 1, end: Completed));
        Assert.Equal(Events(0, 6), await ReadAsync("a"));
        Assert.Equal((6L, Encoding.UTF8.GetByteCount(Events(0, 6) + "body of a")), ((await LoadOneAsync()).EventCount, (await LoadOneAsync()).ByteCount));
    }

    [Fact]
    public async Task Events_with_a_gap_before_them_are_refused_and_the_whole_batch_with_them()
    {
        await CommitAsync(Change("a", 0, 3, begins: true));
        var batch = new StoreBatch { Changes = { Change("b", 0, 1, begins: true), Change("a", 4, 1) } };
        if (_store is PostgresAnswerStore)
        {
            // A database that was replaced may lack what it had; a file can't.
            Assert.Equal(["a"], await _store.CommitAsync(batch, Cancellation));
            Assert.Equal(Events(0, 1), await ReadAsync("b"));
        }
        else
        {
            await Assert.ThrowsAsync<StoreException>(async () => await _store.CommitAsync(batch, Cancellation));
            Assert.Equal("a", (await LoadOneAsync()).Id);
        }
        Assert.Equal(Events(0, 3), await ReadAsync("a"));
    }

    [Fact]
    public async Task Events_of_an_answer_that_is_not_there_are_refused()
    {
        var batch = new StoreBatch { Changes = { Change("a", 0, 1) } };
        // A store that several processes share says so; with a file it can't be.
        if (_store is PostgresAnswerStore) Assert.Equal(["a"], await _store.CommitAsync(batch, Cancellation));
        else await Assert.ThrowsAsync<StoreException>(async () => await _store.CommitAsync(batch, Cancellation));
        Assert.Equal("", await ReadAsync("a"));
    }

    [Fact]
    public async Task What_has_expired_leaves_a_trace_and_what_is_deleted_none()
    {
        await CommitAsync(Change("a", 0, 1, begins: true), Change("b", 0, 1, begins: true), Change("c", 0, 1, begins: true));
        var trace = new StoredTombstone("a", "principal", "key of a", s_now);
        await CommitAsync([], [trace], ["b"]);
        await CommitAsync([], [trace], ["b"]);
        await ReopenAsync();
        var contents = await _store.LoadAsync(Cancellation);
        Assert.Equal(["c"], contents.Answers.Select(answer => answer.Id));
        Assert.Equal([trace], contents.Tombstones);
        Assert.Equal(("", ""), (await ReadAsync("a"), await ReadAsync("b")));
        Assert.Null(await _store.FindRequestAsync("a", Cancellation));
    }

    [Fact]
    public async Task Old_traces_go()
    {
        var traces = Enumerable.Range(0, 4).Select(hour => new StoredTombstone($"t{hour}", "p", null, s_now.AddHours(hour))).ToArray();
        await CommitAsync([], traces, []);
        await CommitAsync([], [], ["unknown"], s_now.AddHours(2));
        Assert.Equal(["t2", "t3"], (await _store.LoadAsync(Cancellation)).Tombstones.Select(trace => trace.Id));
    }

    [Fact]
    public async Task Answers_are_told_in_the_order_in_which_they_came()
    {
        foreach (var id in (string[])["z", "a", "m"]) await CommitAsync(Change(id, 0, 1, begins: true));
        Assert.Equal(["z", "a", "m"], (await _store.LoadAsync(Cancellation)).Answers.Select(answer => answer.Id));
    }

    [Fact]
    public async Task Many_read_while_one_commits()
    {
        await CommitAsync(Change("a", 0, 1, begins: true));
        var isOver = false;
        var readers = Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                while (!Volatile.Read(ref isOver))
                {
                    var read = await ReadAsync("a", bytesMax: 100);
                    Assert.StartsWith(read, Events(0, 60), StringComparison.Ordinal);
                }
                Assert.Equal(Events(0, 60), await ReadAsync("a"));
            },
            Cancellation)).ToArray();
        for (var number = 1; number < 60; number++) await CommitAsync(Change("a", number, 1));
        Volatile.Write(ref isOver, true);
        await Task.WhenAll(readers);
    }
}

/// <summary>The model itself.</summary>
public sealed class MemoryAnswerStoreTests : AnswerStoreConformance
{
    private readonly MemoryAnswerStore _kept = new();

    private protected override IAnswerStore Create() => _kept;
}

/// <summary>A file.</summary>
public sealed class SqliteAnswerStoreTests : AnswerStoreConformance
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-store-").FullName;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private protected override IAnswerStore Create() => new SqliteAnswerStore(Path.Combine(_folder, "answers.db"), 1 << 30);
}
