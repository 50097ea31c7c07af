using System.Diagnostics.Metrics;
using System.Net;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Inference.Scheduling;
using Sluice.Server.Answers;
using Sluice.Server.Cluster;
using Sluice.Server.Ledger;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Telemetry;
using Sluice.Testing;
using Sluice.Tests.Inference.Scheduling;
using Sluice.Tests.Inference.Gguf;
using Sluice.Tests.Repository;
using Sluice.Tests.Server.Routing;
using Sluice.Tests.Server.Storage;
using Xunit;

namespace Sluice.Tests.Server.Telemetry;

/// <summary>What <c>/metrics</c> says about requests to real servers.</summary>
public sealed class MetricsTests
{
    private const string Model = "gen_ai_request_model=\"m\"";

    [Fact]
    public async Task Only_content_counts_for_the_times_of_tokens()
    {
        var time = new ManualTimeProvider();
        var steps = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            string[] frames =
            [
                ScriptedUpstream.Role(), ScriptedUpstream.Chunk("""{"index":0,"delta":{"content":""},"finish_reason":null}"""), """{"type":"ping"}""",
                ScriptedUpstream.Text("a"), ScriptedUpstream.Text("b"), ScriptedUpstream.Role(), ScriptedUpstream.Text("c"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(7, 3),
            ];
            foreach (var frame in frames)
            {
                await reply.EventAsync(frame);
                if (frame.Contains("\"content\":\"a\"", StringComparison.Ordinal)) await steps.WaitAsync(reply.Aborted);
            }
            await reply.EventAsync("[DONE]");
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    aliases: [alias]\n", time);
        var asking = hub.PostAsync(UpstreamHub.Ask("alias"));
        await upstream.NextCallAsync(TestContext.Current.CancellationToken);
        using var response = await asking;
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        while (!(await reader.ReadLineAsync(TestContext.Current.CancellationToken))!.Contains("\"content\":\"a\"", StringComparison.Ordinal))
        {
        }
        Assert.Equal(1, (await Scrape.GetAsync(hub.Http)).Sum("sluice_requests_in_flight", Model));
        time.Advance(TimeSpan.FromSeconds(2));
        steps.Release();
        Assert.Contains("[DONE]", await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);

        var scrape = await Scrape.WhenIdleAsync(hub.Http);
        Assert.Equal(1, scrape.Sum("gen_ai_server_time_to_first_token_seconds_count", Model));
        Assert.Equal(0, scrape.Sum("gen_ai_server_time_to_first_token_seconds_sum", Model));
        Assert.Equal(2, scrape.Sum("sluice_stream_inter_token_seconds_count", Model));
        Assert.Equal(2, scrape.Sum("sluice_stream_inter_token_seconds_sum", Model));
        Assert.Equal(1, scrape.Sum("sluice_stream_inter_token_seconds_bucket", Model, "le=\"1\""));
        Assert.Equal(2, scrape.Sum("sluice_stream_inter_token_seconds_bucket", Model, "le=\"2.5\""));
        Assert.Equal(1, scrape.Sum("gen_ai_server_time_per_output_token_seconds_sum", Model));
        Assert.Equal(2, scrape.Sum("gen_ai_server_request_duration_seconds_sum", Model));
        Assert.Equal(7, scrape.Sum("gen_ai_client_token_usage_sum", Model, "type=\"input\"", "sluice_estimated=\"false\""));
        Assert.Equal(3, scrape.Sum("gen_ai_client_token_usage_sum", Model, "type=\"output\"", "sluice_estimated=\"false\""));
        Assert.Equal(1, scrape.Sum("sluice_attempts_total", Model, $"sluice_upstream=\"{upstream.Url}\"", "sluice_outcome=\"answered\""));
        Assert.DoesNotContain("alias", scrape.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failures_are_counted_by_what_became_of_them()
    {
        await using var broken = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, "{}"));
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var strict = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(400, """{"error":{"message":"no","type":"invalid_request_error"}}"""));
        await using var hub = await UpstreamHub.StartAsync(
            UpstreamHub.Model("m", broken, sound) + UpstreamHub.Model("strict", strict) + UpstreamHub.Model("lost", broken) + "    retries: 1\n    fallbacks: [m]\n");
        for (var i = 0; i < 3; i++) await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask()));
        Assert.Equal(HttpStatusCode.BadRequest, (await hub.PostAsync(UpstreamHub.Ask("strict"))).StatusCode);
        await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask("lost")));
        Assert.Equal(HttpStatusCode.NotFound, (await hub.PostAsync(UpstreamHub.Ask("no-such-model"))).StatusCode);

        var scrape = await Scrape.WhenIdleAsync(hub.Http);
        Assert.Equal(3, scrape.Sum("sluice_attempts_total", Model, "faulted", broken.Url));
        Assert.Equal(3, scrape.Sum("sluice_attempts_total", Model, "answered", sound.Url));
        Assert.Equal(3, scrape.Sum("sluice_failovers_total", Model, "sluice_step=\"upstream\""));
        Assert.Equal(1, scrape.Sum("sluice_attempts_total", "model=\"strict\"", "refused"));
        Assert.Equal(1, scrape.Sum("gen_ai_server_request_duration_seconds_count", "model=\"strict\"", "error_type=\"400\""));
        Assert.Equal(1, scrape.Sum("sluice_failovers_total", "model=\"lost\"", "sluice_step=\"retry\""));
        Assert.Equal(1, scrape.Sum("sluice_failovers_total", "model=\"lost\"", "sluice_step=\"fallback\""));
        Assert.Equal(2, scrape.Sum("sluice_upstream_breaker", Model, broken.Url));
        Assert.Equal(0, scrape.Sum("sluice_upstream_breaker", Model, sound.Url));
        Assert.Equal(0, scrape.Sum("sluice_upstream_in_flight", Model, sound.Url));
        Assert.DoesNotContain("no-such-model", scrape.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_breaks_off_for_good_has_the_usage_that_it_took()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            foreach (var text in (string[])["1234", "5678", "1234"]) await reply.EventAsync(ScriptedUpstream.Text(text));
            await reply.CutAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var (events, isWhole) = await UpstreamHub.ReadAsync(await hub.PostAsync(UpstreamHub.Ask(), default, ("Sluice-Rescue", "off")));
        Assert.False(isWhole);
        Assert.DoesNotContain(events, item => item.Contains("finish_reason\":\"", StringComparison.Ordinal));
        var scrape = await Scrape.WhenIdleAsync(hub.Http);
        // A quarter of the bytes.
        Assert.Equal(3, scrape.Sum("gen_ai_client_token_usage_sum", Model, "type=\"output\"", "sluice_estimated=\"true\""));
    }

    [Fact]
    public async Task A_rescue_is_counted_by_its_method_and_its_attempts_with_the_request()
    {
        await using var cut = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await reply.CutAsync();
        });
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a", "b"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", cut, sound));
        await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask()));
        var scrape = await Scrape.WhenIdleAsync(hub.Http);
        Assert.Equal(1, scrape.Sum("sluice_rescues_total", Model, "sluice_method=\"rerun\""));
        Assert.Equal(1, scrape.Sum("sluice_attempts_total", Model, "broken", cut.Url));
        Assert.Equal(1, scrape.Sum("sluice_attempts_total", Model, "answered", sound.Url));
        // The prompt was paid twice, and the client got one answer.
        foreach (var (role, url) in (ReadOnlySpan<(string, string)>)[("replaced", cut.Url), ("answer", sound.Url)])
            Assert.InRange(scrape.Sum("sluice_attempt_tokens_total", Model, "type=\"input\"", $"sluice_role=\"{role}\"", url) ?? 0, 1, 1_000);
        Assert.Null(scrape.Sum("sluice_attempt_tokens_total", Model, "sluice_role=\"replaced\"", sound.Url));
        Assert.Equal(1, scrape.Sum("gen_ai_server_time_to_first_token_seconds_count", Model));
        Assert.Equal(1, scrape.Sum("gen_ai_server_request_duration_seconds_count", Model));
        Assert.Null(scrape.Sum("sluice_failovers_total", Model));
    }

    [Fact]
    public async Task Tokens_that_an_upstream_found_in_its_cache_are_counted()
    {
        const string Cached = ""","prompt_tokens_details":{"cached_tokens":5}}}""";
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("a"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage()[..^2] + Cached, "[DONE]"])
                await reply.EventAsync(frame);
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        for (var i = 0; i < 2; i++) await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask()));
        Assert.Equal(10, (await Scrape.WhenIdleAsync(hub.Http)).Sum("sluice_prompt_cached_tokens_total", Model));
    }

    [Fact]
    public void A_hedge_is_counted()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new HubMetrics(services.GetRequiredService<IMeterFactory>());
        using var counted = new MetricCollector(metrics);
        var record = new RequestFigures(TimeProvider.System, new RequestMeter(metrics, "m", null, "chat"));
        record.AddHedge();
        record.AddHedge();
        Assert.Equal(2, counted.Sum("sluice.hedges"));
        Assert.Equal(2, record.HedgeCount);
    }

    private sealed class MetricCollector : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly Dictionary<string, long> _sums = [];

        public MetricCollector(HubMetrics metrics)
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter == metrics.Meter && !instrument.IsObservable) listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => _sums[instrument.Name] = _sums.GetValueOrDefault(instrument.Name) + value);
            _listener.Start();
        }

        public long Sum(string name) => _sums.GetValueOrDefault(name);

        public void Dispose() => _listener.Dispose();
    }

    [Fact]
    public async Task A_client_that_leaves_is_an_abort_with_what_it_took()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("abcdefgh"));
            await reply.StallAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using (var response = await hub.PostAsync(UpstreamHub.Ask()))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            // Headers may be here before the event is counted.
            await using var body = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
            Assert.NotEqual(-1, body.ReadByte());
        }
        var scrape = await Scrape.WhenIdleAsync(hub.Http);
        // The duration is the last that is written down, when nothing is in flight any more.
        while (scrape.Sum("gen_ai_server_request_duration_seconds_count", Model, "error_type=\"client_left\"") is null)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            scrape = await Scrape.WhenIdleAsync(hub.Http);
        }
        Assert.Equal(1, scrape.Sum("sluice_requests_aborted_total", Model, "sluice_cause=\"client_left\""));
        Assert.Equal(1, scrape.Sum("gen_ai_server_request_duration_seconds_count", Model, "error_type=\"client_left\""));
        Assert.Equal(2, scrape.Sum("gen_ai_client_token_usage_sum", Model, "output", "sluice_estimated=\"true\""));
        Assert.Equal(1, scrape.Sum("sluice_attempts_total", Model, "cancelled"));
    }

    [Fact]
    public async Task It_is_asked_with_a_key_where_keys_are_set()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "api_keys: [sk-1]\n");
        Assert.Equal(HttpStatusCode.Unauthorized, (await hub.Http.GetAsync("/metrics", TestContext.Current.CancellationToken)).StatusCode);
        hub.Http.DefaultRequestHeaders.Add("Authorization", "Bearer sk-1");
        using var response = await hub.Http.GetAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await hub.Http.PostAsync("/metrics", null, TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task The_text_is_what_Prometheus_reads()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("\"quo\\\"ted \\\\ \"", upstream));
        await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask("quo\\\"ted \\\\")));
        var text = (await Scrape.WhenIdleAsync(hub.Http)).Text;
        Assert.Contains("""gen_ai_request_model="quo\"ted \\" """.TrimEnd(), text, StringComparison.Ordinal);
        var lines = text.Split('\n');
        Assert.Equal("", lines[^1]);
        foreach (var line in lines.Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)))
        {
            var words = line.Split(' ');
            Assert.Contains(words[3], (string[])["counter", "gauge", "histogram"]);
            Assert.Equal(words[3] == "counter", words[2].EndsWith("_total", StringComparison.Ordinal));
            Assert.Single(lines, other => other.StartsWith($"# HELP {words[2]} ", StringComparison.Ordinal));
        }
    }

    // The engine's clock stands, so that rows cost nothing: whatever can be guessed is, on every machine.
    [Fact]
    public async Task What_the_engine_guesses_is_counted_once_for_a_file_and_goes_on_behind_an_unload()
    {
        using var file = new TemporaryGguf(new TinyModel("noise").ToArray());
        var engines = new List<InferenceEngine>();
        await using var hub = await UpstreamHub.StartAsync(
            $"  - id: m\n    gguf: {file.Path}\n  - id: same\n    gguf: {file.Path}\n",
            services: services => services.AddSingleton(new EngineFactory<InferenceEngine>(
                _ =>
                {
                    engines.Add(new InferenceEngine(new NoiseModel(1 << 14, memory: DrawnRequests.ShortMemory), new EngineOptions(), new ManualTimeProvider()));
                    return engines[^1];
                },
                _ => 0,
                DraftCounts.Of)));
        Assert.Equal(0, (await Scrape.GetAsync(hub.Http)).Sum("sluice_engine_drafted_tokens_total"));

        await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask("same", more: Repeating)));
        var first = await SettledAsync(engines[0]);
        await AssertCountedAsync(first);
        await Scrape.WhenIdleAsync(hub.Http);
        var memory = hub.Services.GetRequiredService<LoadedModels<InferenceEngine>>();
        memory.Retain([], null);
        // The lease may be given back a moment after the last event.
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (memory.PresenceOf(file.Path) != ModelPresence.Absent)
        {
            patience.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
        memory.Retain([file.Path], null);
        await AssertCountedAsync(first);

        await UpstreamHub.EventsAsync(await hub.PostAsync(UpstreamHub.Ask("m", more: Repeating)));
        await AssertCountedAsync(first + await SettledAsync(engines[1]));

        // Behind a request whose only token has nothing to be guessed, the last step of the answer is over.
        async Task<DraftCounts> SettledAsync(InferenceEngine engine)
        {
            await SuspendedRun.RunAsync(engine, _ => { }, new GenerationRequest { PromptTokens = [65], MaxTokens = 1 });
            var counts = DraftCounts.Of(engine);
            Assert.InRange(counts.Accepted, 1, counts.Drafted - 1);
            return counts;
        }

        async Task AssertCountedAsync(DraftCounts counts)
        {
            var scrape = await Scrape.GetAsync(hub.Http);
            Assert.Equal(counts.Drafted, scrape.Sum("sluice_engine_drafted_tokens_total", Model));
            Assert.Equal(counts.Accepted, scrape.Sum("sluice_engine_accepted_tokens_total", Model));
            Assert.DoesNotMatch("sluice_engine_[a-z_]+\\{[^}]*\"same\"", scrape.Text);
            Assert.Contains("# TYPE sluice_engine_drafted_tokens_total counter", scrape.Text, StringComparison.Ordinal);
        }
    }

    private const string Repeating = ""","seed":5,"temperature":0.6,"max_tokens":400,"logit_bias":{"257":-100}""";

    [Fact]
    public void The_documents_list_every_metric_and_no_other()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new HubMetrics(services.GetRequiredService<IMeterFactory>());
        var names = new List<string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter == metrics.Meter) names.Add(instrument.Name);
        };
        listener.Start();
        HubMeasurements.Register(metrics.Meter, null!, null!);
        using var recorder = new AnswerRecorder(new MemoryAnswerStore(), new Limits(), 1, TimeProvider.System, NullLogger.Instance, metrics.Meter);
        using var ledger = new LedgerWriter(new LedgerFile("unused"), isStrict: false, new Limits(), TimeProvider.System, NullLogger.Instance);
        ledger.Measure(metrics.Meter);
        _ = new ClusterMetrics(metrics.Meter);
        var documented = Regex.Matches(RepositoryFiles.Read("docs/observability.md"), @"^\| `((?:sluice|gen_ai)\.[a-z_.]+)` \|", RegexOptions.Multiline).Select(match => match.Groups[1].Value);
        Assert.Equal(names.Order(), documented.Order());
    }

    [Fact]
    public void A_piece_of_content_allocates_nothing()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new HubMetrics(services.GetRequiredService<IMeterFactory>());
        using var text = new PrometheusText(metrics);
        var meter = new RequestMeter(metrics, "m", null, "chat");
        meter.NextContent(TimeSpan.FromMilliseconds(1));
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 1000; i++) meter.NextContent(TimeSpan.FromMilliseconds(i));
        }));
    }
}
