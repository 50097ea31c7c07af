using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Testing;

namespace Sluice.Tests.Server.Routing;

/// <summary>The whole hub on a free port, with the models of a configuration.</summary>
internal sealed class UpstreamHub : IAsyncDisposable
{
    private readonly WebApplication _application;

    private UpstreamHub(WebApplication application)
    {
        _application = application;
        Http = new HttpClient { BaseAddress = new Uri(_application.Urls.First()) };
    }

    public HttpClient Http { get; }

    public string Address => _application.Urls.First();

    /// <param name="models">YAML of the <c>models</c>, two spaces indented.</param>
    /// <param name="time">The hub's clock; null for the real one.</param>
    /// <param name="limits">Bounds; by default those of the hub, with retries that hardly wait.</param>
    /// <param name="log">Gets what is logged; null for nobody.</param>
    /// <param name="configure">Changes the configuration, in which answers don't run on when the hub stops.</param>
    /// <param name="services">Adds services, or replaces the hub's own.</param>
    public static async Task<UpstreamHub> StartAsync(
        string models, TimeProvider? time = null, Limits? limits = null, LogLines? log = null, Func<SluiceOptions, SluiceOptions>? configure = null, Action<IServiceCollection>? services = null)
    {
        var options = ConfigurationFile.Parse("listen: http://127.0.0.1:0\nmodels:\n" + models, "sluice.yaml", _ => null) with { Drain = TimeSpan.Zero, Transport = TestTransport.Kind };
        if (configure is not null) options = configure(options);
        var application = SluiceServer.CreateApplication(options, ModelCatalog.Create(options, []), builder =>
        {
            builder.Logging.ClearProviders();
            if (log is not null) builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Trace);
            if (time is not null) builder.Services.AddSingleton(time);
            builder.Services.AddSingleton(new RandomSource(1));
            builder.Services.AddSingleton(limits ?? QuickLimits);
            services?.Invoke(builder.Services);
        });
        await application.StartAsync();
        return new UpstreamHub(application);
    }

    public IServiceProvider Services => _application.Services;

    /// <summary>As a signal does; completes when everything has stopped.</summary>
    public Task StopAsync()
    {
        _application.Lifetime.StopApplication();
        return _application.StopAsync();
    }

    public static Limits QuickLimits { get; } = new() { BackoffFirst = TimeSpan.FromMilliseconds(1), ErrorEventLead = TimeSpan.FromMilliseconds(20) };

    public static string Model(string id, params ScriptedUpstream[] upstreams) =>
        $"  - id: {id}\n    upstreams: [{string.Join(", ", upstreams.Select(upstream => $"{{url: \"{upstream.Url}\"}}"))}]\n";

    public Task<HttpResponseMessage> PostAsync(string body, CancellationToken cancellation = default, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
    }

    public static string Ask(string model = "m", bool stream = true, string more = "") =>
        $$"""{"model":"{{model}}","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"Hi"}]{{more}}}""";

    /// <summary>The data of every event, with our id put back to the upstream's.</summary>
    public static async Task<List<string>> EventsAsync(HttpResponseMessage response)
    {
        var (events, isWhole) = await ReadAsync(response);
        return isWhole ? events : throw new IOException("The body was broken off.");
    }

    /// <summary>What came, and whether it came to an end in order.</summary>
    public static async Task<(List<string> Events, bool IsWhole)> ReadAsync(HttpResponseMessage response)
    {
        var events = new List<string>();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("data: ", StringComparison.Ordinal)) events.Add(System.Text.RegularExpressions.Regex.Replace(line[6..], "chatcmpl-[0-9a-z]{26}", "up-1"));
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            return (events, false);
        }
        return (events, true);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _application.StopAsync(now.Token);
        await _application.DisposeAsync();
    }
}
