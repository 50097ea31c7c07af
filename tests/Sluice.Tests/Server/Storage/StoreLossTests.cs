using System.Net;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Storage;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>A store's file that is not what it was, before the start or while the hub runs.</summary>
public sealed class StoreLossTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-loss-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Store => Path.Combine(_folder, "answers.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream, LogLines? log = null) => UpstreamHub.StartAsync(
        UpstreamHub.Model("m", upstream), log: log, limits: UpstreamHub.QuickLimits with { StoreRetry = TimeSpan.FromMilliseconds(20) },
        configure: options => options with { Store = StoreKind.Sqlite, StorePath = Store });

    private static async Task<string> AskAsync(UpstreamHub hub)
    {
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal("[DONE]", (await UpstreamHub.EventsAsync(response))[^1]);
        return response.Headers.GetValues("Sluice-Stream-Id").Single();
    }

    private static async Task WhenAsync(Func<Task<bool>> condition)
    {
        for (var i = 0; i < 1_000 && !await condition(); i++) await Task.Delay(10, Cancellation);
        Assert.True(await condition());
    }

    private static async Task<bool> FlushAsync(UpstreamHub hub) => await hub.Services.GetRequiredService<AnswerRecorder>().FlushAsync();

    [Theory]
    [InlineData("delete")]
    [InlineData("delete all")]
    [InlineData("empty")]
    public async Task A_store_that_is_gone_is_noticed_and_begun_anew(string how)
    {
        var log = new LogLines();
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        string later;
        await using (var hub = await StartAsync(upstream, log))
        {
            await AskAsync(hub);
            Assert.True(await FlushAsync(hub));
            if (how == "empty") await using (var file = new FileStream(Store, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)) file.SetLength(0);
            else foreach (var path in Directory.GetFiles(_folder).Where(path => how == "delete all" || path == Store)) File.Delete(path);
            await AskAsync(hub);
            // Once it is said, and from then on the new file has what comes.
            await WhenAsync(async () => log.Lines.Any(line => line.Contains("while the hub ran: what it had is lost", StringComparison.Ordinal)) && await FlushAsync(hub));
            later = await AskAsync(hub);
            Assert.True(await FlushAsync(hub));
            Assert.DoesNotContain("degraded", await hub.Http.GetStringAsync("/healthz", Cancellation), StringComparison.Ordinal);
            Assert.Single(log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
            await using var second = new SqliteAnswerStore(Store, 1 << 30);
            Assert.Equal(StoreFault.Locked, (await Assert.ThrowsAsync<StoreException>(async () => await second.OpenAsync(Cancellation))).Fault);
        }
        await using (var hub = await StartAsync(upstream))
        {
            using var kept = await hub.Http.GetAsync($"/v1/chat/completions/{later}", Cancellation);
            Assert.Equal(HttpStatusCode.OK, kept.StatusCode);
        }
    }

    [Fact]
    public async Task An_answer_that_runs_meanwhile_loses_nothing_for_its_reader()
    {
        var (open, half) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            half.SetResult();
            await open.Task;
            await reply.EventAsync(ScriptedUpstream.Text("b"));
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync("[DONE]");
        });
        await using var hub = await StartAsync(upstream);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        await half.Task;
        await WhenAsync(() => FlushAsync(hub));
        File.Delete(Store);
        open.SetResult();
        Assert.Equal("[DONE]", (await UpstreamHub.EventsAsync(response))[^1]);
        await WhenAsync(() => FlushAsync(hub));
        Assert.True(File.Exists(Store));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_store_that_is_replaced_is_noticed_and_left_alone(bool isInPlace)
    {
        var log = new LogLines();
        var other = Path.Combine(_folder, "other.db");
        await using (var connection = new SqliteConnection($"Data Source={other};Pooling=False"))
        {
            await connection.OpenAsync(Cancellation);
            SqliteSchema.Execute(connection, "create table mine (a text); insert into mine values ('still here')");
        }
        var bytes = await File.ReadAllBytesAsync(other, Cancellation);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        await using (var hub = await StartAsync(upstream, log))
        {
            await AskAsync(hub);
            Assert.True(await FlushAsync(hub));
            if (isInPlace)
            {
                // As cp does.
                await using var file = new FileStream(Store, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
                file.SetLength(0);
                file.Write(bytes);
            }
            else
            {
                File.Move(other, Store, overwrite: true);
            }
            await AskAsync(hub);
            Assert.False(await FlushAsync(hub));
            Assert.Contains("\"store\":\"degraded\"", await hub.Http.GetStringAsync("/healthz", Cancellation), StringComparison.Ordinal);
            Assert.Single(log.Lines, line => line.StartsWith("Error: ", StringComparison.Ordinal) && line.Contains("was replaced by another file while the hub ran", StringComparison.Ordinal));
        }
        Assert.Equal(bytes, await File.ReadAllBytesAsync(Store, Cancellation));
    }

    [Fact]
    public async Task A_log_that_is_deleted_loses_nothing()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        string first, second;
        await using (var hub = await StartAsync(upstream))
        {
            first = await AskAsync(hub);
            Assert.True(await FlushAsync(hub));
            File.Delete(Store + "-wal");
            second = await AskAsync(hub);
            Assert.True(await FlushAsync(hub));
        }
        await using (var hub = await StartAsync(upstream))
        {
            foreach (var id in (string[])[first, second])
            {
                using var kept = await hub.Http.GetAsync($"/v1/chat/completions/{id}", Cancellation);
                Assert.Equal(HttpStatusCode.OK, kept.StatusCode);
            }
        }
    }

    [Theory]
    [InlineData("update event_run set ends = x'ffffff7fffffff7f'")]
    [InlineData("update event_run set ends = x'01'")]
    [InlineData("update event_run set ends = 'text'")]
    [InlineData("update event_run set events = x''")]
    [InlineData("update event_run set events = 7")]
    [InlineData("delete from event_run")]
    [InlineData("update answer set dialect = 'klingon'")]
    [InlineData("update answer set changed_at = -9223372036854775808")]
    [InlineData("update answer set event_count = -1")]
    [InlineData("update answer set end_kind = 99")]
    [InlineData("update answer set end_kind = 9223372036854775807")]
    [InlineData("update answer set ended_at = 9223372036854775807")]
    [InlineData("update answer set failure = '[]'")]
    [InlineData("update answer set failure = '{\"status\":{}}'")]
    [InlineData("update answer set prompt_tokens = 5, completion_tokens = null")]
    public async Task A_damaged_row_is_410_and_takes_no_other_answer_with_it(string damage)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        var log = new LogLines();
        string damaged, sound;
        await using (var hub = await StartAsync(upstream)) (damaged, sound) = (await AskAsync(hub), await AskAsync(hub));
        await using (var connection = new SqliteConnection($"Data Source={Store};Pooling=False"))
        {
            await connection.OpenAsync(Cancellation);
            SqliteSchema.Execute(connection, $"{damage} where id = '{damaged}'");
        }
        await using (var hub = await StartAsync(upstream, log))
        {
            foreach (var query in (string[])["", "?stream=true"])
            {
                using var gone = await hub.Http.GetAsync($"/v1/chat/completions/{damaged}{query}", Cancellation);
                var text = await gone.Content.ReadAsStringAsync(Cancellation);
                Assert.True(gone.StatusCode == HttpStatusCode.Gone, text);
                using var error = JsonDocument.Parse(text);
                Assert.Equal("invalid_request_error", error.RootElement.GetProperty("error").GetProperty("type").GetString());
            }
            using var kept = await hub.Http.GetAsync($"/v1/chat/completions/{sound}", Cancellation);
            Assert.Equal(HttpStatusCode.OK, kept.StatusCode);
        }
        Assert.DoesNotContain(log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal) || line.Contains(" at Sluice.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Damaged_tombstones_and_requests_stop_no_start()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using (var hub = await StartAsync(upstream)) await AskAsync(hub);
        await using (var connection = new SqliteConnection($"Data Source={Store};Pooling=False"))
        {
            await connection.OpenAsync(Cancellation);
            SqliteSchema.Execute(connection, "insert into trace values (1, 'x', 'p', null, 9223372036854775807); update request set body = 'text', progress = 'text'; update answer set end_kind = null");
        }
        await using (var hub = await StartAsync(upstream)) await AskAsync(hub);
    }

    [Theory]
    [InlineData("some text of somebody")]
    [InlineData("#!/bin/sh\n")]
    public async Task A_foreign_file_keeps_its_mode(string text)
    {
        if (OperatingSystem.IsWindows()) return;
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        await File.WriteAllTextAsync(Store, text, Cancellation);
        File.SetUnixFileMode(Store, Mode);
        Assert.Equal(StoreFault.Corrupt, (await RefuseAsync(Store)).Fault);
        Assert.Equal(Mode, File.GetUnixFileMode(Store));
        Assert.Equal([Store], Directory.GetFiles(_folder));

        File.Delete(Store);
        await using (var connection = new SqliteConnection($"Data Source={Store};Pooling=False"))
        {
            await connection.OpenAsync(Cancellation);
            SqliteSchema.Execute(connection, "create table mine (a text)");
        }
        File.SetUnixFileMode(Store, Mode);
        var before = await File.ReadAllBytesAsync(Store, Cancellation);
        Assert.Equal(StoreFault.Corrupt, (await RefuseAsync(Store)).Fault);
        Assert.Equal(Mode, File.GetUnixFileMode(Store));
        Assert.Equal(before, await File.ReadAllBytesAsync(Store, Cancellation));
    }

    [Fact]
    public async Task A_device_and_a_pipe_are_no_stores()
    {
        if (OperatingSystem.IsWindows()) return;
        var mode = File.GetUnixFileMode("/dev/null");
        Assert.Contains("is not a file", (await RefuseAsync("/dev/null")).Message, StringComparison.Ordinal);
        Assert.Equal(mode, File.GetUnixFileMode("/dev/null"));
        Assert.False(File.Exists("/dev/null-lock"));
        using (var make = System.Diagnostics.Process.Start("mkfifo", [Store])) await make.WaitForExitAsync(Cancellation);
        Assert.Contains("is not a file", (await RefuseAsync(Store)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_read_only_file_system_is_named()
    {
        await using var store = new SqliteAnswerStore(Store, 1 << 30, step: step => throw new IOException("Read-only file system") { HResult = 30 });
        var refusal = await Assert.ThrowsAsync<StoreException>(async () => await store.OpenAsync(Cancellation));
        Assert.Equal((StoreFault.Unwritable, $"The store of answers {Store} lies on a read-only file system; make that writable, or name another file with store_path."), (refusal.Fault, refusal.Message));
    }

    private static async Task<StoreException> RefuseAsync(string path)
    {
        await using var store = new SqliteAnswerStore(path, 1 << 30);
        return await Assert.ThrowsAsync<StoreException>(async () => await store.OpenAsync(Cancellation));
    }
}
