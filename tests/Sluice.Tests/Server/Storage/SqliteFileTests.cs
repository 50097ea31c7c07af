using Microsoft.Data.Sqlite;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Storage;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>The file of the store: who may read it, and what a user is told about one that is no good.</summary>
public sealed class SqliteFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-file-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Path => System.IO.Path.Combine(_folder, "data", "answers.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private SqliteAnswerStore Store(long bytesMax = 1 << 30) => new(Path, bytesMax);

    private async Task<StoreException> RefusesAsync()
    {
        await using var store = Store();
        var refusal = await Assert.ThrowsAsync<StoreException>(async () =>
        {
            await store.OpenAsync(Cancellation);
            await store.LoadAsync(Cancellation);
        });
        Assert.Contains(Path, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("store_path", refusal.Message, StringComparison.Ordinal);
        return refusal;
    }

    private void Change(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static StoreBatch Batch(string id, int bytes)
    {
        var batch = new StoreBatch();
        var answer = new StoredAnswer(id, new("p", null, new("r", null), default), "m", 1);
        batch.Changes.Add(new AnswerChange(id, 0) { Begun = (answer, new byte[100]), Events = new byte[bytes], Ends = [bytes] });
        return batch;
    }

    // As the first version of the store wrote it.
    private const string FirstVersion = """
        create table answer (
          id text primary key, principal text not null, idempotency_key text, raw_hash text not null, canonical_hash text, on_disconnect integer not null,
          model text not null, created integer not null, changed_at integer not null, event_count integer not null, byte_count integer not null,
          end_kind integer, ended_at integer, failure text, prompt_tokens integer, cached_tokens integer, completion_tokens integer,
          reasoning_tokens integer, is_estimated integer);
        create table request (id text primary key, body blob not null, progress blob);
        create table event_run (
          id text not null, first_event integer not null, event_count integer not null, ends blob not null, events blob not null,
          primary key (id, first_event));
        create table trace (number integer primary key, id text not null unique, principal text not null, idempotency_key text, at integer not null);
        insert into answer values ('chatcmpl-1', 'p', 'k', 'raw', null, 0, 'm', 1, 2, 1, 9, 0, 3, null, 4, 0, 5, 0, 0);
        insert into request values ('chatcmpl-1', x'7b7d', null);
        insert into event_run values ('chatcmpl-1', 0, 1, x'07000000', x'646174613a0a0a');
        insert into trace values (1, 'chatcmpl-0', 'p', null, 3);
        pragma application_id = 1399616873;
        pragma user_version = 1;
        """;

    [Fact]
    public async Task A_file_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it()
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        Change(FirstVersion);
        for (var start = 0; start < 2; start++)
        {
            await using var store = Store();
            await store.OpenAsync(Cancellation);
            var contents = await store.LoadAsync(Cancellation);
            var answer = Assert.Single(contents.Answers);
            Assert.Equal(("chatcmpl-1", "p", "k", "chat"), (answer.Id, answer.Owner.Principal, answer.Owner.Key, answer.Owner.Dialect.Name));
            Assert.Equal(5, answer.End!.Usage!.Value.CompletionTokens);
            Assert.Equal("chatcmpl-0", Assert.Single(contents.Tombstones).Id);
            var events = new EventBuffer();
            Assert.Equal(1, await store.ReadAsync("chatcmpl-1", 0, events, events.AddEvent, 100, Cancellation));
            Assert.Equal("data:\n\n"u8, events[0]);
        }
    }

    [Fact]
    public async Task Nobody_but_its_user_may_read_it()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows keeps the user's data folder to its user.");
            return;
        }
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        await File.WriteAllTextAsync(Path, "", Cancellation);
        File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        await using var store = Store();
        await store.OpenAsync(Cancellation);
        await store.CommitAsync(Batch("a", 100), Cancellation);
        var files = Directory.GetFiles(System.IO.Path.GetDirectoryName(Path)!).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal([Path, Path + "-lock", Path + "-shm", Path + "-wal"], files);
        foreach (var file in files) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public async Task A_folder_that_is_made_is_its_users_alone()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows keeps the user's data folder to its user.");
            return;
        }
        await using var store = Store();
        await store.OpenAsync(Cancellation);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(System.IO.Path.GetDirectoryName(Path)!));
    }

    [Fact]
    public async Task A_second_process_is_refused()
    {
        await using var first = Store();
        await first.OpenAsync(Cancellation);
        Assert.Equal(StoreFault.Locked, (await RefusesAsync()).Fault);
    }

    [Fact]
    public async Task A_file_that_another_program_has_locked_is_refused()
    {
        await using (var store = Store()) await store.OpenAsync(Cancellation);
        await using var connection = new SqliteConnection($"Data Source={Path};Pooling=False");
        await connection.OpenAsync(Cancellation);
        await using var transaction = connection.BeginTransaction(deferred: false);
        Assert.Equal(StoreFault.Locked, (await RefusesAsync()).Fault);
    }

    [Fact]
    public async Task A_file_of_a_later_version_is_refused_and_stays_as_it_is()
    {
        await using (var store = Store()) await store.OpenAsync(Cancellation);
        Change("pragma user_version = 7");
        var refusal = await RefusesAsync();
        Assert.Equal(StoreFault.Newer, refusal.Fault);
        Assert.Contains("version 7", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_programs_database_is_refused_and_stays_as_it_is()
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        Change("create table mine (a text)");
        Assert.Equal(StoreFault.Corrupt, (await RefusesAsync()).Fault);
        Change("insert into mine values ('still here')");
    }

    [Fact]
    public async Task What_is_no_database_is_refused()
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        await File.WriteAllTextAsync(Path, new string('x', 10_000), Cancellation);
        Assert.Equal(StoreFault.Corrupt, (await RefusesAsync()).Fault);
    }

    [Fact]
    public async Task A_damaged_file_is_refused()
    {
        await using (var store = Store())
        {
            await store.OpenAsync(Cancellation);
            for (var i = 0; i < 50; i++) await store.CommitAsync(Batch($"a{i}", 4000), Cancellation);
        }
        await using (var file = new FileStream(Path, FileMode.Open))
        {
            file.Position = 4096;
            file.Write(Enumerable.Repeat((byte)0xA5, 12 << 10).ToArray());
        }
        Assert.Equal(StoreFault.Corrupt, (await RefusesAsync()).Fault);
    }

    [Fact]
    public async Task A_place_where_no_file_can_be_is_refused()
    {
        await File.WriteAllTextAsync(System.IO.Path.Combine(_folder, "data"), "a file, and no folder", Cancellation);
        Assert.Equal(StoreFault.Unwritable, (await RefusesAsync()).Fault);
    }

    [Fact]
    public async Task A_file_that_is_a_folder_is_refused()
    {
        Directory.CreateDirectory(Path);
        Assert.Equal(StoreFault.Unwritable, (await RefusesAsync()).Fault);
    }

    [Fact]
    public async Task A_full_file_says_so_and_has_room_again_when_something_goes()
    {
        await using var store = Store(bytesMax: 1 << 20);
        await store.OpenAsync(Cancellation);
        for (var i = 0; i < 8; i++) await store.CommitAsync(Batch($"a{i}", 100 << 10), Cancellation);
        var fault = await Assert.ThrowsAsync<StoreException>(async () => await store.CommitAsync(Batch("b", 300 << 10), Cancellation));
        Assert.Equal(StoreFault.Full, fault.Fault);
        var room = new StoreBatch();
        room.Deleted.AddRange(["a0", "a1", "a2", "a3"]);
        await store.CommitAsync(room, Cancellation);
        await store.CommitAsync(Batch("b", 300 << 10), Cancellation);
        Assert.Equal(["a4", "a5", "a6", "a7", "b"], (await store.LoadAsync(Cancellation)).Answers.Select(answer => answer.Id));
        Assert.InRange(new FileInfo(Path).Length, 0, 1 << 20);
    }
}
