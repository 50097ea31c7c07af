using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Serving;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Serving;

/// <summary>A hub with keys, whose file is damaged while it runs: it stays as closed as it was.</summary>
public sealed class ReloadAccessTests : IAsyncDisposable
{
    private const string Closed = "listen: http://127.0.0.1:0\napi_keys: [sk-a]\nmodels: [{id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}]\n";
    private readonly string _folder = Directory.CreateTempSubdirectory("sluice-reload-").FullName;
    private readonly ManualTimeProvider _time = new();
    private readonly LogLines _log = new();
    private WebApplication? _application;
    private HttpClient? _http;

    private string ConfigurationPath => Path.Combine(_folder, "sluice.yaml");

    public async ValueTask DisposeAsync()
    {
        _http?.Dispose();
        if (_application is not null) await _application.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\0\0\0\0")]
    [InlineData("# moved\n")]
    [InlineData("listen: http://127.0.0.1:0\n\0\0\0")]
    [InlineData("listen: http://127.0.0.1:0\nmodels: [{id: m, upstreams: [{url: 'http://127.0.0.1:1/v1'}]}]\n")]
    [InlineData("api_keys:\nmodels: []\n")]
    [InlineData("{}")]
    public async Task A_file_without_keys_opens_nothing(string text)
    {
        await StartAsync();
        await File.WriteAllTextAsync(ConfigurationPath, text, TestContext.Current.CancellationToken);
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync());
        Assert.Single(_log.Lines, line => line.StartsWith("Error: The new configuration is refused, and the current one stays: ", StringComparison.Ordinal));
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Single(_log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_is_gone_opens_nothing()
    {
        await StartAsync();
        File.Delete(ConfigurationPath);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(_application!.Services.GetRequiredService<ConfigurationReload>().Reload());
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync());
    }

    [Fact]
    public async Task No_keys_written_out_opens_it()
    {
        await StartAsync();
        await File.WriteAllTextAsync(
            ConfigurationPath, Closed.Replace("[sk-a]", "[]", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync());
    }

    [Fact]
    public async Task An_application_can_not_take_the_keys_away_by_mistake_either()
    {
        await StartAsync();
        var hub = _application!.Services.GetRequiredService<Hub>();
        Assert.Throws<InvalidOperationException>(() => hub.Apply(hub.Options with { ApiKeys = [] }, hub.Catalog));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync());
        hub.Apply(hub.Options with { ApiKeys = [], AllowsEveryone = true }, hub.Catalog);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync());
    }

    private async Task StartAsync()
    {
        await File.WriteAllTextAsync(ConfigurationPath, Closed, Encoding.UTF8, TestContext.Current.CancellationToken);
        var (options, catalog) = Load();
        _application = SluiceServer.CreateApplication(options, catalog, builder =>
        {
            builder.Logging.ClearProviders().AddProvider(_log);
            builder.Services.AddSingleton<TimeProvider>(_time);
            builder.Services.AddSluiceReload(new ConfigurationSource(ConfigurationPath, Load));
        });
        await _application.StartAsync(TestContext.Current.CancellationToken);
        _http = new HttpClient { BaseAddress = new Uri(_application.Urls.First()) };
    }

    private async Task<HttpStatusCode> StatusAsync()
    {
        using var response = await _http!.GetAsync(new Uri("/v1/models", UriKind.Relative), TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    private (SluiceOptions, ModelCatalog) Load()
    {
        var options = ConfigurationFile.Load(ConfigurationPath, _ => null);
        return (options, ModelCatalog.Create(options, []));
    }
}
