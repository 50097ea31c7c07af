using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Sluice.Client;
using Sluice.Testing;
using Sluice.Tests.Repository;
using Xunit;

namespace Sluice.Tests.Cli;

/// <summary>A real server is killed in mid-answer, or told to stop, and started again with the same store.</summary>
public sealed class KilledServerTests : IDisposable
{
    private const string Body = """{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-killed-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<ServeProcess> StartAsync(string models, Uri? address = null)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Windows has no signals.");
        var file = Path.Combine(_folder, "sluice.yaml");
        File.WriteAllText(file, $"store: sqlite\nstore_path: data/answers.db\nmodels:\n{models}");
        return ServeProcess.StartAsync(file, RepositoryFiles.FullPath("models"), address);
    }

    private Task<ServeProcess> StartAsync(ScriptedUpstream upstream) => StartAsync($"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\"}}]\n    retries: 0\n");

    private static Task<HttpResponseMessage> PostAsync(ServeProcess server, string body, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    private static string Id(HttpResponseMessage response) => response.Headers.GetValues("Sluice-Stream-Id").Single();

    private static async Task<JsonElement> GetAsync(ServeProcess server, string id)
    {
        using var document = JsonDocument.Parse(await server.Http.GetStringAsync($"/v1/chat/completions/{id}", Cancellation));
        return document.RootElement.Clone();
    }

    private static async Task<string> ReadUntilAsync(HttpResponseMessage response, string text, int count = 1)
    {
        var (read, end) = (new List<byte>(), Encoding.UTF8.GetBytes(text));
        var stream = await response.Content.ReadAsStreamAsync(Cancellation);
        var buffer = new byte[1];
        while (count > 0 && await stream.ReadAsync(buffer, Cancellation) == 1)
        {
            read.Add(buffer[0]);
            if (CollectionsMarshal.AsSpan(read).EndsWith(end)) count--;
        }
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(read));
    }

    [Fact]
    public async Task A_finished_answer_is_replayed_and_one_of_an_upstream_that_was_cut_is_lost_but_for_its_beginning()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("whole"), async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("cut"));
            await gate.WaitAsync(reply.Aborted);
        }, ScriptedUpstream.Says("deleted"));
        string finished, cut, whole;
        await using (var server = await StartAsync(upstream))
        {
            using var first = await PostAsync(server, Body, ("Idempotency-Key", "one"));
            (finished, whole) = (Id(first), await first.Content.ReadAsStringAsync(Cancellation));
            using var second = await PostAsync(server, Body, ("Idempotency-Key", "two"));
            cut = Id(second);
            await ReadUntilAsync(second, "cut");
            // A deletion waits for its commit, the first of a round; the next round comes when all that was there before has been committed.
            for (var round = 0; round < 2; round++)
            {
                using var deleted = await server.Http.DeleteAsync("/v1/chat/completions/" + await CreateAsync(server), Cancellation);
                Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
            }
            await server.KillAsync();
        }
        await using (var server = await StartAsync(upstream))
        {
            using var replayed = await PostAsync(server, Body, ("Idempotency-Key", "one"));
            Assert.Equal(("replayed", finished, whole), (replayed.Headers.GetValues("Sluice-Stream-Attempt").Single(), Id(replayed), await replayed.Content.ReadAsStringAsync(Cancellation)));
            using var lost = await PostAsync(server, Body, ("Idempotency-Key", "two"), ("Last-Event-ID", "1"));
            Assert.Equal(HttpStatusCode.Gone, lost.StatusCode);
            Assert.Contains("stream_lost", await lost.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
            var seen = await GetAsync(server, cut);
            Assert.Equal("failed", seen.GetProperty("sluice").GetProperty("state").GetString());
            Assert.Equal("cut", seen.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_answer_of_the_hubs_own_engine_goes_on_after_the_restart_as_if_nothing_had_happened(bool isTold)
    {
        const string Ask = """{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":400,"logit_bias":{"0":-100,"2":-100},"temperature":1,"seed":11,"logprobs":true,"messages":[{"role":"user","content":"Tell me a long story about a lighthouse."}]}""";
        const string Model = "  - id: m\n    gguf: SmolLM2-135M-Instruct.Q4_1.gguf\ndrain: 50ms\n";
        string id, beginning;
        List<string> whole;
        await using (var server = await StartAsync(Model))
        {
            using var uninterrupted = await PostAsync(server, Ask, ("Idempotency-Key", "whole"));
            whole = Events(await uninterrupted.Content.ReadAsStringAsync(Cancellation), Id(uninterrupted));
            using var response = await PostAsync(server, Ask, ("Idempotency-Key", "k"));
            id = Id(response);
            // Whoever isn't told has what the last commit had, a tenth of a second ago: a fast engine makes some fifty tokens meanwhile.
            beginning = await ReadUntilAsync(response, "\n\n", isTold ? 20 : 200);
            if (isTold)
            {
                server.Terminate();
                using var rest = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
                await Assert.ThrowsAnyAsync<IOException>(() => rest.ReadToEndAsync(Cancellation));
                Assert.Equal(0, await server.WhenEndedAsync());
            }
            else
            {
                await server.KillAsync();
            }
        }
        var seen = Events(beginning, id);
        Assert.Equal(isTold ? 20 : 200, seen.Count);
        await using (var server = await StartAsync(Model))
        {
            Assert.Equal("suspended", (await GetAsync(server, id)).GetProperty("sluice").GetProperty("state").GetString());
            using var response = await PostAsync(server, Ask, ("Idempotency-Key", "k"), ("Last-Event-ID", $"{seen.Count}"));
            Assert.Equal(("resumed", id), (response.Headers.GetValues("Sluice-Stream-Attempt").Single(), Id(response)));
            var rest = Events(await response.Content.ReadAsStringAsync(Cancellation), id);
            Assert.Equal(whole, seen.Concat(rest));
            using var replayed = await PostAsync(server, Ask, ("Idempotency-Key", "k"));
            Assert.Equal(whole, Events(await replayed.Content.ReadAsStringAsync(Cancellation), id));
            var answer = await GetAsync(server, id);
            Assert.Equal(400, answer.GetProperty("sluice").GetProperty("billing").GetProperty("completion_tokens").GetInt32());
            // What the store has from before and after is one answer.
            await server.KillAsync();
        }
        await using (var server = await StartAsync(Model))
        {
            using var replayed = await PostAsync(server, Ask, ("Idempotency-Key", "whole"));
            Assert.Equal(whole, Events(await replayed.Content.ReadAsStringAsync(Cancellation), Id(replayed)));
        }
    }

    [Fact]
    public async Task Under_the_client_an_application_notices_nothing_of_SIGTERM_and_a_restart()
    {
        // Far from its end when the signal comes, on a slow machine too: it is long, and neither token that ends an answer may come.
        const string Ask = """{"model":"m","stream":true,"max_tokens":1500,"logit_bias":{"0":-100,"2":-100},"temperature":1,"seed":12,"messages":[{"role":"user","content":"Tell me a long story about a harbour."}]}""";
        const string Model = "  - id: m\n    gguf: SmolLM2-135M-Instruct.Q4_1.gguf\ndrain: 50ms\n";
        using var http = new HttpClient(new ResumingHandler { AttemptsMax = 1000, PauseFirst = TimeSpan.FromMilliseconds(20) });
        string beginning, id;
        Uri address;
        HttpResponseMessage response;
        await using (var server = await StartAsync(Model))
        {
            address = server.Http.BaseAddress!;
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(address, "/v1/chat/completions")) { Content = new StringContent(Ask, Encoding.UTF8, "application/json") };
            response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
            (id, beginning) = (Id(response), await ReadUntilAsync(response, "\n\n", 40));
            server.Terminate();
            Assert.Equal(0, await server.WhenEndedAsync());
        }
        await using (var server = await StartAsync(Model, address))
        using (response)
        {
            var state = (await GetAsync(server, id)).GetProperty("sluice");
            Assert.Equal("suspended", state.GetProperty("state").GetString());
            // These are made after the restart; the rest of both answers is left.
            var count = state.GetProperty("last_event").GetInt32() + 100;
            var events = Events(beginning + await ReadUntilAsync(response, "\n\n", count - 40), id);
            Assert.Equal(count, events.Count);
            using var uninterrupted = await PostAsync(server, Ask);
            Assert.Equal(Events(await ReadUntilAsync(uninterrupted, "\n\n", count), Id(uninterrupted)), events);
        }
    }

    [Fact]
    public async Task A_suspended_answer_is_refused_when_the_models_file_has_become_another()
    {
        const string Ask = """{"model":"m","stream":true,"max_tokens":1500,"logit_bias":{"0":-100,"2":-100},"temperature":1,"seed":13,"messages":[{"role":"user","content":"Tell me a long story about a mill."}]}""";
        var file = Path.Combine(_folder, "model.gguf");
        File.Copy(RepositoryFiles.FullPath("models/SmolLM2-135M-Instruct.Q4_1.gguf"), file);
        var model = $"  - id: m\n    gguf: {file}\ndrain: 50ms\n";
        string id;
        await using (var server = await StartAsync(model))
        {
            using var response = await PostAsync(server, Ask, ("Idempotency-Key", "k"));
            id = Id(response);
            await ReadUntilAsync(response, "\n\n", 20);
            server.Terminate();
            Assert.Equal(0, await server.WhenEndedAsync());
        }
        using (var changed = File.Open(file, FileMode.Open))
        {
            // One of the last weights, in what is looked at of a file of this length.
            changed.Seek(-2000, SeekOrigin.End);
            var weight = changed.ReadByte();
            changed.Seek(-2000, SeekOrigin.End);
            changed.WriteByte((byte)(weight ^ 1));
        }
        await using (var server = await StartAsync(model))
        {
            // What there is of it can be read; what comes behind would be another model's.
            var kept = (await GetAsync(server, id)).GetProperty("sluice").GetProperty("last_event").GetInt64();
            using var refused = await PostAsync(server, Ask, ("Idempotency-Key", "k"), ("Last-Event-ID", $"{kept}"));
            Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
            using var error = JsonDocument.Parse(await refused.Content.ReadAsStringAsync(Cancellation));
            Assert.Equal("stream_diverged", error.RootElement.GetProperty("error").GetProperty("code").GetString());
        }
    }

    // Two answers differ in their id, their time, and what they found of their prompt in the cache.
    private static List<string> Events(string body, string id) =>
        [.. body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(text => System.Text.RegularExpressions.Regex.Replace(text.Replace(id, "id", StringComparison.Ordinal), "\"(created|cached_tokens)\":\\d+", "\"$1\":0"))];

    private static async Task<string> CreateAsync(ServeProcess server)
    {
        using var response = await PostAsync(server, Body.Replace("\"Hi\"", "\"Another\"", StringComparison.Ordinal));
        await response.Content.ReadAsStringAsync(Cancellation);
        return Id(response);
    }

    [Fact]
    public async Task SIGTERM_waits_for_what_runs_and_a_second_one_does_not()
    {
        using var gate = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("one"));
            await gate.WaitAsync(reply.Aborted);
        });
        await using var server = await StartAsync(upstream);
        using var response = await PostAsync(server, Body);
        await ReadUntilAsync(response, "one");
        server.Terminate();
        while (true)
        {
            using var ready = await server.Http.GetAsync("/readyz", Cancellation);
            if ((await ready.Content.ReadAsStringAsync(Cancellation)).Contains("draining", StringComparison.Ordinal)) break;
            await Task.Delay(5, Cancellation);
        }
        server.Terminate();
        var stream = await response.Content.ReadAsStreamAsync(Cancellation);
        var rest = new MemoryStream();
        await Assert.ThrowsAnyAsync<IOException>(() => stream.CopyToAsync(rest, Cancellation));
        Assert.Contains("server_shutdown", Encoding.UTF8.GetString(rest.ToArray()), StringComparison.Ordinal);
        Assert.Equal(0, await server.WhenEndedAsync());
    }
}
