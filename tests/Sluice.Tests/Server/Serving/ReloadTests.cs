using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Sluice.Tests.Server.Telemetry;
using Xunit;

namespace Sluice.Tests.Server.Serving;

/// <summary>A hub whose configuration changes while it runs.</summary>
public sealed class ReloadTests : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-reload-").FullName;
    private readonly ManualTimeProvider _time = new();
    private readonly LogLines _log = new();
    private WebApplication? _application;
    private HttpClient? _http;

    private string ConfigurationPath => Path.Combine(_folder, "sluice.yaml");

    private HttpClient Http => _http!;

    private Hub Configuration => _application!.Services.GetRequiredService<Hub>();

    public async ValueTask DisposeAsync()
    {
        _http?.Dispose();
        if (_application is not null)
        {
            using var now = new CancellationTokenSource(s_patience);
            await _application.StopAsync(now.Token);
            await _application.DisposeAsync();
        }
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task The_store_and_the_drain_stay_and_the_log_says_so()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));
        await StartAsync(UpstreamHub.Model("m", upstream));
        var before = Configuration.Options;
        Configuration.Apply(before, Configuration.Catalog);
        Assert.DoesNotContain(_log.Lines, line => line.Contains("'store'", StringComparison.Ordinal));
        Configuration.Apply(before with { Store = StoreKind.Off, Drain = TimeSpan.FromMinutes(1) }, Configuration.Catalog);
        Assert.Equal((before.Store, before.Drain), (Configuration.Options.Store, Configuration.Options.Drain));
        Assert.Single(_log.Lines, line => line.Contains("'certificate', 'store', 'store_path', 'store_size', 'drain', 'stop_delay', 'ledger', 'admin_listen', 'console', 'cluster' and 'transport' can't change", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reloads_under_load_lose_no_stream()
    {
        const int StreamsPerReload = 8;
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Func<UpstreamReply, Task> script = async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await open.Task;
            await reply.EventAsync(ScriptedUpstream.Text("b"));
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync("[DONE]");
        };
        await using var first = await ScriptedUpstream.StartAsync(script);
        await using var second = await ScriptedUpstream.StartAsync(script);
        // Unchanged but for the file, another timeout, another server, both, and the first one again.
        string[] configurations =
        [
            UpstreamHub.Model("m", first),
            "# again\n" + UpstreamHub.Model("m", first),
            UpstreamHub.Model("m", first) + "    timeouts: {idle: 20s}\n",
            UpstreamHub.Model("m", second),
            UpstreamHub.Model("m", second, first) + UpstreamHub.Model("n", first),
            UpstreamHub.Model("m", first),
        ];
        await StartAsync(configurations[0]);

        var streams = new List<HttpResponseMessage>();
        foreach (var models in configurations)
        {
            if (models != configurations[0] || streams.Count > 0) Change(models);
            for (var i = 0; i < StreamsPerReload; i++) streams.Add(await AskAsync("m"));
        }
        // Of those in the middle nobody is left that any configuration of now names.
        Assert.Equal(configurations.Length - 1, _log.Lines.Count(line => line.Contains("is applied", StringComparison.Ordinal)));
        open.SetResult();
        foreach (var stream in streams)
        {
            var events = await UpstreamHub.EventsAsync(stream);
            Assert.Equal(5, events.Count);
            Assert.Equal("[DONE]", events[^1]);
            stream.Dispose();
        }
        Assert.Equal(StreamsPerReload * configurations.Length, streams.Count);
        Assert.Equal(streams.Count, first.Calls.Count + second.Calls.Count);
        Assert.Equal(StreamsPerReload * 2, second.Calls.Count);
    }

    [Fact]
    public async Task Requests_that_come_while_the_configuration_changes_are_all_answered()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync(UpstreamHub.Model("m", upstream));
        using var done = new CancellationTokenSource();
        var asking = Enumerable.Range(0, 4).Select(async _ =>
        {
            var count = 0;
            while (!done.IsCancellationRequested)
            {
                using var response = await AskAsync("m");
                Assert.Equal("[DONE]", (await UpstreamHub.EventsAsync(response))[^1]);
                count++;
            }
            return count;
        }).ToList();
        for (var i = 0; i < 100; i++)
        {
            var options = Parse(UpstreamHub.Model("m", upstream) + $"    timeouts: {{idle: {20 + i}s}}\n");
            Configuration.Apply(options, ModelCatalog.Create(options, []));
            await Task.Yield();
        }
        await done.CancelAsync();
        var counts = await Task.WhenAll(asking);
        Assert.Equal(counts.Sum(), upstream.Calls.Count);
    }

    [Fact]
    public async Task A_model_that_is_added_is_there_and_one_that_is_removed_is_not()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync(UpstreamHub.Model("old", upstream));
        Assert.Equal(["old"], await ModelsAsync());

        Change(UpstreamHub.Model("new", upstream) + "    aliases: [alias]\n");

        Assert.Equal(["new", "alias"], await ModelsAsync());
        Assert.Equal(HttpStatusCode.NotFound, (await AskAsync("old")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("alias")).StatusCode);
        Assert.Contains("Information: The new configuration is applied; models: 1, added: new, removed: old.", _log.Lines);
    }

    [Fact]
    public async Task A_bad_file_is_refused_with_its_place_and_what_runs_stays()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync(UpstreamHub.Model("m", upstream));

        Change("  - {id: m, gguff: a}\n  - {id: n, gguf: nowhere.gguf}\n");
        Assert.Contains(_log.Lines, line => line.StartsWith(
            $"Error: The new configuration is refused, and the current one stays: {ConfigurationPath}:3:13: unknown key 'gguff'; did you mean 'gguf'?", StringComparison.Ordinal));
        Change("  - {id: n, gguf: nowhere.gguf}\n");
        Assert.Contains(_log.Lines, line => line.Contains($"{ConfigurationPath}:3:19: there is no file 'nowhere.gguf'", StringComparison.Ordinal));
        Assert.Equal(["m"], await ModelsAsync());
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("m")).StatusCode);

        // It is said once, not at every look.
        var count = _log.Lines.Count(line => line.StartsWith("Error", StringComparison.Ordinal));
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(count, _log.Lines.Count(line => line.StartsWith("Error", StringComparison.Ordinal)));

        Change(UpstreamHub.Model("better", upstream));
        Assert.Equal(["better"], await ModelsAsync());
    }

    [Fact]
    public async Task A_half_written_file_and_a_missing_one_are_not_read()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync(UpstreamHub.Model("m", upstream));

        File.WriteAllText(ConfigurationPath, "models:\n  - {id: m, ");
        _time.Advance(TimeSpan.FromSeconds(1));
        File.Delete(ConfigurationPath);
        _time.Advance(TimeSpan.FromSeconds(3));
        Write(UpstreamHub.Model("n", upstream));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["m"], await ModelsAsync());
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["n"], await ModelsAsync());
        Assert.DoesNotContain(_log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_link_that_is_turned_to_another_folder_is_a_change()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        // As Kubernetes mounts a config map: the file is a link through ..data, which is turned.
        foreach (var (folder, model) in (ReadOnlySpan<(string, string)>)[("1", "m"), ("2", "n")])
        {
            Directory.CreateDirectory(Path.Combine(_folder, folder));
            File.WriteAllText(Path.Combine(_folder, folder, "sluice.yaml"), Yaml(UpstreamHub.Model(model, upstream)));
        }
        Directory.CreateSymbolicLink(Path.Combine(_folder, "..data"), "1");
        File.CreateSymbolicLink(ConfigurationPath, Path.Combine("..data", "sluice.yaml"));
        await StartAsync(null);
        Assert.Equal(["m"], await ModelsAsync());

        Directory.Delete(Path.Combine(_folder, "..data"));
        Directory.CreateSymbolicLink(Path.Combine(_folder, "..data"), "2");
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(["n"], await ModelsAsync());
    }

    [Fact]
    public async Task An_open_breaker_stays_open_where_the_upstream_is_the_same()
    {
        await using var broken = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, "{}"));
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync(UpstreamHub.Model("m", broken, sound));
        for (var i = 0; i < 5; i++) await UpstreamHub.EventsAsync(await AskAsync("m"));
        Assert.Equal(3, broken.Calls.Count);

        Change(UpstreamHub.Model("m", broken, sound) + UpstreamHub.Model("other", sound));
        await UpstreamHub.EventsAsync(await AskAsync("m"));
        Change(UpstreamHub.Model("m", broken, sound) + "    timeouts: {idle: 20s}\n");
        await UpstreamHub.EventsAsync(await AskAsync("m"));
        Assert.Equal(3, broken.Calls.Count);

        Change(UpstreamHub.Model("m", sound, broken));
        await UpstreamHub.EventsAsync(await AskAsync("m"));
        Assert.Equal(3, broken.Calls.Count);
    }

    [Fact]
    public async Task Keys_change_and_the_address_does_not()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync(UpstreamHub.Model("m", upstream));
        File.WriteAllText(ConfigurationPath, $"listen: http://127.0.0.1:1\napi_keys: [sk-other]\nmodels:\n{UpstreamHub.Model("m", upstream)}");
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync("m")).StatusCode);
        Http.DefaultRequestHeaders.Add("Authorization", "Bearer sk-other");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("m")).StatusCode);
        Assert.Contains(_log.Lines, line => line.StartsWith("Warning: 'listen' can't change while the hub runs; restart it to listen on http://127.0.0.1:1.", StringComparison.Ordinal));
        Assert.DoesNotContain("sk-other", _log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_list_of_models_has_all_of_them_and_no_secret()
    {
        await StartAsync("""
              - {id: here, gguf: ./here.gguf, aliases: [gpt-4.1]}
              - id: there
                aliases: [Llama]
                upstreams: [{url: "http://gpu-of-somebody:1/v1", api_key: sk-secret, headers: {X-Key: also-secret}}]

            """);
        Assert.Equal(["here", "gpt-4.1", "there", "Llama"], await ModelsAsync());
        var text = await Http.GetStringAsync("/v1/models", TestContext.Current.CancellationToken) + await Http.GetStringAsync("/v1/models/there", TestContext.Current.CancellationToken)
            + await Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Connections_close_with_the_last_that_has_them()
    {
        var options = new UpstreamOptions("http://gpu/v1") { Headers = new Dictionary<string, string> { ["X-Team"] = "red" } };
        using var connections = new Gauge();
        var shared = new SharedDeployment("m", options, new RouteTimeouts(), null!, connections);
        Assert.True(shared.IsFor("m", options with { Headers = new Dictionary<string, string> { ["X-Team"] = "red" } }, new RouteTimeouts()));
        Assert.False(shared.IsFor("m", options with { Headers = new Dictionary<string, string> { ["X-Team"] = "blue" } }, new RouteTimeouts()));
        Assert.False(shared.IsFor("m", options with { ApiKey = "sk" }, new RouteTimeouts()));
        Assert.False(shared.IsFor("m", options, new RouteTimeouts { Idle = TimeSpan.FromSeconds(1) }));
        Assert.False(shared.IsFor("n", options, new RouteTimeouts()));

        shared.Hold();
        shared.Release();
        Assert.Equal(0, connections.DisposeCount);
        shared.Release();
        Assert.Equal(1, connections.DisposeCount);
    }

    private sealed class Gauge : IDisposable
    {
        public int DisposeCount { get; private set; }

        public void Dispose() => DisposeCount++;
    }

    [Fact]
    public async Task An_answer_that_is_drained_is_read_to_its_end_after_its_upstream_is_removed()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var finished = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var drained = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await open.Task;
            for (var i = 0; i < 100; i++) await reply.EventAsync(ScriptedUpstream.Text(new string('b', 10_000)));
            finished.SetResult();
        });
        await using var other = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync($"  - id: m\n    upstreams: [{{url: \"{drained.Url}\", on_abort: drain}}]\n");
        (await AskAsync("m")).Dispose();
        await Scrape.WhenIdleAsync(Http);
        Change(UpstreamHub.Model("m", other));
        Assert.Contains(_log.Lines, line => line.Contains("is applied", StringComparison.Ordinal));
        open.SetResult();
        await finished.Task.WaitAsync(s_patience, TestContext.Current.CancellationToken);
        Assert.False(drained.Calls.Single().Aborted.IsCompleted);
    }

    [Fact]
    public async Task A_reload_can_be_asked_for()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await StartAsync(UpstreamHub.Model("m", upstream));
        var reload = _application!.Services.GetRequiredService<ConfigurationReload>();
        Write(UpstreamHub.Model("n", upstream));
        Assert.True(reload.Reload());
        Assert.Equal(["n"], await ModelsAsync());
        Write("nonsense");
        Assert.False(reload.Reload());
        Assert.Equal(["n"], await ModelsAsync());
    }

    private async Task StartAsync(string? models)
    {
        File.WriteAllBytes(Path.Combine(_folder, "here.gguf"), new TinyModel("here").ToArray());
        if (models is not null) Write(models);
        var source = new ConfigurationSource(ConfigurationPath, Load);
        var (options, catalog) = Load();
        _application = SluiceServer.CreateApplication(options, catalog, builder =>
        {
            builder.Logging.ClearProviders().AddProvider(_log);
            builder.Services.AddSingleton<TimeProvider>(_time).AddSingleton(new RandomSource(1));
            builder.Services.AddSingleton(new Limits { BackoffFirst = TimeSpan.FromTicks(1), ErrorEventLead = TimeSpan.Zero });
            builder.Services.AddSluiceReload(source);
        });
        await _application.StartAsync();
        _http = new HttpClient { BaseAddress = new Uri(_application.Urls.First()) };
    }

    private (SluiceOptions, ModelCatalog) Load()
    {
        var options = ConfigurationFile.Load(ConfigurationPath, _ => null);
        return (options, ModelCatalog.Create(options, []));
    }

    private static SluiceOptions Parse(string models) => ConfigurationFile.Parse(Yaml(models), "sluice.yaml", _ => null);

    private static string Yaml(string models) => $"listen: http://127.0.0.1:0\nmodels:\n{models}";

    private void Write(string models) => File.WriteAllText(ConfigurationPath, Yaml(models));

    // Seen once, and once more the same.
    private void Change(string models)
    {
        Write(models);
        _time.Advance(TimeSpan.FromSeconds(2));
    }

    private Task<HttpResponseMessage> AskAsync(string model) => Http.SendAsync(
        new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(UpstreamHub.Ask(model), System.Text.Encoding.UTF8, "application/json") },
        HttpCompletionOption.ResponseHeadersRead);

    private async Task<List<string>> ModelsAsync()
    {
        using var list = JsonDocument.Parse(await Http.GetStringAsync("/v1/models"));
        return [.. list.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!)];
    }
}
