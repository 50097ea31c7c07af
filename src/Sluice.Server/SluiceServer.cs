using System.Net.Security;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sluice.Inference;
using Sluice.Inference.Embeddings;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Answers;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Cluster;
using Sluice.Server.Configuration;
using Sluice.Server.Console;
using Sluice.Server.Endpoints;
using Sluice.Server.Hooks;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Routing;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;
using Sluice.Server.Telemetry;
using Sluice.Server.Transport;
using Sluice.Server.Upstreams;

namespace Sluice.Server;

/// <summary>Puts the hub together, as a program of its own or within another ASP.NET Core application.</summary>
public static class SluiceServer
{
    /// <summary>Name of the store in the user's data folder, where nothing else is said.</summary>
    internal const string AnswersFile = "answers.db";
    internal const string LedgerName = "ledger.db";

    /// <summary>Kestrel's, for the process.</summary>
    internal const string OrderlyAbortSwitch = "Microsoft.AspNetCore.Server.Kestrel.FinOnError";

    /// <summary>Adds what the hub consists of.</summary>
    /// <remarks>
    /// <see cref="TimeProvider"/>, <see cref="RandomSource"/> and <see cref="Limits"/> are taken from the application where it has
    /// registered its own.
    /// </remarks>
    /// <param name="services">The application's services.</param>
    /// <param name="options">The configuration.</param>
    /// <param name="catalog">The models to serve.</param>
    /// <param name="embedding">What the hub does within the application; null for the defaults.</param>
    public static IServiceCollection AddSluice(
        this IServiceCollection services, SluiceOptions options, ModelCatalog catalog, EmbeddingOptions? embedding = null)
    {
        services.AddSingleton(embedding ?? new EmbeddingOptions());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(new RandomSource());
        services.TryAddSingleton(new Limits());
        // Reasoning that was sealed by an earlier process is foreign to this one, and so left out.
        services.TryAddSingleton(static _ => new ReasoningSeal(RandomNumberGenerator.GetBytes(ReasoningSeal.KeyBytes)));
        // What an application awaits would go on on the reactor's threads, and nobody has told it that it must not block them.
        var isEmbedded = embedding is not { ManagesShutdown: true };
        services.TryAddSingleton(NetworkTransport.Create(isEmbedded && options.Transport == TransportKind.Auto ? TransportKind.Sockets : options.Transport));
        services.TryAddSingleton(new EngineFactory<InferenceEngine>(static model => InferenceEngine.Load(model.Path, model.ToEngineOptions()), static engine => engine.Model.MemoryBytes, DraftCounts.Of));
        services.AddSingleton(provider => new LoadedModels<InferenceEngine>(
            provider.GetRequiredService<EngineFactory<InferenceEngine>>(),
            options.MemoryBudgetBytes,
            provider.GetRequiredService<ILoggerFactory>().CreateLogger("Sluice.Server.Models.LoadedModels"),
            provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton(provider => new LoadedModels<EmbeddingModel>(
            new EngineFactory<EmbeddingModel>(static model => EmbeddingModel.Load(model.Path, model.Threads), static engine => engine.Model.MemoryBytes, static _ => default),
            options.MemoryBudgetBytes,
            provider.GetRequiredService<ILoggerFactory>().CreateLogger("Sluice.Server.Models.LoadedModels"),
            provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton(CreateLocalUpstreams);
        services.AddSingleton(provider => CreateConfiguration(provider, options, catalog));
        if (options.Store == StoreKind.Sqlite) AddStore(services, options);
        if (options.Cluster is { } cluster) AddCluster(services, cluster);
        services.AddSingleton(static provider => new AnswerTable(
            provider.GetRequiredService<Limits>(), provider.GetRequiredService<TimeProvider>(), provider.GetService<AnswerRecorder>(),
            provider.GetRequiredService<AnswerJournal>()));
        // Before answers are taken over, whose keys it knows.
        if (options.Ledger is { } ledger) AddLedger(services, ledger);
        services.AddHostedService(static provider => provider.GetRequiredService<AnswerTable>());
        if (options.Cluster is not null)
        {
            // When the tables are there.
            services.AddHostedService(static provider => provider.GetRequiredService<ClusterMembers>());
            services.AddHostedService(static provider => provider.GetRequiredService<ClusterSweep>());
        }
        // What one hub has given out another one can take back.
        services.AddSingleton(provider => options.Cluster is { } hubs ? SealKey.Of(hubs.Secret) : SealKey.Open(
            options.Store == StoreKind.Sqlite ? StorePathOf(options) : null,
            provider.GetRequiredService<ILoggerFactory>().CreateLogger("Sluice.Server.Storage.SealKey")));
        services.AddSingleton<Limiter>();
        services.AddSingleton<KeyRing>();
        services.AddSingleton(provider => new AnswerAccounting(
            provider.GetService<LedgerWriter>(), provider.GetRequiredService<Limiter>(), provider.GetRequiredService<TimeProvider>())
        {
            IsShared = options.Cluster is not null,
        });
        services.AddSingleton(static provider => new KeyEndpoint(
            provider.GetRequiredService<Limiter>(), provider.GetRequiredService<TimeProvider>(), provider.GetService<LedgerWriter>()));
        services.AddSingleton(static provider => new AdminEndpoint(
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<AdminKeysEndpoint>(), provider.GetService<LedgerWriter>(), provider.GetRequiredService<AnswerCache>()));
        services.AddSingleton<AdminKeysEndpoint>().AddSingleton<AnswerCache>();
        services.AddSingleton<HookLink>().AddSingleton<BeforeHook>().AddSingleton<AfterHook>();
        services.AddHostedService(static provider => provider.GetRequiredService<AfterHook>());
        services.AddSingleton<AnswerJournal>();
        services.AddHostedService<BudgetWarnings>();
        services.AddSingleton<AnswerProducer>();
        services.AddMetrics();
        services.AddSingleton(CreateMetrics);
        services.AddSingleton<PrometheusText>();
        services.AddSingleton<MetricsEndpoint>();
        services.AddSingleton<ServerState>();
        services.AddSingleton(provider => new GracefulStop(
            provider.GetRequiredService<ServerState>(),
            provider.GetRequiredService<AnswerTable>(),
            provider.GetRequiredService<HostFit>().Drain,
            provider.GetRequiredService<HostFit>().Lead,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<GracefulStop>>(),
            provider.GetService<IOtherHubs>()));
        services.AddHostedService(static provider => provider.GetRequiredService<GracefulStop>());
        services.AddSingleton(provider => new HostFit(
            options.Drain,
            LeadOf(options, provider.GetRequiredService<Limits>()),
            provider.GetRequiredService<EmbeddingOptions>(),
            provider.GetRequiredService<Limits>(),
            provider.GetRequiredService<IOptions<HostOptions>>(),
            provider.GetRequiredService<IOptions<KestrelServerOptions>>(),
            provider.GetService<IServer>(),
            provider.GetRequiredService<ILogger<HostFit>>()));
        if (embedding is { ManagesShutdown: true })
        {
            services.AddOptions<HostOptions>()
                .Configure<Limits>((host, limits) => host.ShutdownTimeout =
                    (options.Drain ?? limits.StopDrain) + limits.StopRest + LeadOf(options, limits));
        }
        services.AddSingleton<MidStreamRescue>().AddSingleton<AttemptLoop>();
        services.AddSingleton<Admission>();
        services.AddHostedService<UnattendedAnswers>();
        services.AddSingleton<BodyBudget>();
        services.AddSingleton<RequestBody>();
        services.AddSingleton<ResponsesPreparation>().AddSingleton<ResponsesEndpoint>();
        services.AddSingleton<AnswersEndpoint>();
        services.AddSingleton<CountTokensEndpoint>();
        services.AddSingleton<OllamaModels>().AddSingleton<OllamaEndpoint>();
        services.AddSingleton<StoredCompletionsEndpoint>();
        services.AddSingleton<HealthEndpoint>();
        services.AddSingleton<ApiDispatcher>();
        services.AddSingleton<ConnectionErrors>();
        services.AddSingleton<ConnectionBound>();
        services.AddSingleton<StartupLoad>();
        services.AddHostedService(static provider => provider.GetRequiredService<StartupLoad>());
        return services;
    }

    /// <summary>Lets the hub take over changes of its configuration while it runs.</summary>
    /// <remarks><see cref="ConfigurationReload.Reload"/> does so at once; <see cref="Hub.Apply"/> takes a configuration that doesn't come from a file.</remarks>
    /// <param name="services">The application's services, with or before <see cref="AddSluice"/>.</param>
    /// <param name="source">Where the configuration is found again.</param>
    public static IServiceCollection AddSluiceReload(this IServiceCollection services, ConfigurationSource source)
    {
        services.AddSingleton(source);
        services.AddSingleton(static provider => new ConfigurationReload(
            provider.GetRequiredService<ConfigurationSource>(),
            provider.GetRequiredService<Hub>(),
            provider.GetRequiredService<HubMetrics>(),
            provider.GetRequiredService<Limits>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ConfigurationReload>>()));
        services.AddHostedService(static provider => provider.GetRequiredService<ConfigurationReload>());
        return services;
    }

    /// <summary>Sets what streams need of Kestrel: clients may read slowly, and an abort overtakes nothing that was sent.</summary>
    /// <param name="host">The application's.</param>
    public static IWebHostBuilder UseSluiceConnections(this IWebHostBuilder host)
    {
        // An abort then ends the connection in order (FIN), behind the error event that it follows; a reset (RST) may overtake it and
        // makes some systems throw away what their client has not read yet. The switch is of the process, so it is set only when asked for.
        AppContext.SetSwitch(OrderlyAbortSwitch, true);
        // A slow reader costs nothing: it is a cursor that stands still. One that takes nothing at all is cut by Limits.WriteStalled,
        // of a JSON reply too. Over HTTP/2 the rate can't be set per request, and it would cut every stream of a connection.
        return host.ConfigureServices(static services =>
            services.Configure<KestrelServerOptions>(static kestrel => kestrel.Limits.MinResponseDataRate = null));
    }

    /// <summary>The hub as a program of its own, not yet started: it owns every path of its addresses.</summary>
    /// <param name="options">The configuration; its addresses are listened on.</param>
    /// <param name="catalog">The models to serve.</param>
    /// <param name="configure">Adds to the builder, before the hub does: logging, or services that replace the hub's own.</param>
    public static WebApplication CreateApplication(SluiceOptions options, ModelCatalog catalog, Action<WebApplicationBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        // The framework's own lines would say each request twice.
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        // And its scope would give each a second id, and a span that nobody has asked for.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        // What is listened on is what the configuration says: the check of exposed addresses looks at nothing else.
        builder.WebHost.UseSluiceConnections().UseKestrelHttpsConfiguration().PreferHostingUrls(false).UseUrls().ConfigureKestrel(kestrel =>
        {
            // In place of the section "Kestrel", which any variable "Kestrel__Endpoints__…" adds to.
            kestrel.Configure();
            ConfigureKestrel(kestrel, options);
        });
        builder.Services.Configure<SocketTransportOptions>(static sockets =>
        {
            sockets.NoDelay = true;
            sockets.CreateBoundListenSocket = Bind;
            // A flush writes to the socket itself in place of waking another thread for each token. Nothing in the hub blocks a thread that it runs on.
            sockets.UnsafePreferInlineScheduling = true;
        });
        configure?.Invoke(builder);
        builder.Services.AddSluice(options, catalog, new EmbeddingOptions { ManagesShutdown = true });
        builder.Services.AddSingleton<IConnectionListenerFactory>(provider => new BoundedListenerFactory(
            CreateListeners(provider, options.Transport), provider.GetRequiredService<ConnectionBound>()));
        if (options.Console) AddConsole(builder.Services);
        if (options.Certificate is { } certificate)
        {
            builder.Services.AddSingleton(provider => new ServerCertificate(
                certificate,
                provider.GetRequiredService<Limits>(),
                provider.GetRequiredService<TimeProvider>(),
                provider.GetRequiredService<ILogger<ServerCertificate>>()));
        }
        var application = builder.Build();
        ConnectionErrors.Attach(application.Services);
        application.Run(application.Services.GetRequiredService<ApiDispatcher>().InvokeAsync);
        return application;
    }

    private static void AddConsole(IServiceCollection services)
    {
        services.AddSingleton<ConsoleFiles>();
        services.AddSingleton<HourHistory>();
        services.AddSingleton<HubView>();
        services.AddSingleton<AnswersView>();
        services.AddSingleton<ConsoleEndpoint>();
    }

    private static void AddLedger(IServiceCollection services, LedgerOptions options)
    {
        services.TryAddSingleton(provider => new LedgerWriter(
            new LedgerFile(LedgerPathOf(options), options.IsStrict),
            options.IsStrict,
            provider.GetRequiredService<Limits>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILoggerFactory>().CreateLogger<LedgerWriter>())
        {
            ServesUnwritten = options.ServesUnwritten,
        });
        services.AddSingleton<KeyWatch>();
        services.AddHostedService(static provider => provider.GetRequiredService<KeyWatch>());
    }

    /// <summary>Where the ledger is.</summary>
    /// <param name="options">Of the configuration.</param>
    public static string LedgerPathOf(LedgerOptions options) => options?.Path ?? Path.Combine(ModelFolders.DataFolder(), LedgerName);

    private static void AddStore(IServiceCollection services, SluiceOptions options)
    {
        services.TryAddSingleton<IAnswerStore>(provider => new SqliteAnswerStore(
            StorePathOf(options), options.StoreSizeBytes ?? provider.GetRequiredService<Limits>().StoredBytesMax));
        services.AddSingleton(provider =>
        {
            var limits = provider.GetRequiredService<Limits>();
            return new AnswerRecorder(
                provider.GetRequiredService<IAnswerStore>(),
                limits,
                options.StoreSizeBytes ?? limits.StoredBytesMax,
                provider.GetRequiredService<TimeProvider>(),
                provider.GetRequiredService<ILoggerFactory>().CreateLogger<AnswerRecorder>(),
                provider.GetRequiredService<HubMetrics>().Meter);
        });
    }

    private static void AddCluster(IServiceCollection services, ClusterOptions options)
    {
        services.AddSingleton(_ => new PostgresAnswerStore(PostgresSource.Create(options.Postgres), options.Secret, Guid.NewGuid(), HostMachine.InstructionSet));
        services.TryAddSingleton<IAnswerStore>(static provider => provider.GetRequiredService<PostgresAnswerStore>());
        services.AddSingleton(static provider =>
        {
            var limits = provider.GetRequiredService<Limits>();
            return new AnswerRecorder(
                provider.GetRequiredService<IAnswerStore>(), limits, long.MaxValue, provider.GetRequiredService<TimeProvider>(),
                provider.GetRequiredService<ILoggerFactory>().CreateLogger<AnswerRecorder>(), provider.GetRequiredService<HubMetrics>().Meter);
        });
        services.AddSingleton(static provider => new ClusterMetrics(provider.GetRequiredService<HubMetrics>().Meter));
        services.AddSingleton(provider => new PeerSignature(
            options.Secret, provider.GetRequiredService<PostgresAnswerStore>().Node, provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<PeerLink>();
        services.AddSingleton(provider => new ClusterMembers(
            provider.GetRequiredService<PostgresAnswerStore>(), options.Advertise.GetLeftPart(UriPartial.Authority), provider.GetRequiredService<Hub>(),
            provider.GetRequiredService<AnswerTable>(), provider.GetRequiredService<Limits>(), provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ClusterMembers>>()));
        services.AddSingleton<Takeover>();
        services.AddSingleton<RemoteAnswers>();
        services.AddSingleton<IOtherHubs>(static provider => provider.GetRequiredService<RemoteAnswers>());
        services.AddSingleton<PeerEndpoint>();
        services.AddSingleton<ClusterSweep>();
    }

    private static TimeSpan LeadOf(SluiceOptions options, Limits limits) => options.StopDelay ?? (options.Cluster is null ? TimeSpan.Zero : limits.ClusterLead);

    private static string StorePathOf(SluiceOptions options) => options.StorePath ?? Path.Combine(ModelFolders.DataFolder(), AnswersFile);

    private static HubMetrics CreateMetrics(IServiceProvider provider)
    {
        var metrics = new HubMetrics(provider.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>());
        HubMeasurements.Register(metrics.Meter, provider.GetRequiredService<Hub>(), provider.GetRequiredService<LoadedModels<InferenceEngine>>());
        provider.GetService<LedgerWriter>()?.Measure(metrics.Meter);
        return metrics;
    }

    private static LocalUpstreams CreateLocalUpstreams(IServiceProvider provider)
    {
        var memory = provider.GetRequiredService<LoadedModels<InferenceEngine>>();
        var random = provider.GetRequiredService<RandomSource>();
        var time = provider.GetRequiredService<TimeProvider>();
        var logger = provider.GetRequiredService<ILoggerFactory>().CreateLogger<LocalUpstream>();
        var embedders = provider.GetRequiredService<LoadedModels<EmbeddingModel>>();
        var embedding = provider.GetRequiredService<ILoggerFactory>().CreateLogger<LocalEmbedder>();
        return (model, grammars) => model.ReadPurpose() == ModelPurpose.Text
            ? new LocalUpstream(model, memory, grammars, random, time, logger)
            : new LocalEmbedder(model, embedders, embedding);
    }

    private static Hub CreateConfiguration(IServiceProvider provider, SluiceOptions options, ModelCatalog catalog)
    {
        var memory = provider.GetRequiredService<LoadedModels<InferenceEngine>>();
        var locals = provider.GetRequiredService<LocalUpstreams>();
        var limits = provider.GetRequiredService<Limits>();
        var transport = provider.GetRequiredService<UpstreamTransport>();
        var time = provider.GetRequiredService<TimeProvider>();
        var loggers = provider.GetRequiredService<ILoggerFactory>();
        var limiter = provider.GetRequiredService<Limiter>();
        // Before there is a budget that would have to be counted.
        if (provider.GetService<LedgerWriter>() is { } ledger)
        {
            limiter.CountSettled = (scope, meter) => CountSettled(ledger, scope, meter);
            limiter.ServesUncounted = ledger.ServesUnwritten;
        }
        var hub = new Hub(
            options,
            catalog,
            memory,
            (models, previous) => new ModelRouter(models, previous, locals, limits, transport, time, loggers),
            provider.GetRequiredService<KeyRing>(),
            limiter,
            time,
            SluiceServices.FindAdded(provider),
            loggers.CreateLogger<Hub>());
        var embedders = provider.GetRequiredService<LoadedModels<EmbeddingModel>>();
        hub.Applied += () => embedders.Retain(hub.Catalog.Models.OfType<LocalModel>().Select(static model => model.Path), hub.Options.MemoryBudgetBytes);
        return hub;
    }

    private static long? CountSettled(LedgerWriter ledger, LimitScope scope, Meter meter)
    {
        try
        {
            return ledger.Count(
                scope.Kind == ScopeKind.Hub ? null : scope.Word, scope.Id, meter.Window.Start.ToUnixTimeMilliseconds(), meter.Options.Unit == BudgetUnit.NanoUsd);
        }
        catch (LedgerException)
        {
            // The writer tells of it.
            return null;
        }
    }

    // The reactor's first, for the addresses that it can have.
    private static IConnectionListenerFactory[] CreateListeners(IServiceProvider provider, TransportKind kind)
    {
        var sockets = provider.GetRequiredService<IOptions<SocketTransportOptions>>();
        var platform = new SocketTransportFactory(sockets, provider.GetRequiredService<ILoggerFactory>());
        return kind.UsesReactor() && OperatingSystem.IsLinux()
            ? [new ReactorListenerFactory(provider.GetRequiredService<IMemoryPoolFactory<byte>>(), sockets.Value.Backlog), platform]
            : [platform];
    }

    private static void ConfigureKestrel(KestrelServerOptions kestrel, SluiceOptions options)
    {
        kestrel.AddServerHeader = false;
        // Bytes that are not UTF-8 are nobody's fault: each stays the character of its number. What matters to the hub is ASCII.
        kestrel.RequestHeaderEncodingSelector = static _ => Encoding.Latin1;
        // The endpoints have a limit of their own, which answers with JSON.
        kestrel.Limits.MaxRequestBodySize = null;
        foreach (var address in options.Listen)
        {
            void Configure(ListenOptions listen)
            {
                listen.Protocols = address.IsHttps ? HttpProtocols.Http1AndHttp2 : address.IsHttp2 ? HttpProtocols.Http2 : HttpProtocols.Http1;
                var bound = kestrel.ApplicationServices.GetRequiredService<ConnectionBound>();
                // What comes first is outermost: a handshake takes a connection's place, and what is refused below a request is so under TLS.
                if (address.IsHttps)
                {
                    listen.Use(bound.PrepareTls);
                    listen.UseHttps(TlsOptionsOf(kestrel.ApplicationServices.GetRequiredService<ServerCertificate>()));
                }
                // HTTP/2 has frames for what goes wrong below a request.
                if (!address.IsHttp2) listen.Use(ConnectionErrors.Prepare);
                if (!address.IsHttps) listen.Use(bound.Prepare);
            }

            if (address.IsWildcard) kestrel.ListenAnyIP(address.Port, Configure);
            else if (System.Net.IPAddress.TryParse(address.Host, out var ip)) kestrel.Listen(ip, address.Port, Configure);
            else if (HostNames.IsLoopback(address.Host) && address.Port != 0) kestrel.ListenLocalhost(address.Port, Configure);
            else Listen(kestrel, address, Configure);
        }
        // Behind the others: the first address is the hub's.
        if (options.Admin is { } admin) ConfigureAdmin(kestrel, admin);
        if (options.Cluster is { PeerListen: var peers })
        {
            var door = new PeerDoor();
            void Configure(ListenOptions listen)
            {
                listen.Protocols = HttpProtocols.Http2;
                door.Mark(listen);
            }

            if (peers.IsWildcard) kestrel.ListenAnyIP(peers.Port, Configure);
            else if (System.Net.IPAddress.TryParse(peers.Host, out var ip)) kestrel.Listen(ip, peers.Port, Configure);
            else Listen(kestrel, peers, Configure);
        }
    }

    private static TlsHandshakeCallbackOptions TlsOptionsOf(ServerCertificate certificate) => new()
    {
        OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificate.Current,
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            // A session that is resumed is a handshake less for whoever comes back.
            AllowTlsResume = true,
        }),
    };

    private static void ConfigureAdmin(KestrelServerOptions kestrel, AdminOptions admin)
    {
        var door = new AdminDoor(admin);
        void Configure(ListenOptions listen)
        {
            listen.Protocols = HttpProtocols.Http1;
            door.Mark(listen);
        }

        if (admin.SocketPath is { } path) kestrel.ListenUnixSocket(path, Configure);
        else if (System.Net.IPAddress.TryParse(admin.Address!.Host, out var ip)) kestrel.Listen(ip, admin.Address.Port, Configure);
        else kestrel.ListenLocalhost(admin.Address.Port, Configure);
    }

    // Between binding and listening nobody can connect, so the mode is right from the first connection on.
    private static System.Net.Sockets.Socket Bind(System.Net.EndPoint endpoint)
    {
        if (endpoint is not System.Net.Sockets.UnixDomainSocketEndPoint) return SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        // Of a process that was killed.
        var path = endpoint.ToString()!;
        if (new FileInfo(path) is { Exists: true, Length: > 0 }) throw new IOException($"{path} is a file; name another socket with admin_listen.");
        File.Delete(path);
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return socket;
    }

    private static void Listen(KestrelServerOptions kestrel, ListenAddress address, Action<ListenOptions> configure)
    {
        // A name listens on each of its addresses.
        foreach (var ip in System.Net.Dns.GetHostAddresses(address.Host)) kestrel.Listen(ip, address.Port, configure);
    }
}
