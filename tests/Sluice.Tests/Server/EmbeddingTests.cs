using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server;

/// <summary>The hub within an application: below its prefixes, under its conventions, and taking nothing that is its own.</summary>
public sealed class EmbeddingTests
{
    private static Task<ScriptedUpstream> UpstreamAsync() => ScriptedUpstream.StartAsync(ScriptedUpstream.Says("a"));

    private static async Task<(HttpStatusCode Status, string Body)> GetAsync(EmbeddedHub hub, string path, string user = "")
    {
        using var response = await hub.SendAsync(HttpMethod.Get, path, user);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("", "", "")]
    [InlineData("", "/ai", "/ai")]
    [InlineData("/base", "", "/base")]
    [InlineData("/base", "/ai", "/base/ai")]
    [InlineData("/base", "/teams/{team}/ai", "/base/teams/a%20b/ai")]
    public async Task The_hub_answers_below_a_path_base_and_a_group_and_says_where(string pathBase, string group, string mount)
    {
        await using var upstream = await UpstreamAsync();
        await using var hub = await EmbeddedHub.StartAsync(upstream, application =>
        {
            application.UsePathBase(pathBase);
            application.UseRouting();
            application.MapGroup(group).MapSluice();
        });
        using var asked = await hub.SendAsync(HttpMethod.Post, mount + EmbeddedHub.Chat, "", UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.OK, asked.StatusCode);
        var id = asked.Headers.GetValues("Sluice-Stream-Id").Single();
        var location = asked.Content.Headers.GetValues("Content-Location").Single();
        Assert.Equal($"{mount}/v1/chat/completions/{id}?stream=true", location);
        Assert.Contains("[DONE]", (await GetAsync(hub, location)).Body, StringComparison.Ordinal);
        Assert.Contains("\"id\":\"m\"", (await GetAsync(hub, mount + "/v1/models")).Body, StringComparison.Ordinal);
        foreach (var path in new[] { "/v1/models/m", "/v1/models/", "/v1//models", "/V1/models" })
            Assert.Equal(HttpStatusCode.OK, (await GetAsync(hub, mount + path)).Status);
        var (status, body) = await GetAsync(hub, mount + "/v1/nonsense");
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Contains("\"error\"", body, StringComparison.Ordinal);
        if (group.Length > 0) Assert.Equal((HttpStatusCode.NotFound, ""), await GetAsync(hub, pathBase + "/v1/models"));
    }

    [Fact]
    public async Task What_the_application_demands_of_the_endpoints_applies_to_them_and_its_own_paths_stay()
    {
        await using var upstream = await UpstreamAsync();
        var filteredCount = 0;
        await using var hub = await EmbeddedHub.StartAsync(upstream, application =>
        {
            application.UseAuthentication();
            application.UseAuthorization();
            application.MapGet("/healthz", () => "the application's");
            application.MapGet("/metrics", () => "the application's");
            application.MapGroup("/ai").MapSluice().RequireAuthorization().WithMetadata("marked").AddEndpointFilter((invocation, next) =>
            {
                Interlocked.Increment(ref filteredCount);
                return next(invocation);
            });
        });
        using var refused = await hub.SendAsync(HttpMethod.Post, "/ai" + EmbeddedHub.Chat, "", UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Empty(upstream.Calls);
        using var asked = await hub.SendAsync(HttpMethod.Post, "/ai" + EmbeddedHub.Chat, "alice", UpstreamHub.Ask());
        Assert.Contains("[DONE]", await asked.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(1, filteredCount);
        Assert.Equal((HttpStatusCode.OK, "the application's"), await GetAsync(hub, "/healthz"));
        Assert.Equal((HttpStatusCode.OK, "the application's"), await GetAsync(hub, "/metrics"));
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(hub, "/readyz")).Status);
        var endpoints = hub.Services.GetRequiredService<EndpointDataSource>().Endpoints;
        var endpoint = Assert.Single(endpoints, endpoint => endpoint.Metadata.GetMetadata<string>() == "marked");
        Assert.StartsWith("/ai/v1/", Assert.IsType<RouteEndpoint>(endpoint).RoutePattern.RawText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_and_metrics_are_there_for_the_asking()
    {
        await using var upstream = await UpstreamAsync();
        await using var hub = await EmbeddedHub.StartAsync(
            upstream,
            application =>
            {
                var ai = application.MapGroup("/ai");
                ai.MapSluiceHealth();
                ai.MapSluiceMetrics();
            },
            configure: options => options with { ApiKeys = ["k"] });
        Assert.Equal((HttpStatusCode.OK, "{\"status\":\"ok\"}"), await GetAsync(hub, "/ai/healthz"));
        Assert.Equal((HttpStatusCode.OK, "{\"status\":\"ok\"}"), await GetAsync(hub, "/ai/readyz"));
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(hub, "/ai/metrics")).Status);
        using var metrics = await hub.SendAsync(HttpMethod.Get, "/ai/metrics", "", null, ("api-key", "k"));
        Assert.Contains("sluice_", await metrics.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(hub, "/ai/v1/models")).Status);
    }

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, "http://localhost:3000")]
    public async Task Where_the_application_has_a_policy_for_origins_it_alone_counts(bool hasPolicy, string? allowed)
    {
        await using var upstream = await UpstreamAsync();
        await using var hub = await EmbeddedHub.StartAsync(
            upstream,
            application =>
            {
                application.UseCors();
                var sluice = application.MapSluice();
                if (hasPolicy) sluice.RequireCors(policy => policy.WithOrigins("https://chat.example.com"));
            },
            builder => builder.Services.AddCors());
        const string Chat = "https://chat.example.com";
        foreach (var (origin, expected) in new[] { ("http://localhost:3000", allowed), (Chat, hasPolicy ? Chat : null) })
        {
            using var response = await hub.SendAsync(HttpMethod.Get, "/v1/models", "", null, ("Origin", origin));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(expected, response.Headers.TryGetValues("Access-Control-Allow-Origin", out var origins) ? origins.Single() : null);
        }
    }

    [Fact]
    public async Task The_servers_settings_stay_the_applications_and_the_hubs_requests_are_freed_of_them()
    {
        await using var upstream = await UpstreamAsync();
        MinDataRate? hubs = null, others = null;
        await using var hub = await EmbeddedHub.StartAsync(
            upstream,
            application =>
            {
                application.Use(async (context, next) =>
                {
                    await next(context);
                    var rate = context.Features.Get<IHttpMinResponseDataRateFeature>()!.MinDataRate;
                    if (context.Request.Path.StartsWithSegments("/v1", StringComparison.Ordinal)) hubs = rate;
                    else others = rate;
                });
                application.MapGet("/other", () => "");
                application.MapPost("/other", async (HttpContext context) => await context.Request.BodyReader.CopyToAsync(Stream.Null));
                application.MapSluice();
            },
            builder => builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = 1000));
        var large = UpstreamHub.Ask(stream: false, more: $",\"user\":\"{new string('x', 10_000)}\"");
        using var asked = await hub.SendAsync(HttpMethod.Post, EmbeddedHub.Chat, "", large);
        Assert.Equal(HttpStatusCode.OK, asked.StatusCode);
        using var refused = await hub.SendAsync(HttpMethod.Post, "/other", "", large);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.StatusCode);
        await GetAsync(hub, "/other");
        Assert.Equal((null, true), (hubs, others is not null));
        Assert.Equal(new HostOptions().ShutdownTimeout, hub.Services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout);
    }

    [Fact]
    public async Task A_server_that_breaks_slow_streams_is_named_once_and_one_that_is_prepared_is_not()
    {
        await using var upstream = await UpstreamAsync();
        var log = new LogLines(LogLevel.Warning);
        await using (await EmbeddedHub.StartAsync(upstream, Map, builder => builder.Logging.AddProvider(log)))
        {
            Assert.Single(log.Lines, line => line.Contains("MinResponseDataRate", StringComparison.Ordinal));
        }
        var quiet = new LogLines(LogLevel.Warning);
        await using (await EmbeddedHub.StartAsync(upstream, Map, builder =>
        {
            builder.Logging.AddProvider(quiet);
            builder.WebHost.UseSluiceConnections();
        }))
        {
            Assert.Empty(quiet.Lines);
        }

        static void Map(WebApplication application)
        {
            application.MapSluice();
            application.MapGroup("/again").MapSluice();
        }
    }

    [Fact]
    public async Task The_host_gets_the_time_to_stop_that_answers_need_only_where_it_is_asked_for()
    {
        await using var upstream = await UpstreamAsync();
        await using var hub = await EmbeddedHub.StartAsync(
            upstream, static application => application.MapSluice(), configure: options => options with { Drain = TimeSpan.FromMinutes(2) },
            embedding: new EmbeddingOptions { ManagesShutdown = true });
        var host = hub.Services.GetRequiredService<IOptions<HostOptions>>().Value;
        Assert.Equal(TimeSpan.FromMinutes(2) + UpstreamHub.QuickLimits.StopRest, host.ShutdownTimeout);
        Assert.Equal(TimeSpan.FromMinutes(2), hub.Services.GetRequiredService<HostFit>().Drain);
    }

    [Theory]
    [InlineData(null, 30, 20, false)]
    [InlineData(10, 30, 10, false)]
    [InlineData(60, 30, 20, true)]
    [InlineData(60, 5, 0, true)]
    [InlineData(60, -0.001, 60, false)]
    public void Answers_run_on_for_what_the_hosts_time_has_room_for(int? drain, double timeout, int fitting, bool isNamed)
    {
        var log = new LogLines(LogLevel.Warning);
        using var loggers = LoggerFactory.Create(logging => logging.AddProvider(log));
        var fit = new HostFit(
            drain is { } seconds ? TimeSpan.FromSeconds(seconds) : null, TimeSpan.Zero, new EmbeddingOptions(), new Limits(),
            Options.Create(new HostOptions { ShutdownTimeout = TimeSpan.FromSeconds(timeout) }), Options.Create(new KestrelServerOptions()),
            server: null, loggers.CreateLogger<HostFit>());
        Assert.Equal(TimeSpan.FromSeconds(fitting), fit.Drain);
        Assert.Equal(isNamed, log.Lines.Any(line => line.Contains("ShutdownTimeout", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task An_answer_that_the_hosts_time_cuts_off_still_ends_with_its_error()
    {
        var begun = new TaskCompletionSource();
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            begun.SetResult();
            await Task.Delay(Timeout.Infinite, reply.Aborted).ContinueWith(static _ => { }, TaskScheduler.Default);
        });
        await using var hub = await EmbeddedHub.StartAsync(
            upstream, static application => application.MapSluice(),
            builder =>
            {
                builder.Services.AddSingleton(UpstreamHub.QuickLimits with { StopRest = TimeSpan.FromSeconds(19.5) });
                builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(20));
            },
            options => options with { Drain = TimeSpan.FromMinutes(10) });
        using var content = new StringContent(UpstreamHub.Ask(), Encoding.UTF8, "application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, EmbeddedHub.Chat) { Content = content };
        var cancellation = TestContext.Current.CancellationToken;
        using var response = await hub.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        await begun.Task;
        var stopping = hub.StopAsync();
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.False(isWhole);
        Assert.Contains("server_shutdown", events[^1], StringComparison.Ordinal);
        await stopping;
    }
}
