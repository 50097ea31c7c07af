using Npgsql;
using Sluice.Server.Storage;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>A database. Skipped where PostgreSQL is not installed.</summary>
public sealed class PostgresAnswerStoreTests : AnswerStoreConformance
{
    private const string Secret = "a secret of sixteen characters";
    private readonly Guid _node = Guid.NewGuid();
    private string _connection = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public override async ValueTask InitializeAsync()
    {
        var server = await PostgresServer.FindAsync();
        Assert.SkipWhen(server is null, PostgresServer.Missing);
        _connection = await server.CreateDatabaseAsync();
        await base.InitializeAsync();
    }

    private protected override IAnswerStore Create() => Open(_node);

    private PostgresAnswerStore Open(Guid node, string secret = Secret) => new(PostgresSource.Create(_connection), secret, node, "AVX2");

    private static StoreBatch Batch(params AnswerChange[] changes)
    {
        var batch = new StoreBatch();
        batch.Changes.AddRange(changes);
        return batch;
    }

    private static ClusterNode Self(PostgresAnswerStore store) =>
        new(store.Node, "http://127.0.0.1:1") { Version = "1", Isa = store.Isa, Models = ["m"], Running = 0, IsDraining = false, IsAlive = true, LeaseSeconds = 0 };

    private static Task<List<ClusterNode>> RenewAsync(PostgresAnswerStore store, double seconds = 100) => store.RenewAsync(Self(store), TimeSpan.FromSeconds(seconds), Cancellation);

    private static async Task<string> ReadAsync(PostgresAnswerStore store, string id)
    {
        var output = new System.Buffers.ArrayBufferWriter<byte>();
        for (var position = 0; await store.ReadAsync(id, position, output, null, 1 << 20, Cancellation) is > 0 and var count;) position += count;
        return System.Text.Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string Events(int count) => string.Concat(Enumerable.Range(0, count).Select(Event));

    [Fact]
    public async Task A_late_commit_of_a_former_owner_is_refused_and_what_else_it_has_is_not()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        await RenewAsync(first);
        Assert.Empty(await first.CommitAsync(Batch(Change("a", 0, 3, begins: true), Change("b", 0, 3, begins: true)), Cancellation));
        // Nobody takes what has an owner.
        Assert.False(await second.TryClaimAsync("a", 1, null, Cancellation));
        await RenewAsync(first, seconds: 0);
        Assert.True(await second.TryClaimAsync("a", 1, null, Cancellation));
        Assert.False(await second.TryClaimAsync("a", 1, null, Cancellation));
        Assert.Empty(await second.CommitAsync(Batch(Change("a", 3, 2)), Cancellation));
        Assert.Equal(["a"], await first.CommitAsync(Batch(Change("a", 3, 9, end: Completed), Change("b", 3, 1)), Cancellation));
        Assert.Equal((Events(5), Events(4)), (await ReadAsync(first, "a"), await ReadAsync(first, "b")));
        var found = (await first.FindAsync("a", Cancellation))!;
        Assert.Equal((second.Node, 2, null, 5L), (found.Owner, found.Epoch, found.Stored.End, found.Stored.EventCount));
    }

    [Fact]
    public async Task Of_many_who_claim_at_a_time_one_has_it()
    {
        await using var first = Open(Guid.NewGuid());
        await first.CommitAsync(Batch(Change("a", 0, 1, begins: true)), Cancellation);
        var others = Enumerable.Range(0, 4).Select(_ => Open(Guid.NewGuid())).ToList();
        var claims = await Task.WhenAll(others.Select(other => other.TryClaimAsync("a", 1, null, Cancellation)));
        Assert.Single(claims, true);
        foreach (var other in others) await other.DisposeAsync();
    }

    [Fact]
    public async Task An_answer_that_was_let_go_of_is_anybodys_and_no_longer_the_former_owners()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        await RenewAsync(first);
        await first.CommitAsync(Batch(Change("a", 0, 1, begins: true, progress: "p")), Cancellation);
        await first.ReleaseAsync(["a"], Cancellation);
        Assert.Equal(["a"], await first.CommitAsync(Batch(Change("a", 1, 1)), Cancellation));
        Assert.True(await second.TryClaimAsync("a", 1, null, Cancellation));
    }

    [Fact]
    public async Task Of_a_hundred_who_want_a_key_one_gets_it_and_all_learn_who()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        var claims = await Task.WhenAll(Enumerable.Range(0, 100).Select(number => Take(number % 2 == 0 ? first : second, $"a{number}", null)));
        var winner = Assert.Single(claims, static claim => claim.IsMine).Holder;
        Assert.All(claims, claim => Assert.Equal(winner, claim.Holder));
        Assert.NotNull(await second.FindAsync(winner!, Cancellation));
        // The same once more, where the reply was lost; and a retry of one that has failed, which two try at a time.
        Assert.True((await Take(first, winner!, null)).IsMine);
        var retries = await Task.WhenAll(Take(first, "r1", winner), Take(second, "r2", winner));
        Assert.Single(retries, static claim => claim.IsMine);
        Assert.Equal(retries[0].Holder, retries[1].Holder);

        static Task<KeyClaim> Take(PostgresAnswerStore store, string id, string? replaced) =>
            store.TakeKeyAsync(Answer(id, "key"), "body"u8.ToArray(), null, DateTimeOffset.UnixEpoch, replaced, Cancellation);
    }

    [Fact]
    public async Task A_key_that_was_cancelled_before_its_request_is_refused_for_a_while()
    {
        await using var store = Open(Guid.NewGuid());
        Assert.Null(await store.CancelKeyAsync("principal", "key", TimeSpan.FromSeconds(100), Cancellation));
        Assert.Equal(new KeyClaim(false, null), await store.TakeKeyAsync(Answer("a", "key"), default, null, DateTimeOffset.UnixEpoch, null, Cancellation));
        await store.CancelKeyAsync("principal", "key", TimeSpan.Zero, Cancellation);
        Assert.True((await store.TakeKeyAsync(Answer("a", "key"), default, null, DateTimeOffset.UnixEpoch, null, Cancellation)).IsMine);
        Assert.Equal("a", await store.CancelKeyAsync("principal", "key", TimeSpan.FromSeconds(100), Cancellation));
    }

    [Fact]
    public async Task A_key_that_could_not_be_taken_is_taken_with_the_first_commit_unless_another_has_it()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        Assert.Empty(await first.CommitAsync(Batch(Change("a", 0, 1, begins: true)), Cancellation));
        Assert.Equal(new KeyClaim(false, "a"), await second.TakeKeyAsync(Answer("b", "key of a"), default, null, DateTimeOffset.UnixEpoch, null, Cancellation));
        Assert.True((await second.TakeKeyAsync(Answer("c", "key of d"), default, null, DateTimeOffset.UnixEpoch, null, Cancellation)).IsMine);
        Assert.Empty(await first.CommitAsync(Batch(Change("d", 0, 1, begins: true)), Cancellation));
        Assert.Equal("c", (await first.FindKeyAsync("principal", "key of d", Cancellation))!.Value.Holder);
    }

    [Fact]
    public async Task A_claim_whose_reply_was_lost_is_learnt_of_by_a_look()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        await first.CommitAsync(Batch(Change("a", 0, 1, begins: true)), Cancellation);
        await using (var lost = Open(second.Node)) Assert.True(await lost.TryClaimAsync("a", 1, null, Cancellation));
        Assert.Equal(["a"], await second.FindOwnAsync(DateTimeOffset.MaxValue, Cancellation));
        Assert.Equal(2, (await second.FindAsync("a", Cancellation))!.Epoch);
        Assert.Empty(await second.CommitAsync(Batch(Change("a", 1, 2)), Cancellation));
        Assert.Equal(Events(3), await ReadAsync(second, "a"));
    }

    [Fact]
    public async Task Orphans_that_nobody_takes_do_not_hide_those_behind_them()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        for (var number = 0; number < 5; number++) await first.CommitAsync(Batch(Change($"a{number}", 0, 1, begins: true)), Cancellation);
        var portion = await second.FindOrphanedAsync(0, 3, Cancellation);
        var rest = await second.FindOrphanedAsync(portion[^1].Number, 3, Cancellation);
        Assert.Equal(["a0", "a1", "a2", "a3", "a4"], [.. portion.Concat(rest).Select(static orphan => orphan.Id)]);
    }

    [Fact]
    public async Task What_was_taken_away_elsewhere_is_told_from_what_was_forgotten()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        await first.CommitAsync(Batch(Change("a", 0, 1, begins: true)), Cancellation);
        Assert.True(await second.DeleteAsync("a", Cancellation));
        Assert.Equal((true, false), (await first.WasDeletedAsync("a", Cancellation), await first.WasDeletedAsync("b", Cancellation)));
    }

    [Fact]
    public async Task A_cluster_with_another_secret_does_not_get_in()
    {
        await using var other = Open(Guid.NewGuid(), "another secret, also of some length");
        var refusal = await Assert.ThrowsAsync<StoreException>(async () => await other.OpenAsync(Cancellation));
        Assert.Equal(StoreFault.Locked, refusal.Fault);
    }

    [Fact]
    public async Task Tables_of_a_later_version_are_refused_and_ten_who_make_them_at_a_time_make_them_once()
    {
        var server = await PostgresServer.FindAsync();
        _connection = await server!.CreateDatabaseAsync();
        var stores = Enumerable.Range(0, 10).Select(_ => Open(Guid.NewGuid())).ToList();
        await Task.WhenAll(stores.Select(store => store.OpenAsync(Cancellation).AsTask()));
        await server.QueryAsync(_connection, "update sluice.cluster set version = 1000");
        var refusal = await Assert.ThrowsAsync<StoreException>(async () => await stores[0].OpenAsync(Cancellation));
        Assert.Equal(StoreFault.Newer, refusal.Fault);
        foreach (var store in stores) await store.DisposeAsync();
    }

    [Fact]
    public async Task What_nodes_that_are_gone_have_left_goes_when_its_time_is_over()
    {
        await using var first = Open(Guid.NewGuid());
        await using var second = Open(Guid.NewGuid());
        await RenewAsync(first);
        await first.CommitAsync(Batch(Change("old", 0, 1, begins: true, end: Completed), Change("open", 0, 1, begins: true, minute: 90)), Cancellation);
        var (ended, suspended) = (Completed.At.AddMinutes(1), Completed.At.AddMinutes(60));
        // It has an owner still, which sees to it.
        Assert.Equal(0, await second.SweepAsync(ended, suspended, Completed.At, 100, Cancellation));
        await RenewAsync(first, seconds: 0);
        Assert.Equal(1, await second.SweepAsync(ended, suspended, Completed.At, 100, Cancellation));
        Assert.Equal("principal", await second.FindTraceAsync("old", Cancellation));
        Assert.Equal(("", Events(1)), (await ReadAsync(second, "old"), await ReadAsync(second, "open")));
    }

    [Fact]
    public async Task A_connection_that_is_killed_costs_one_commit_which_is_made_again()
    {
        var server = await PostgresServer.FindAsync();
        await using var store = Open(Guid.NewGuid());
        await store.CommitAsync(Batch(Change("a", 0, 1, begins: true)), Cancellation);
        for (var number = 1; number < 10; number++)
        {
            await server!.QueryAsync(_connection, "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()");
            var tries = 0;
            while (true)
            {
                try
                {
                    await store.CommitAsync(Batch(Change("a", number, 1)), Cancellation);
                    break;
                }
                catch (StoreException) when (tries++ < 10)
                {
                }
            }
        }
        Assert.Equal(Events(10), await ReadAsync(store, "a"));
    }

    [Fact]
    public void A_connection_string_is_never_told_with_its_password()
    {
        using var source = PostgresSource.Create("Host=h;Username=u;Password=SECRET;Database=d");
        Assert.Equal("h:5432/d", PostgresSource.NameOf(source));
        var told = PostgresSource.Explain(source, new NpgsqlException("It failed."));
        Assert.DoesNotContain("SECRET", told.ToString(), StringComparison.Ordinal);
    }
}
