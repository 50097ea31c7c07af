using System.Text;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.Tests.Server.Cluster;

/// <summary>Whole hubs that share a database, on loopback ports of their own, with a scripted model each.</summary>
internal sealed class ClusterOfHubs : IAsyncDisposable
{
    public const string Secret = "sixteen characters at least";

    private readonly List<TestHub> _hubs = [];
    private readonly List<HttpClient> _clients = [];

    private ClusterOfHubs(PostgresServer server, string connection) => (Server, Connection) = (server, connection);

    public PostgresServer Server { get; }

    public string Connection { get; }

    public IReadOnlyList<TestHub> Hubs => _hubs;

    public HttpClient this[int index] => _clients[index];

    /// <summary>Times that tests can wait for.</summary>
    public static Limits Quick { get; } = new()
    {
        ErrorEventLead = TimeSpan.FromMilliseconds(20),
        BackoffFirst = TimeSpan.FromMilliseconds(1),
        ClusterLease = TimeSpan.FromSeconds(2),
        ClusterRenew = TimeSpan.FromMilliseconds(300),
        ClusterLead = TimeSpan.Zero,
        ClusterRetry = TimeSpan.FromMilliseconds(30),
        StoreInterval = TimeSpan.FromMilliseconds(20),
    };

    /// <param name="count">Hubs to begin with.</param>
    /// <param name="models">Models of upstreams, as YAML; null for the scripted one of the engine.</param>
    /// <param name="own">A server of its own, to be stopped.</param>
    public static async Task<ClusterOfHubs> StartAsync(int count, string? models = null, PostgresServer? own = null)
    {
        var server = own ?? await PostgresServer.FindAsync();
        Assert.SkipWhen(server is null, PostgresServer.Missing);
        var cluster = new ClusterOfHubs(server, await server.CreateDatabaseAsync());
        for (var i = 0; i < count; i++) await cluster.AddAsync(models);
        return cluster;
    }

    /// <summary>One more hub; returns its number.</summary>
    public async Task<int> AddAsync(
        string? models = null, Limits? limits = null, TimeSpan? drain = null, Func<SluiceOptions, SluiceOptions>? configure = null)
    {
        var port = PostgresServer.FreePort();
        var options = new TestHubOptions
        {
            Limits = limits ?? Quick,
            Drain = drain ?? TimeSpan.Zero,
            Configure = configuration => (configure?.Invoke(configuration) ?? configuration) with
            {
                Store = StoreKind.Postgres,
                Cluster = new ClusterOptions(Connection, new ListenAddress("127.0.0.1", port, IsHttp2: true), new Uri($"http://127.0.0.1:{port}"), Secret),
            },
        };
        var hub = models is null ? await TestHub.StartScriptedAsync(options) : await TestHub.StartConfiguredAsync(models, options);
        _hubs.Add(hub);
        _clients.Add(new HttpClient(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { BaseAddress = hub.Address });
        // Until all know it.
        var patience = System.Diagnostics.Stopwatch.StartNew();
        foreach (var client in _clients)
        {
            while (patience.Elapsed < TimeSpan.FromSeconds(10) && !(await client.GetStringAsync(new Uri("/healthz", UriKind.Relative))).Contains($"\"nodes\":{_clients.Count}", StringComparison.Ordinal))
                await Task.Delay(20);
        }
        return _hubs.Count - 1;
    }

    /// <summary>Stops one, if it has not stopped; those behind it get its number.</summary>
    public async Task DropAsync(int number)
    {
        var (hub, client) = (_hubs[number], _clients[number]);
        _hubs.RemoveAt(number);
        _clients.RemoveAt(number);
        client.Dispose();
        await hub.DisposeStoppedAsync();
    }

    public void Script(string message, Func<Script> script)
    {
        foreach (var hub in _hubs) hub.Scripts[message] = script();
    }

    public static string Ask(string message, string model = "scripted", bool stream = true) =>
        $$"""{"model":"{{model}}","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"{{message}}"}]}""";

    public Task<HttpResponseMessage> PostAsync(int hub, string body, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return _clients[hub].SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients) client.Dispose();
        foreach (var hub in _hubs) await hub.DisposeAsync();
    }
}
