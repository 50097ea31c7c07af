using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sluice.Inference;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Gguf;
using Sluice.Server;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;

namespace Sluice.Cli.Commands;

/// <summary>Runs the hub until Ctrl-C or a signal ends it: the first one lets answers run on for a while, the second one doesn't.</summary>
internal static class ServeCommand
{
    public static Command Create(Terminal terminal)
    {
        var urls = new Option<string?>("--urls")
        {
            Description = $"addresses to listen on, separated by semicolons; default is {ListenAddress.Default}",
            HelpName = "URLS",
        };
        var host = new Option<string?>("--host") { Description = "the host name or address to listen on; default is the configuration's", HelpName = "HOST" };
        var port = new Option<string?>("--port") { Description = "the port to listen on, 0 for a free one; default is the configuration's", HelpName = "PORT" };
        var logFormat = new Option<LogFormat>("--log-format")
        {
            Description = "text, or json with one object per line; default is text",
            HelpName = "FORMAT",
            CustomParser = result => result.Tokens[0].Value switch
            {
                "text" => LogFormat.Text,
                "json" => LogFormat.Json,
                var other => Refuse(result, other),
            },
        };
        var insecure = new Option<bool>("--insecure") { Description = "accept other machines although no API key is set" };
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var engine = new EngineFlags(hasKeepAlive: true);
        var command = new Command("serve", "Serve models over HTTP") { config, host, port, urls, models, logFormat, insecure };
        engine.AddTo(command);
        command.SetAction((result, _) =>
        {
            IReadOnlyList<ListenAddress> bound = [];
            (SluiceOptions Options, ModelCatalog Catalog) Load(ConfigurationLookup lookup)
            {
                var options = lookup.Options with { Listen = FindAddresses(lookup.Options.Listen, result.GetValue(urls), result.GetValue(host), result.GetValue(port)) };
                if (options.Ledger is { Path: null } ledger)
                    options = options with { Ledger = ledger with { Path = Path.Combine(ModelFolders.DataFolder(terminal.GetVariable), SluiceServer.LedgerName) } };
                options = options with { StorePath = options.StorePath ?? Path.Combine(ModelFolders.DataFolder(terminal.GetVariable), SluiceServer.AnswersFile) };
                RequireAccess(options);
                if (CertificateSection.FindProblem(options.Listen, options.Certificate) is { } problem) throw new CliException($"{problem} to the configuration.");
                return (options, FindModels(terminal, lookup, model => engine.Apply(result, model)));
            }

            // What a new configuration wants to listen on counts from the next start; what is listened on counts now.
            void RequireAccess(SluiceOptions options)
            {
                if (OpenHubCheck.FindProblem([.. bound, .. options.Listen], HasKeys(options), result.GetValue(insecure)) is { } problem)
                {
                    throw new CliException(problem);
                }
            }

            ConfigurationLookup Find() => ConfigurationLookup.Load(terminal, result.GetValue(config), result.GetValue(models));
            var lookup = Find();
            var (options, catalog) = Load(lookup);
            void Bind(IReadOnlyList<ListenAddress> addresses)
            {
                bound = addresses;
                RequireAccess(options);
            }

            var source = new ConfigurationSource(lookup.File, () => Load(Find())) { DescribeModelFiles = () => ModelFolders.Describe(lookup.Folders) };
            return RunAsync(terminal, options, catalog, source, result.GetValue(logFormat), Bind);
        });
        return command;
    }

    private static LogFormat Refuse(ArgumentResult result, string word)
    {
        result.AddError($"--log-format must be text or json, not '{word}'");
        return default;
    }

    /// <summary>The configured addresses, unless the command line names others.</summary>
    private static IReadOnlyList<ListenAddress> FindAddresses(IReadOnlyList<ListenAddress> configured, string? urls, string? host, string? port)
    {
        if (urls is not null) return host is null && port is null ? ParseUrls(urls) : throw new CliException("Use --urls, or --host and --port, not both.");
        if (host is null && port is null) return configured;
        var number = port is null ? configured[0].Port
            : int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed) && parsed <= ushort.MaxValue ? parsed
            : throw new CliException($"--port is a number from 0 to {ushort.MaxValue}, not '{port}'.");
        var name = (host ?? configured[0].Host).Trim('[', ']');
        return name == "*" || Uri.CheckHostName(name) != UriHostNameType.Unknown
            ? [configured[0] with { Host = name, Port = number }]
            : throw new CliException($"--host is a host name or an address, such as 127.0.0.1, not '{host}'.");
    }

    private static List<ListenAddress> ParseUrls(string text)
    {
        var addresses = new List<ListenAddress>();
        foreach (var url in text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            addresses.Add(ListenAddress.TryParse(url, out var address, out var problem) ? address : throw new CliException($"--urls: {problem}."));
        }

        return addresses.Count > 0 ? addresses : throw new CliException("--urls contains no address.");
    }

    /// <summary>The models that can be loaded, as far as their headers say. One that the configuration names must be; one that only lies in a folder is left out.</summary>
    private static ModelCatalog FindModels(Terminal terminal, ConfigurationLookup lookup, Func<LocalModel, LocalModel> adjust)
    {
        var catalog = lookup.CreateCatalog();
        var usable = new List<ModelEntry>();
        var fault = ModelsCommand.NoModels(lookup.Folders);
        foreach (var model in catalog.Models)
        {
            if (model is not LocalModel local)
            {
                usable.Add(model);
                continue;
            }

            try
            {
                ModelProbe.Check(local.Path);
                usable.Add(adjust(local));
            }
            catch (GgufException exception) when (lookup.Options.Models is null)
            {
                fault = exception.Message;
                terminal.Error.WriteLine($"sluice: not served: {exception.Message}");
            }
            catch (GgufException exception)
            {
                throw new CliException(exception.Message, exception);
            }
        }

        return usable.Count > 0 ? new ModelCatalog(usable) : throw new CliException(fault);
    }

    /// <param name="terminal">Where it says what.</param>
    /// <param name="options">Validated.</param>
    /// <param name="catalog">At least one model.</param>
    /// <param name="source">Where a reload finds both again.</param>
    /// <param name="logFormat">Of the lines on the error stream.</param>
    /// <param name="bind">Told what is listened on; throws where that must not be.</param>
    private static async Task<int> RunAsync(
        Terminal terminal, SluiceOptions options, ModelCatalog catalog, ConfigurationSource source, LogFormat logFormat,
        Action<IReadOnlyList<ListenAddress>> bind)
    {
        RequireNames(options);
        var isStarted = false;
        await using var application = SluiceServer.CreateApplication(options, catalog, builder =>
        {
            ServeLog.Configure(builder.Logging, terminal, logFormat, () => isStarted);
            builder.Services.AddSingleton(terminal.Time);
            builder.Services.AddSluiceReload(source);
        });
        using var export = TelemetryExport.Start(terminal.GetVariable);
        await StartAsync(application, options);
        bind(BoundAddresses(application));
        var signalCount = 0;
        void Stop()
        {
            if (Interlocked.Increment(ref signalCount) == 1) application.Lifetime.StopApplication();
            else application.Services.GetRequiredService<GracefulStop>().Hurry();
        }

        using var interrupt = terminal.OnInterrupt(Stop);
        using var terminate = terminal.OnTerminate(Stop);
        using var hangUp = terminal.OnHangUp(() => application.Services.GetRequiredService<ConfigurationReload>().Reload());
        if (catalog.Models is [LocalModel only] && only.ReadPurpose() == ModelPurpose.Text && await LoadAsync(application, only) is { } failure)
        {
            await application.StopAsync();
            throw new CliException(failure);
        }

        isStarted = true;
        var drain = options.Drain ?? application.Services.GetRequiredService<Limits>().StopDrain;
        terminal.Output.WriteLine(Announcement.Write(application.Urls.First(), options, catalog, drain));
        terminal.Output.Flush();
        await application.WaitForShutdownAsync();
        return ExitCodes.Success;
    }

    // A key that a command has made closes the hub like one of the configuration.
    private static bool HasKeys(SluiceOptions options)
    {
        if (options.HasKeys) return true;
        if (options.Ledger?.Path is not { } path || !File.Exists(path)) return false;
        using var ledger = new LedgerFile(path);
        return LedgerLookup.Use(ledger, static file => file.ReadKeys()).Count > 0;
    }

    private static void RequireNames(SluiceOptions options)
    {
        foreach (var address in options.Listen.Where(address => !address.IsWildcard && !address.IsLoopback))
        {
            try
            {
                Dns.GetHostAddresses(address.Host);
            }
            catch (SocketException exception)
            {
                throw new CliException($"{address} can't be listened on: {exception.Message.TrimEnd('.')}.", exception);
            }
        }
    }

    private static async Task StartAsync(WebApplication application, SluiceOptions options)
    {
        try
        {
            await application.StartAsync();
        }
        catch (Exception exception) when (exception is StoreException or LedgerException)
        {
            throw new CliException(exception.Message, exception);
        }
        catch (IOException exception) when (exception.InnerException is AddressInUseException)
        {
            throw new CliException($"{Addresses(options)} is taken by another program; choose another with --port or --urls.", exception);
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            throw new CliException($"{Addresses(options)} can't be listened on: {exception.Message.TrimEnd('.')}; choose another with --port or --urls.", exception);
        }
    }

    // A name may have led anywhere; these are addresses.
    private static List<ListenAddress> BoundAddresses(WebApplication application) =>
        [.. application.Urls.Select(static url => ListenAddress.TryParse(url, out var address, out _) ? address : null).OfType<ListenAddress>()];

    private static string Addresses(SluiceOptions options) => string.Join(" or ", options.Listen);

    /// <summary>Waits until the only model is loaded; one sentence when it can't be.</summary>
    private static async Task<string?> LoadAsync(WebApplication application, LocalModel model)
    {
        var memory = application.Services.GetRequiredService<LoadedModels<InferenceEngine>>();
        try
        {
            var (lease, error) = await memory.AcquireAsync(model, application.Lifetime.ApplicationStopping);
            lease?.Dispose();
            return error?.Message;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }
}
