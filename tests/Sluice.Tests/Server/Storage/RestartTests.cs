using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Storage;
using Sluice.Streaming;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Storage;

/// <summary>What a hub with a store knows after it was started again: whole hubs one after the other with one file, before a scripted server.</summary>
public sealed class RestartTests : IDisposable
{
    private const string Key = "Idempotency-Key";
    private const string Cursor = "Last-Event-ID";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-restart-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(ScriptedUpstream upstream, string more = "") => UpstreamHub.StartAsync(
        UpstreamHub.Model("m", upstream) + "    retries: 0\n    timeouts: {total: 1h, idle: 1h, first_token: 1h}\n" + more,
        configure: options => options with { Store = StoreKind.Sqlite, StorePath = Path.Combine(_folder, "answers.db") });

    private static async Task<(string Id, string Body)> WholeAsync(Task<HttpResponseMessage> asking)
    {
        using var response = await asking;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (response.Headers.GetValues("Sluice-Stream-Id").Single(), await response.Content.ReadAsStringAsync(Cancellation));
    }

    private static async Task<(int Status, JsonElement Body)> GetAsync(UpstreamHub hub, string path)
    {
        using var response = await hub.Http.GetAsync(path, Cancellation);
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation));
        return ((int)response.StatusCode, document.RootElement.Clone());
    }

    private static async Task<(int Status, string? Code)> RefusalAsync(Task<HttpResponseMessage> asking)
    {
        using var response = await asking;
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancellation));
        return ((int)response.StatusCode, document.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_finished_answer_is_replayed_byte_by_byte_by_its_key_and_by_its_id_and_billed_once()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b", "c"));
        string id, body, numbered;
        JsonElement before;
        await using (var hub = await StartAsync(upstream))
        {
            (id, body) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
            numbered = await hub.Http.GetStringAsync($"/v1/chat/completions/{id}?stream=true", Cancellation);
            (_, before) = await GetAsync(hub, $"/v1/chat/completions/{id}");
        }
        await using (var hub = await StartAsync(upstream))
        {
            Assert.Equal((id, body), await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"))));
            Assert.Equal(numbered, await hub.Http.GetStringAsync($"/v1/chat/completions/{id}?stream=true", Cancellation));
            var events = body.Split("\n\n");
            var (_, rest) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "2")));
            Assert.Equal(string.Join("\n\n", events.Skip(2)), rest);
            Assert.Equal((422, "idempotency_key_reuse"), await RefusalAsync(hub.PostAsync(UpstreamHub.Ask(more: ",\"temperature\":1"), Cancellation, (Key, "k"))));
            var (status, after) = await GetAsync(hub, $"/v1/chat/completions/{id}");
            Assert.Equal((200, before.GetRawText()), (status, after.GetRawText()));
            // What it took was counted when it ended, and is not counted again.
            Assert.DoesNotContain("gen_ai_client_token_usage_sum", await hub.Http.GetStringAsync("/metrics", Cancellation), StringComparison.Ordinal);
            var (_, folded) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(stream: false), Cancellation, (Key, "k")));
            Assert.Contains("\"content\":\"abc\"", folded, StringComparison.Ordinal);
        }
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task What_was_deleted_or_is_not_to_be_kept_is_not_in_the_file()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("SECRET"), ScriptedUpstream.Says("SECRET"), ScriptedUpstream.Says("kept"));
        await using (var hub = await StartAsync(upstream))
        {
            var (deleted, _) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
            using var gone = await hub.Http.DeleteAsync($"/v1/chat/completions/{deleted}", Cancellation);
            Assert.Equal(HttpStatusCode.OK, gone.StatusCode);
            await FilesLackAsync("SECRET");
            var (off, _) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "o"), ("Sluice-Store", "off")));
            Assert.Equal((404, "completion_not_found"), await RefusalAsync(hub.Http.GetAsync($"/v1/chat/completions/{off}", Cancellation)));
            await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation));
        }
        await FilesLackAsync("SECRET");
        Assert.Contains("kept", await ReadAsync("answers.db"), StringComparison.Ordinal);
    }

    private async Task FilesLackAsync(string text)
    {
        foreach (var file in Directory.GetFiles(_folder).Where(static file => !file.EndsWith("-lock", StringComparison.Ordinal)))
            Assert.DoesNotContain(text, await ReadAsync(Path.GetFileName(file)), StringComparison.Ordinal);
    }

    // SQLite has the files open.
    private async Task<string> ReadAsync(string file)
    {
        await using var stream = new FileStream(Path.Combine(_folder, file), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
        return await reader.ReadToEndAsync(Cancellation);
    }

    [Fact]
    public async Task A_long_answer_is_there_from_its_beginning_whoever_asks_and_however()
    {
        var words = Enumerable.Range(0, 400).Select(number => $"word{number} ").ToArray();
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says(words));
        await using var hub = await UpstreamHub.StartAsync(
            UpstreamHub.Model("m", upstream), limits: UpstreamHub.QuickLimits with { Streams = new StreamLimits { HotBytes = 4_000, SegmentBytes = 1_000 }, ReadBatchBytes = 1_500 },
            configure: options => options with { Store = StoreKind.Sqlite, StorePath = Path.Combine(_folder, "answers.db") });
        var (id, body) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
        // From the next commit on only the end of it is in memory.
        await hub.Services.GetRequiredService<AnswerRecorder>().FlushAsync();
        Assert.Equal((id, body), await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"))));
        var (_, rest) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"), (Cursor, "100")));
        Assert.Equal(string.Join("\n\n", body.Split("\n\n").Skip(100)), rest);
        var (_, folded) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(stream: false), Cancellation, (Key, "k")));
        Assert.Contains(string.Concat(words), folded, StringComparison.Ordinal);
        var (_, answer) = await GetAsync(hub, $"/v1/chat/completions/{id}");
        Assert.Equal(string.Concat(words), answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Contains("sluice_store_reads_total", await hub.Http.GetStringAsync("/metrics", Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_fails_takes_no_answer_with_it_and_everybody_is_told()
    {
        var isBroken = false;
        var store = new MemoryAnswerStore(step =>
        {
            if (Volatile.Read(ref isBroken) && step == "commit") throw new StoreException(StoreFault.Full, "There is no room for more in the store of answers.");
        });
        var log = new LogLines(Microsoft.Extensions.Logging.LogLevel.Warning);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        await using var hub = await UpstreamHub.StartAsync(
            UpstreamHub.Model("m", upstream), limits: UpstreamHub.QuickLimits with { StoreInterval = TimeSpan.FromMilliseconds(5), StoreRetry = TimeSpan.FromMilliseconds(5) }, log: log,
            configure: options => options with { Store = StoreKind.Sqlite }, services: services => services.AddSingleton<IAnswerStore>(store));
        Assert.Equal("{\"status\":\"ok\"}", await hub.Http.GetStringAsync("/healthz", Cancellation));
        Volatile.Write(ref isBroken, true);
        var (id, body) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
        while (!(await hub.Http.GetStringAsync("/healthz", Cancellation)).Contains("\"store\":\"degraded\"", StringComparison.Ordinal)) await Task.Delay(5, Cancellation);
        Assert.Contains("sluice_store_degraded 1", await hub.Http.GetStringAsync("/metrics", Cancellation), StringComparison.Ordinal);
        Assert.Equal((id, body), await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"))));
        Assert.Equal((503, "store_unavailable"), await RefusalAsync(hub.Http.DeleteAsync($"/v1/chat/completions/{id}", Cancellation)));
        await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation));
        Volatile.Write(ref isBroken, false);
        while ((await hub.Http.GetStringAsync("/healthz", Cancellation)).Contains("degraded", StringComparison.Ordinal)) await Task.Delay(5, Cancellation);
        // The deletion is committed first, and heals the store before the answer is in it.
        while ((await store.LoadAsync(Cancellation)).Answers.Count == 0) await Task.Delay(5, Cancellation);
        Assert.Single((await store.LoadAsync(Cancellation)).Answers);
        Assert.Single(log.Lines, line => line.StartsWith("Error: There is no room", StringComparison.Ordinal));
        Assert.Single(log.Lines, line => line.Contains("works again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_model_can_have_nothing_kept()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await using var hub = await StartAsync(upstream, "    store: off\n");
        var (id, _) = await WholeAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k")));
        Assert.Equal((404, "completion_not_found"), await RefusalAsync(hub.Http.GetAsync($"/v1/chat/completions/{id}", Cancellation)));
        Assert.Equal(400, (await RefusalAsync(hub.PostAsync(UpstreamHub.Ask(), Cancellation, ("Sluice-Store", "on")))).Status);
    }

    [Fact]
    public async Task An_answer_that_the_hub_cut_off_when_it_stopped_tells_its_beginning_and_its_error()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("one"));
            await gate.WaitAsync(reply.Aborted);
        });
        string id;
        await using (var hub = await StartAsync(upstream))
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask(), Cancellation, (Key, "k"));
            id = response.Headers.GetValues("Sluice-Stream-Id").Single();
            await response.Content.ReadAsStreamAsync(Cancellation);
        }
        await using (var hub = await StartAsync(upstream))
        {
            var (status, answer) = await GetAsync(hub, $"/v1/chat/completions/{id}");
            Assert.Equal((200, "failed"), (status, answer.GetProperty("sluice").GetProperty("state").GetString()));
            Assert.Equal("server_shutdown", answer.GetProperty("sluice").GetProperty("error").GetProperty("code").GetString());
        }
    }
}
