using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Metering;

/// <summary>Cases of whole hubs with keys and a ledger that other tests don't have, by their numbers.</summary>
public sealed class MeteredCaseTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-cases-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string LedgerPath => Path.Combine(_folder, "ledger.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task<UpstreamHub> StartAsync(
        string models, string keys, string more = "", TimeProvider? time = null, Func<SluiceOptions, SluiceOptions>? configure = null, Action<IServiceCollection>? services = null)
    {
        var metered = ConfigurationFile.Parse($"ledger: {{path: {LedgerPath}}}\n{more}{(keys.Length > 0 ? "keys:\n" + keys : "")}", "sluice.yaml", _ => null);
        return UpstreamHub.StartAsync(models, time, services: services, configure: parsed =>
        {
            var options = parsed with { Keys = metered.Keys, Projects = metered.Projects, Hub = metered.Hub, Ledger = metered.Ledger };
            return configure?.Invoke(options) ?? options;
        });
    }

    private static Task<HttpResponseMessage> SendAsync(UpstreamHub hub, HttpMethod method, string path, string? body = null, string key = "k1", params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (key.Length > 0) request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return hub.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    private static Task<HttpResponseMessage> AskAsync(UpstreamHub hub, string key = "k1", bool stream = true, string more = "", params (string Name, string Value)[] headers) =>
        SendAsync(hub, HttpMethod.Post, "/v1/chat/completions", UpstreamHub.Ask("m", stream, more), key, headers);

    private static async Task EndAsync(UpstreamHub hub)
    {
        await hub.Services.GetRequiredService<AnswerTable>().WhenProducedAsync(Cancellation);
        await hub.Services.GetRequiredService<AnswerAccounting>().FlushAsync();
    }

    private List<(AnswerRow Row, List<AttemptRow> Attempts)> Rows()
    {
        using var file = new LedgerFile(LedgerPath);
        using var connection = new SqliteConnection($"Data Source={LedgerPath};Mode=ReadOnly;Pooling=false");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "select id from usage_answer order by began, id";
        using var ids = command.ExecuteReader();
        var rows = new List<(AnswerRow, List<AttemptRow>)>();
        while (ids.Read()) rows.Add((file.FindAnswer(ids.GetString(0))!, file.ReadAttempts(ids.GetString(0))));
        return rows;
    }

    private static Func<UpstreamReply, Task> Says(string end, params string[] pieces) => async reply =>
    {
        foreach (var piece in pieces) await reply.EventAsync(ScriptedUpstream.Text(piece));
        await reply.EventAsync(ScriptedUpstream.Finish());
        if (end.Length > 0) await reply.EventAsync(end);
        await reply.EventAsync("[DONE]");
    };

    // T01: ids and times apart, every byte and every header is that of a hub that counts nothing.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_key_without_limits_changes_no_byte_of_a_reply(bool stream)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says(ScriptedUpstream.Usage(7, 2), "a", "b"));
        await using var plain = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), configure: static options => options with { ApiKeys = [ApiKey.FromString("k1")] });
        await using var metered = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n");
        var replies = new List<string>();
        foreach (var hub in (UpstreamHub[])[plain, metered])
        {
            using var response = await AskAsync(hub, stream: stream);
            var head = string.Join('\n', response.Headers.Concat(response.Content.Headers).Where(static header => header.Key is not ("Date" or "openai-processing-ms" or "x-request-id"))
                .OrderBy(static header => header.Key, StringComparer.OrdinalIgnoreCase).Select(static header => $"{header.Key}: {string.Join(',', header.Value)}"));
            var text = head + "\n" + await response.Content.ReadAsStringAsync(Cancellation);
            replies.Add(Regex.Replace(text, "chatcmpl-[0-9a-z]{26}|req[-_][0-9A-Za-z-]+|\"created\":\\d+", "…"));
        }
        Assert.Equal(replies[0], replies[1]);
    }

    // T03, T04: whoever asks, by whatever door: the limiter is asked each time, and no upstream is asked without an open hold.
    [Fact]
    public async Task Every_door_asks_the_limiter_and_nothing_is_sent_without_a_hold()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says(ScriptedUpstream.Usage(7, 2), "a", "b"));
        var unheld = 0;
        UpstreamHub? started = null;
        await using var hub = await StartAsync(
            UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n", "hub: {rpm: 1000000, parallel: 1000, budget: {tokens: 1000000000, per: month}}\n",
            services: services => services.AddSingleton<Sluice.Server.Upstreams.UpstreamTransport>((_, _, _, _) => new Sluice.Server.Upstreams.HandlerClient(new HoldCheck(() =>
            {
                var limiter = started!.Services.GetRequiredService<Limiter>();
                lock (limiter.Lock)
                    if (!limiter.Scopes.Any(static scope => scope.Kind == ScopeKind.Hub && scope.Running > 0 && scope.Meters[0].HoldCount > 0)) Interlocked.Increment(ref unheld);
            }))));
        started = hub;
        var id = IssuedKey.CreateId();
        var secret = IssuedKey.Create(id);
        using (var command = new LedgerFile(LedgerPath))
            command.PutKey(new KeyRow(id, "ci") { Hash = IssuedKey.HashOf(secret), LastFour = secret[^4..], Created = 1, Limits = new StoredLimits() }, new AuditRow(1, "test", "key", id, null, null));
        for (var i = 0; i < 400; i++)
        {
            using var known = await SendAsync(hub, HttpMethod.Get, "/v1/models", key: secret);
            if (known.StatusCode == HttpStatusCode.OK) break;
            await Task.Delay(25, Cancellation);
        }
        const string Messages = "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]";
        (string Path, string Body)[] doors =
        [
            ("/v1/chat/completions", Messages), ("/v1/responses", "\"input\":\"Hi\""), ("/v1/messages", "\"max_tokens\":9," + Messages),
            ("/v1/completions", "\"prompt\":\"Hi\""), ("/api/chat", Messages), ("/api/generate", "\"prompt\":\"Hi\""),
        ];
        var count = 0;
        foreach (var key in (string[])["k1", secret])
        {
            foreach (var (path, body) in doors)
            {
                foreach (var stream in (string[])["true", "false"])
                {
                    using var response = await SendAsync(hub, HttpMethod.Post, path, $"{{\"model\":\"m\",\"stream\":{stream},{body}}}", key);
                    Assert.True(response.IsSuccessStatusCode, $"{path} {stream}: {await response.Content.ReadAsStringAsync(Cancellation)}");
                    await response.Content.ReadAsStringAsync(Cancellation);
                    await EndAsync(hub);
                    Assert.Equal(++count, Rows().Count);
                }
            }
        }
        Assert.Equal(0, unheld);
        Assert.Equal(2, Rows().Select(static row => row.Row.Key).Distinct().Count());
    }

    private sealed class HoldCheck(Action check) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            check();
            return base.SendAsync(request, cancellationToken);
        }
    }

    // T03: nobody needs a key, and the hub's own budget holds all the same.
    [Fact]
    public async Task An_open_hub_with_a_budget_counts_everybody()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says(ScriptedUpstream.Usage(50, 50), "a", "b"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "", "hub: {budget: {tokens: 100, per: month}}\n");
        using (var first = await AskAsync(hub, key: "")) await UpstreamHub.EventsAsync(first);
        await EndAsync(hub);
        using var second = await AskAsync(hub, key: "");
        Assert.Equal(HttpStatusCode.TooManyRequests, second.StatusCode);
    }

    // T31: with a key the answer goes on without its client, and has one row, at its end.
    [Fact]
    public async Task An_answer_with_a_key_whose_client_leaves_has_one_row_at_its_end()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await gate.Task;
            await Says(ScriptedUpstream.Usage(7, 3), "b", "c")(reply);
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n");
        using (var response = await AskAsync(hub, headers: ("Idempotency-Key", "i")))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            await reader.ReadLineAsync(Cancellation);
        }
        gate.SetResult();
        await EndAsync(hub);
        var (row, attempts) = Assert.Single(Rows());
        Assert.Equal(("completed", 7, 3, false), (row.EndedBy, row.Usage.PromptTokens, row.Usage.CompletionTokens, row.IsEstimated));
        Assert.Single(attempts);
    }

    // T33: usage that comes behind the finish is exact as long as somebody waits for it; T38: zero that is stated is zero, and nothing stated is a guess that says so.
    [Theory]
    [InlineData("stated", 7, 0, false)]
    [InlineData("zero", 0, 0, false)]
    [InlineData("late", 7, 2, false)]
    [InlineData("missing", -1, 1, true)]
    [InlineData("never", -1, 1, true)]
    public async Task What_is_not_stated_is_a_guess_and_what_is_stated_is_not(string how, int prompt, int output, bool isEstimated)
    {
        var clock = new ManualTimeProvider();
        var forever = new TaskCompletionSource();
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var piece in (string[])["a", "b"]) await reply.EventAsync(ScriptedUpstream.Text(piece));
            await reply.EventAsync(ScriptedUpstream.Finish());
            if (how == "late") await Task.Yield();
            if (how == "never") await forever.Task.WaitAsync(TimeSpan.FromSeconds(20)).ContinueWith(static _ => { }, TaskScheduler.Default);
            if (how is not ("missing" or "never")) await reply.EventAsync(ScriptedUpstream.Usage(prompt, output));
            await reply.EventAsync("[DONE]");
        });
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n", time: how == "never" ? clock : null);
        using (var response = await AskAsync(hub))
        {
            var reading = UpstreamHub.EventsAsync(response);
            // Nobody waits for usage longer than that.
            while (how == "never" && !reading.IsCompleted)
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                await Task.WhenAny(reading, Task.Delay(20, Cancellation));
            }
            await reading;
        }
        forever.TrySetResult();
        var ending = EndAsync(hub);
        while (!ending.IsCompleted)
        {
            if (how == "never") clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(ending, Task.Delay(20, Cancellation));
        }
        await ending;
        var (row, attempts) = Assert.Single(Rows());
        Assert.Equal((output, isEstimated), (row.Usage.CompletionTokens, row.IsEstimated));
        if (prompt >= 0) Assert.Equal(prompt, row.Usage.PromptTokens);
        else Assert.True(row.Usage.PromptTokens > 0);
        Assert.All(attempts, attempt => Assert.Equal(isEstimated, attempt.IsEstimated));
    }

    // T53: a hub that is told to stop has written down everything, the answer that ran included.
    [Fact]
    public async Task A_hub_that_stops_has_written_down_everything()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says(ScriptedUpstream.Usage(7, 2), "a", "b"), async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await reply.StallAsync();
        });
        var limits = new Limits { LedgerInterval = TimeSpan.FromHours(1), BackoffFirst = TimeSpan.FromMilliseconds(1), ErrorEventLead = TimeSpan.FromMilliseconds(20) };
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1}\n", services: services => services.AddSingleton(limits));
        using (var first = await AskAsync(hub)) await UpstreamHub.EventsAsync(first);
        using var second = await AskAsync(hub);
        using var reader = new StreamReader(await second.Content.ReadAsStreamAsync(Cancellation));
        await reader.ReadLineAsync(Cancellation);
        await hub.StopAsync();
        var rows = Rows();
        // Whether its reader is sent away or the answer ends first is a race.
        Assert.Contains(string.Join(' ', rows.Select(static row => row.Row.EndedBy).Order(StringComparer.Ordinal)), (string[])["cancelled completed", "completed failed"]);
        Assert.All(rows, static row => Assert.True(row.Row.Usage.TotalTokens > 0));
    }

    // T55: a commit that fails in any way is made again, whole and in order; nothing is dropped, and nothing is there twice.
    [Fact]
    public async Task Commits_that_fail_are_repeated_and_nothing_is_dropped()
    {
        var random = new Random(5);
        const int Fails = 20;
        var fails = 0;
        var file = new LedgerFile(LedgerPath, step: step =>
        {
            // A commit has as many steps as rows have come meanwhile: with faults for ever a long one would never get through.
            if (fails == Fails || random.Next(20) != 0) return;
            fails++;
            throw random.Next(2) == 0 ? new SqliteException("database is locked", 5) : new IOException($"no {step}");
        });
        using (var ledger = new LedgerWriter(file, isStrict: false, new Limits { LedgerInterval = TimeSpan.FromMilliseconds(1), StoreRetry = TimeSpan.FromMilliseconds(1) }, TimeProvider.System, NullLogger.Instance))
        {
            await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(async () =>
            {
                for (var i = 0; i < 50; i++)
                {
                    ledger.Add(new LedgerEntry(Row($"a{thread}-{i}", 1, null), []));
                    if (i % 5 == 0) await Task.Yield();
                    ledger.Add(new LedgerEntry(
                        Row($"a{thread}-{i}", 2, 5), [new AttemptRow($"a{thread}-{i}", 0) { Began = 1, Ended = 5, Key = "k", Model = "m", Upstream = "u", Role = "answer", ChargedTokens = 3 }]));
                }
            })));
            while (!await ledger.FlushAsync()) await Task.Delay(1, Cancellation);
        }
        Assert.Equal(Fails, fails);
        using var reader = new LedgerFile(LedgerPath);
        Assert.Equal((400, 400), reader.CountRows());
        Assert.Equal(1200, reader.Count("key", "k", 0, isMoney: false));
        Assert.Equal(400, reader.ReadUsage(0, long.MaxValue / 2, []).Single().Requests);
        Assert.Null(reader.FindDifference());

        static AnswerRow Row(string id, int revision, long? ended) => new(id, revision) { Began = 1, Ended = ended, Key = "k", Model = "m", Door = "chat", PriceVersion = "1" };
    }

    // T56: names and forms as OpenAI's; what an upstream says of its own limits stays there.
    [Fact]
    public async Task Limits_are_said_in_every_reply_and_never_the_upstreams()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var name in (string[])["requests", "tokens"])
            {
                reply.Response.Headers[$"x-ratelimit-limit-{name}"] = "99999";
                reply.Response.Headers[$"x-ratelimit-remaining-{name}"] = "99998";
                reply.Response.Headers[$"x-ratelimit-reset-{name}"] = "9d";
            }
            reply.Response.Headers["anthropic-ratelimit-requests-remaining"] = "99997";
            await Says(ScriptedUpstream.Usage(7, 2), "a", "b")(reply);
        });
        // Without time nothing comes back.
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, rpm: 2, tpm: 100000}\n  - {name: k2, key: k2}\n", time: new ManualTimeProvider());
        foreach (var (stream, status) in ((bool, int)[])[(true, 200), (false, 200), (true, 429)])
        {
            using var response = await AskAsync(hub, stream: stream);
            Assert.Equal(status, (int)response.StatusCode);
            foreach (var name in (string[])["requests", "tokens"])
            {
                Assert.Equal(name == "requests" ? "2" : "100000", response.Headers.GetValues($"x-ratelimit-limit-{name}").Single());
                Assert.InRange(long.Parse(response.Headers.GetValues($"x-ratelimit-remaining-{name}").Single(), System.Globalization.CultureInfo.InvariantCulture), 0, 99_990);
                Assert.Matches("^(\\d+ms|[\\d.]+s|\\d+m\\d+s)$", response.Headers.GetValues($"x-ratelimit-reset-{name}").Single());
            }
            Assert.False(response.Headers.Contains("anthropic-ratelimit-requests-remaining"));
            await response.Content.ReadAsStringAsync(Cancellation);
            await EndAsync(hub);
        }
        using var unlimited = await AskAsync(hub, "k2");
        Assert.DoesNotContain(unlimited.Headers, static header => header.Key.Contains("ratelimit", StringComparison.OrdinalIgnoreCase));
    }

    // T59: what is said of a key is in no cache; what administrators are told is in AdminDoorTests.
    [Fact]
    public async Task What_is_said_of_a_key_is_not_to_be_cached()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says("", "a"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, rpm: 5}\n");
        using var response = await SendAsync(hub, HttpMethod.Get, "/v1/key");
        Assert.Equal("no-store", response.Headers.CacheControl?.ToString());
    }

    // T69: nobody finds in any file of the hub who it was.
    [Fact]
    public async Task A_person_that_is_forgotten_is_in_no_file()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says(ScriptedUpstream.Usage(7, 2), "a"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, tags: {env: canary-of-tags}}\n");
        for (var i = 0; i < 40; i++)
            using (var response = await AskAsync(hub, more: ",\"user\":\"canary@example.com\"")) await UpstreamHub.EventsAsync(response);
        await EndAsync(hub);
        string subject;
        using (var file = new LedgerFile(LedgerPath))
        {
            subject = Subject.HashOf(file.GetSubjectSecret(), "canary@example.com");
            Assert.Contains(subject, TextOfFiles(), StringComparison.Ordinal);
            Assert.Equal(40, file.Forget(subject, new AuditRow(1, "test", "forget", "", null, null)));
        }
        Assert.DoesNotContain(subject, TextOfFiles(), StringComparison.Ordinal);
        Assert.DoesNotContain("canary", TextOfFiles(), StringComparison.Ordinal);
        Assert.Equal(40 * 9, Rows().Sum(static row => row.Row.Usage.TotalTokens));

        string TextOfFiles() => string.Concat(Directory.GetFiles(_folder).Where(static path => !path.EndsWith("-lock", StringComparison.Ordinal)).Select(static path =>
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var reader = new StreamReader(stream, Encoding.Latin1);
            return reader.ReadToEnd();
        }));
    }

    // T77: a key that runs out while a stream runs ends nothing, and lets nobody come back to it.
    [Fact]
    public async Task A_key_that_expires_in_the_middle_ends_no_stream_and_attaches_to_none()
    {
        var clock = new ManualTimeProvider();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await gate.Task;
            await Says(ScriptedUpstream.Usage(7, 2), "b")(reply);
        });
        var expires = clock.GetUtcNow().AddSeconds(10).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", System.Globalization.CultureInfo.InvariantCulture);
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), $"  - {{name: k1, key: k1, expires: \"{expires}\"}}\n", time: clock);
        using var response = await AskAsync(hub);
        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        await reader.ReadLineAsync(Cancellation);
        clock.Advance(TimeSpan.FromSeconds(12));
        using var attach = await SendAsync(hub, HttpMethod.Get, $"/v1/chat/completions/{id}?stream=true");
        Assert.Equal(HttpStatusCode.Unauthorized, attach.StatusCode);
        Assert.Contains("key_expired", await attach.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        gate.SetResult();
        Assert.EndsWith("data: [DONE]\n\n", await reader.ReadToEndAsync(Cancellation), StringComparison.Ordinal);
    }

    // T90: two clients with one key, at once.
    [Fact]
    public async Task A_key_that_comes_from_many_clients_at_once_is_one_row()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(Says(ScriptedUpstream.Usage(7, 2), "a", "b"));
        await using var hub = await StartAsync(UpstreamHub.Model("m", upstream), "  - {name: k1, key: k1, budget: {tokens: 1000, per: day}}\n");
        for (var round = 0; round < 20; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
            {
                using var response = await AskAsync(hub, headers: ("Idempotency-Key", $"i{round}"));
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                await response.Content.ReadAsStringAsync(Cancellation);
            }));
        }
        await EndAsync(hub);
        var rows = Rows();
        Assert.Equal((20, 20 * 9), (rows.Count, rows.Sum(static row => row.Row.Usage.TotalTokens)));
        Assert.Equal(20, upstream.Calls.Count);
    }

    // T92: what the answers' file knows and the ledger does not is settled from it; what the ledger has settled stays.
    [Fact]
    public async Task Files_that_disagree_at_a_start_are_put_in_order_each_way()
    {
        SluiceOptions Kept(SluiceOptions options) => options with { Store = StoreKind.Sqlite, StorePath = Path.Combine(_folder, "answers.db") };
        await using var upstream = await ScriptedUpstream.StartAsync(Says(ScriptedUpstream.Usage(20, 3), "a", "b", "c"));
        const string Key = "  - {name: k1, key: k1, budget: {tokens: 1000, per: month}}\n";
        await using (var hub = await StartAsync(UpstreamHub.Model("m", upstream), Key, configure: Kept))
        {
            using (var response = await AskAsync(hub, headers: ("Idempotency-Key", "i"))) await UpstreamHub.EventsAsync(response);
            await EndAsync(hub);
            await hub.StopAsync();
        }
        // As if the process had been killed between the two commits.
        using (var connection = new SqliteConnection($"Data Source={LedgerPath};Pooling=false"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "update usage_answer set ended = null, ended_by = '', revision = 1, prompt = 6, output = 0; delete from usage_attempt; delete from usage_hour; delete from usage_day";
            command.ExecuteNonQuery();
        }
        await using (var hub = await StartAsync(UpstreamHub.Model("m", upstream), Key, configure: Kept))
        {
            var (row, attempts) = Assert.Single(Rows());
            Assert.Equal((20, 3, 23L), (row.Usage.PromptTokens, row.Usage.CompletionTokens, attempts.Single().ChargedTokens));
            using var key = await SendAsync(hub, HttpMethod.Get, "/v1/key");
            Assert.Contains("\"used\":23", await key.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
            await hub.StopAsync();
        }
        foreach (var path in Directory.GetFiles(_folder, "answers.db*")) File.Delete(path);
        await using (var hub = await StartAsync(UpstreamHub.Model("m", upstream), Key, configure: Kept))
        {
            var (row, _) = Assert.Single(Rows());
            Assert.Equal((20, 3), (row.Usage.PromptTokens, row.Usage.CompletionTokens));
            using var file = new LedgerFile(LedgerPath);
            Assert.Null(file.FindDifference());
        }
    }
}
