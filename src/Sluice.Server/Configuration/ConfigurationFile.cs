using System.Text;
using Sluice.Server.Prices;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>Reads <c>sluice.yaml</c>. Every value is checked, and all errors are told at once.</summary>
public static class ConfigurationFile
{
    private const long StoreSizeMin = 1 << 20;

    // A thousand models with ten upstreams each are 1 MiB.
    private const int CharactersMax = 4 << 20;

    private static readonly string[] s_rootKeys = ["listen", "models", "api_keys", "allowed_hosts", "cors_origins", "memory_budget", "store", "store_path", "store_size", "drain", "keys", "projects", "hub", "prices", "ledger", "content", "jwt", "admin_listen", "admin_keys", "console", "certificate", "cluster", "transport", "hooks", "stop_delay"];
    private static readonly string[] s_ledgerKeys = ["path", "strict", "budget_fail"];

    /// <summary>Reads and validates a file.</summary>
    /// <param name="path">Path of the file; errors name it as it is given.</param>
    /// <param name="environment">Value of an environment variable, or null; by default the process's own.</param>
    /// <exception cref="ConfigurationException">The file is not valid.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static SluiceOptions Load(string path, Func<string, string?>? environment = null) =>
        Parse(ReadText(path), path, environment);

    /// <summary>Options of a hub without a configuration file: the defaults, and keys from the environment.</summary>
    /// <param name="environment">As for <see cref="Load"/>.</param>
    public static SluiceOptions Default(Func<string, string?>? environment = null) =>
        new() { ApiKeys = KeysOf(environment ?? Environment.GetEnvironmentVariable) };

    /// <summary>Validates the text of a file.</summary>
    /// <exception cref="ConfigurationException">The text is not valid.</exception>
    public static SluiceOptions Parse(string yaml, string fileName, Func<string, string?>? environment = null)
    {
        environment ??= Environment.GetEnvironmentVariable;
        var document = new ConfigurationDocument(fileName, environment);
        var root = ConfigurationYaml.Read(yaml, document);
        var options = root is not null ? ReadRoot(document, root, fileName, environment) : new SluiceOptions();
        return document.Errors.Count == 0 ? options : throw new ConfigurationException(document.Errors);
    }

    /// <summary>The text of a file, which may be a device that never ends.</summary>
    /// <exception cref="ConfigurationException">It is larger than any configuration.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    internal static string ReadText(string path)
    {
        using var reader = new StreamReader(path);
        var text = new StringBuilder();
        var buffer = new char[16 << 10];
        while (reader.Read(buffer) is > 0 and var count)
        {
            text.Append(buffer, 0, count);
            if (text.Length <= CharactersMax) continue;
            throw new ConfigurationException([new ConfigurationError(new SourcePosition(path, 1, 1), "larger than 4 MiB, which no configuration is")]);
        }
        return text.ToString();
    }

    private static SluiceOptions ReadRoot(ConfigurationDocument document, YamlNode node, string fileName, Func<string, string?> environment)
    {
        if (document.Mapping(node, "the configuration", s_rootKeys) is not { } root) return new SluiceOptions();
        var keys = ApiKeySection.Read(document, root);
        var projects = KeySection.ReadProjects(document, root);
        var options = new SluiceOptions
        {
            Listen = ReadListen(document, root),
            Models = ModelSection.Read(document, root),
            ApiKeys = keys ?? KeysOf(environment),
            Keys = KeySection.ReadKeys(document, root, projects),
            Projects = projects,
            Hub = root.Find("hub") is { } hub && document.Mapping(hub, "'hub'", LimitSection.Keys) is { } all
                ? LimitSection.Read(document, all) : LimitOptions.None,
            Certificate = CertificateSection.Read(document, root, Path.GetDirectoryName(Path.GetFullPath(fileName))!),
            Admin = AdminSection.Read(document, root, Path.GetDirectoryName(Path.GetFullPath(fileName))!),
            Jwt = JwtSection.Read(document, root, projects),
            Ledger = ReadLedger(document, root, fileName),
            Content = ContentSection.Read(document, root, projects),
            AllowsEveryone = keys is [],
            AllowedHosts = ReadHosts(document, root),
            CorsOrigins = ReadOrigins(document, root),
            MemoryBudgetBytes = ReadSize(document, root, "memory_budget"),
            Store = ReadStore(document, root),
            StorePath = document.String(root, "store_path") is var (path, _) ? FullPath(path, fileName) : null,
            StoreSizeBytes = ReadStoreSize(document, root),
            Drain = ReadTime(document, root, "drain"),
            StopDelay = ReadTime(document, root, "stop_delay"),
            Hooks = HooksSection.Read(document, root),
            Console = ReadConsole(document, root),
            Transport = ReadTransport(document, root),
        };
        if (ClusterSection.Read(document, root) is { } cluster) options = options with { Cluster = cluster, Store = StoreKind.Postgres };
        options = options with { Prices = ReadPrices(document, root, fileName) };
        MeteringCheck.Report(document, root, options);
        // A certificate that is there and can't be read has been reported.
        if (!root.Contains("certificate") && CertificateSection.FindProblem(options.Listen, null) is { } problem) document.Report(root.Find("listen")!.Start, problem);
        return options;
    }

    private static LedgerOptions? ReadLedger(ConfigurationDocument document, ConfigurationSection root, string fileName)
    {
        if (root.Find("ledger") is not { } node || document.Mapping(node, "'ledger'", s_ledgerKeys) is not { } section) return null;
        var strict = document.Word(section, "strict");
        if (strict is var (word, mark) && word is not ("true" or "false" or "on" or "off")) document.Report(mark, $"'{word}' is not a valid value of 'strict'; allowed here: true, false");
        var fail = document.Word(section, "budget_fail");
        if (fail is var (policy, failMark) && policy is not ("closed" or "open")) document.Report(failMark, $"'{policy}' is not a valid value of 'budget_fail'; allowed here: closed, open");
        return new LedgerOptions
        {
            ServesUnwritten = fail?.Value == "open",
            Path = document.String(section, "path") is var (path, _) ? FullPath(path, fileName) : null,
            IsStrict = strict?.Value is "true" or "on",
        };
    }

    private static PriceTable ReadPrices(ConfigurationDocument document, ConfigurationSection root, string fileName)
    {
        if (document.String(root, "prices") is not var (path, mark)) return PriceTable.Empty;
        try
        {
            return PriceFile.Load(FullPath(path, fileName));
        }
        catch (ConfigurationException exception)
        {
            foreach (var error in exception.Errors) document.Report(mark, $"{error}");
            return PriceTable.Empty;
        }
    }

    // Relative to the configuration's folder.
    private static string FullPath(string path, string fileName) => Path.GetFullPath(path, Path.GetDirectoryName(Path.GetFullPath(fileName))!);

    private static List<ListenAddress> ReadListen(ConfigurationDocument document, ConfigurationSection root)
    {
        var addresses = new List<ListenAddress>();
        foreach (var (text, mark) in document.Strings(root, "listen", scalarAllowed: true) ?? [])
        {
            if (!ListenAddress.TryParse(text, out var address, out var problem)) document.Report(mark, $"listen: {problem}");
            else addresses.Add(address);
        }
        return addresses.Count > 0 ? addresses : [ListenAddress.Default];
    }

    private static List<string> ReadHosts(ConfigurationDocument document, ConfigurationSection root)
    {
        var hosts = new List<string>();
        foreach (var (host, mark) in document.Strings(root, "allowed_hosts") ?? [])
        {
            if (host != "*" && Uri.CheckHostName(host) == UriHostNameType.Unknown)
                document.Report(mark, $"'{host}' is not a valid host name; expected a name or address without scheme and port, or *");
            hosts.Add(host);
        }
        return hosts;
    }

    private static List<string> ReadOrigins(ConfigurationDocument document, ConfigurationSection root)
    {
        var origins = new List<string>();
        foreach (var (origin, mark) in document.Strings(root, "cors_origins") ?? [])
        {
            var isOrigin = Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.PathAndQuery is "/" or "" && uri.Host.Length > 0;
            if (origin != "*" && !isOrigin) document.Report(mark, $"'{origin}' is not a valid origin; expected SCHEME://HOST or SCHEME://HOST:PORT, or *");
            origins.Add(origin.TrimEnd('/'));
        }
        return origins;
    }

    private static StoreKind ReadStore(ConfigurationDocument document, ConfigurationSection root)
    {
        if (document.Word(root, "store") is not var (text, mark) || text == "memory") return StoreKind.Memory;
        if (text is not ("sqlite" or "off")) document.Report(mark, $"'{text}' is not a valid store; allowed here: memory, sqlite, off");
        return text == "sqlite" ? StoreKind.Sqlite : StoreKind.Off;
    }

    private static long? ReadStoreSize(ConfigurationDocument document, ConfigurationSection root)
    {
        var bytes = ReadSize(document, root, "store_size");
        if (bytes < StoreSizeMin) document.Report(root.Find("store_size")!.Start, "a store needs at least 1MiB");
        return bytes;
    }

    private static TimeSpan? ReadTime(ConfigurationDocument document, ConfigurationSection root, string key)
    {
        if (document.String(root, key) is not var (text, mark)) return null;
        var time = Duration.Parse(text);
        if (time is null) document.Report(mark, $"'{text}' is not a valid duration; expected a number with a unit, such as 30s or 5m, up to 24h");
        return time;
    }

    private static bool ReadConsole(ConfigurationDocument document, ConfigurationSection root)
    {
        if (document.Word(root, "console") is not var (word, mark)) return true;
        if (word is not ("true" or "false" or "on" or "off")) document.Report(mark, $"'{word}' is not a valid value of 'console'; allowed here: true, false");
        return word is not ("false" or "off");
    }

    private static TransportKind ReadTransport(ConfigurationDocument document, ConfigurationSection root)
    {
        if (document.Word(root, "transport") is not var (word, mark)) return TransportKind.Auto;
        switch (word)
        {
            case "auto":
                return TransportKind.Auto;
            case "reactor" when Server.Transport.ReactorThread.Exists:
                return TransportKind.Reactor;
            case "sockets":
                return TransportKind.Sockets;
            default:
                document.Report(mark, word == "reactor"
                    ? "'reactor' needs a 64-bit Linux; allowed here: auto, sockets"
                    : $"'{word}' is not a valid value of 'transport'; allowed here: auto, reactor, sockets");
                return TransportKind.Auto;
        }
    }

    private static long? ReadSize(ConfigurationDocument document, ConfigurationSection root, string key)
    {
        if (document.String(root, key) is not var (text, mark)) return null;
        var bytes = ByteSize.Parse(text);
        if (bytes is null) document.Report(mark, $"'{text}' is not a valid size; expected a number with a unit, such as 8GB or 512MiB");
        return bytes;
    }

    private static IReadOnlyList<ApiKey> KeysOf(Func<string, string?> environment) =>
    [
        .. (environment("SLUICE_API_KEYS") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(ApiKey.FromString),
    ];
}
