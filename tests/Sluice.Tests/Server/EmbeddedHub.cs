using System.Security.Claims;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;

namespace Sluice.Tests.Server;

/// <summary>A small application with an authentication of its own and the hub in it, on a free port.</summary>
internal sealed class EmbeddedHub : IAsyncDisposable
{
    public const string Chat = "/v1/chat/completions";

    private readonly WebApplication _application;

    private EmbeddedHub(WebApplication application)
    {
        _application = application;
        Http = new HttpClient { BaseAddress = new Uri(_application.Urls.First()) };
    }

    public HttpClient Http { get; }

    public IServiceProvider Services => _application.Services;

    /// <param name="upstream">Answers the model <c>m</c>.</param>
    /// <param name="map">Maps what the application has, the hub among it.</param>
    /// <param name="build">Adds to the application's services before the hub is added.</param>
    /// <param name="configure">Changes the hub's configuration.</param>
    /// <param name="embedding">What the hub does within the application.</param>
    public static async Task<EmbeddedHub> StartAsync(
        ScriptedUpstream upstream, Action<WebApplication> map, Action<WebApplicationBuilder>? build = null,
        Func<SluiceOptions, SluiceOptions>? configure = null, EmbeddingOptions? embedding = null)
    {
        var options = ConfigurationFile.Parse("models:\n" + UpstreamHub.Model("m", upstream), "sluice.yaml", _ => null);
        options = options with { Drain = TimeSpan.Zero };
        if (configure is not null) options = configure(options);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddAuthentication(HeaderAuthentication.Scheme)
            .AddScheme<AuthenticationSchemeOptions, HeaderAuthentication>(HeaderAuthentication.Scheme, null);
        builder.Services.AddAuthorization();
        build?.Invoke(builder);
        builder.Services.TryAddSingleton(UpstreamHub.QuickLimits);
        builder.Services.AddSluice(options, ModelCatalog.Create(options, []), embedding);
        var application = builder.Build();
        map(application);
        await application.StartAsync();
        return new EmbeddedHub(application);
    }

    public Task StopAsync() => _application.StopAsync();

    /// <summary>A request of a user, who is nobody where the name is empty.</summary>
    public Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, string user, string? body = null, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (user.Length > 0) request.Headers.Add(HeaderAuthentication.Header, user);
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return Http.SendAsync(request);
    }

    public static async Task<string> CodeOfAsync(HttpResponseMessage response)
    {
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return document.RootElement.GetProperty("error").GetProperty("code").GetString() ?? "";
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _application.StopAsync(now.Token);
        await _application.DisposeAsync();
    }

    /// <summary>Takes the user from a header: <c>subject</c>, <c>subject@issuer</c>, or <c>claim=value</c>.</summary>
    private sealed class HeaderAuthentication(
        IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        public new const string Scheme = "Header";
        public const string Header = "X-User";

        protected override Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            var user = Request.Headers[Header].ToString();
            if (user.Length == 0) return Task.FromResult(AuthenticateResult.NoResult());
            var identity = new ClaimsIdentity(Scheme);
            if (user.Split('=') is [var type, var value]) identity.AddClaim(new Claim(type, value));
            else identity.AddClaim(new Claim("sub", user.Split('@')[0], null, user.Split('@') is [_, var issuer] ? issuer : null));
            return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Scheme)));
        }
    }
}
