using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;

namespace Sluice.Extensions.AI;

/// <summary>The way to one model of a hub, which may be a small one for this model alone. Thread-safe.</summary>
internal sealed class HubConnection : IDisposable
{
    // Of a refusal; what is longer is cut.
    private const int ErrorCharactersMax = 4_000;

    private static readonly Uri s_within = new("http://localhost/");

    private readonly IHost? _host;
    private readonly Task<HttpClient> _client;

    /// <param name="http">Stays the caller's.</param>
    /// <param name="model">The hub's name of the model.</param>
    public HubConnection(HttpClient http, string model)
    {
        ArgumentNullException.ThrowIfNull(http);
        ArgumentException.ThrowIfNullOrEmpty(model);
        (Model, Address) = (model, http.BaseAddress ?? throw new ArgumentException("The client needs a BaseAddress: the hub's, such as http://127.0.0.1:7070.", nameof(http)));
        _client = Task.FromResult(http);
    }

    private HubConnection(string model, IHost? host, Task<HttpClient> client) => (Model, Address, _host, _client) = (model, s_within, host, client);

    public string Model { get; }

    public Uri Address { get; }

    /// <summary>To the hub of an application.</summary>
    public static HubConnection Of(IServiceProvider services, string model)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrEmpty(model);
        return new HubConnection(model, null, Task.FromResult(Connect(services)));
    }

    /// <summary>To a hub of one file, which goes with this connection.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static HubConnection Open(string path, ILoggerFactory? loggers)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        path = Path.GetFullPath(path);
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no model file '{path}'.", path);
        return Open(new ModelOptions(Path.GetFileNameWithoutExtension(path), path), loggers);
    }

    /// <summary>To a hub of one model, which goes with this connection.</summary>
    /// <exception cref="ConfigurationException">There is no such file.</exception>
    public static HubConnection Open(ModelOptions model, ILoggerFactory? loggers)
    {
        ArgumentNullException.ThrowIfNull(model);
        // Nobody could ask for an answer again.
        var options = new SluiceOptions { Models = [model], Store = StoreKind.Off, Drain = TimeSpan.Zero };
        var catalog = ModelCatalog.Create(options);
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        if (loggers is not null) builder.Services.AddSingleton(loggers);
        builder.Services.AddSluice(options, catalog);
        var host = builder.Build();
        return new HubConnection(model.Id, host, StartAsync(host));
    }

    /// <summary>The response to a request, with its headers; its body is still to be read.</summary>
    /// <param name="path">Below <c>/v1/</c>.</param>
    /// <param name="body">JSON.</param>
    /// <param name="cancellation">Ends the request.</param>
    /// <exception cref="HttpRequestException">The hub refuses it, or isn't reached.</exception>
    public async Task<HttpResponseMessage> PostAsync(string path, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        var http = await _client.WaitAsync(cancellation).ConfigureAwait(false);
        using var request = new HttpRequestMessage(HttpMethod.Post, UriOf(path));
        request.Content = new ReadOnlyMemoryContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation).ConfigureAwait(false);
        if (response.IsSuccessStatusCode) return response;
        using (response)
        {
            var text = await response.Content.ReadAsStringAsync(cancellation).ConfigureAwait(false);
            throw Refused(MessageOf(text), response.StatusCode);
        }
    }

    /// <summary>What is thrown for a refusal.</summary>
    public static HttpRequestException Refused(string message, HttpStatusCode? status) => new(HttpRequestError.Unknown, message, inner: null, status);

    public void Dispose()
    {
        if (_host is null) return;
        // What runs is ended; there is no one to wait for it.
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        Task.Run(async () => await _host.StopAsync(now.Token).ConfigureAwait(false)).GetAwaiter().GetResult();
        _host.Dispose();
    }

    private static async Task<HttpClient> StartAsync(IHost host)
    {
        // Off the thread of a constructor.
        await Task.Yield();
        await host.StartAsync().ConfigureAwait(false);
        return Connect(host.Services);
    }

    private static HttpClient Connect(IServiceProvider services) => new(new HubHandler(services)) { Timeout = Timeout.InfiniteTimeSpan };

    private Uri UriOf(string path)
    {
        var root = Address.AbsolutePath.TrimEnd('/');
        return new Uri(Address, root.EndsWith("/v1", StringComparison.Ordinal) ? $"{root}/{path}" : $"{root}/v1/{path}");
    }

    private static string MessageOf(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            if (document.RootElement.TryGetProperty("error", out var error) && error.TryGetProperty("message", out var message)) return message.GetString() ?? "";
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Of a proxy, maybe.
        }
        return body.Length <= ErrorCharactersMax ? body : body[..ErrorCharactersMax];
    }
}
