using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>Reads the <c>models</c> of a configuration.</summary>
internal static class ModelSection
{
    private const int RetriesMax = 10;

    private static readonly string[] s_keys = ["id", "aliases", "gguf", "upstreams", "retries", "timeouts", "rescue", "hedge", "fallbacks", "store", "defaults", "repetition_guard", "reasoning_hold", "cache", "cache_sampled", "cache_scope", "context", "threads", "keep_alive", "cache_type"];
    private static readonly string[] s_routeKeys = ["retries", "timeouts", "rescue", "hedge", "reasoning_hold"];
    private static readonly string[] s_engineKeys = ["defaults", "repetition_guard", "context", "threads", "keep_alive", "cache_type"];
    private static readonly string[] s_upstreamKeys = ["url", "kind", "api_key", "model", "weight", "headers", "on_abort", .. UpstreamKindKeys.All];
    private static readonly string[] s_timeoutKeys = ["connect", "first_token", "idle", "total"];

    // What the hub itself says to an upstream, or what belongs to one connection.
    private static readonly HashSet<string> s_reservedHeaders = new(StringComparer.OrdinalIgnoreCase)
    {
        "Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer",
        "Accept", "Accept-Encoding", "Expect",
    };

    public static List<ModelOptions>? Read(ConfigurationDocument document, ConfigurationSection root)
    {
        if (document.Sequence(root, "models") is not { } nodes) return null;
        var models = new List<ModelOptions>();
        var names = new Dictionary<string, Mark>(StringComparer.OrdinalIgnoreCase);
        var fallbacks = new List<(string Model, Located Fallback)>();
        foreach (var node in nodes)
        {
            if (document.Mapping(node, "a model", s_keys) is not { } section) continue;
            var id = document.RequiredString(section, "id");
            var aliases = document.Strings(section, "aliases") ?? [];
            if (id is var (name, mark)) ClaimName(document, names, name, mark);
            foreach (var (alias, aliasMark) in aliases) ClaimName(document, names, alias, aliasMark);
            var model = ReadModel(document, section, id?.Value ?? "");
            foreach (var fallback in document.Strings(section, "fallbacks") ?? []) fallbacks.Add((id?.Value ?? "", fallback));
            if (model is null || id is null) continue;
            models.Add(model with
            {
                KeepsAnswers = ReadStore(document, section),
                Cache = ReadCache(document, section),
                Aliases = [.. aliases.Select(alias => alias.Value)],
                Fallbacks = [.. fallbacks.Where(fallback => fallback.Model == id.Value.Value).Select(fallback => fallback.Fallback.Value)],
            });
        }
        foreach (var (model, fallback) in fallbacks) CheckFallback(document, names, model, fallback);
        return models;
    }

    // Where answers are kept is one place for all models; a model can only have none.
    private static bool ReadStore(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.Word(section, "store") is not var (text, mark)) return true;
        if (text != "off") document.Report(mark, $"'{text}' is not a valid value of a model's 'store'; allowed here: off");
        return false;
    }

    // Null when it is wrong, which is reported.
    private static ModelOptions? ReadModel(ConfigurationDocument document, ConfigurationSection section, string id)
    {
        var gguf = document.String(section, "gguf");
        if (section.Find("upstreams") is not { } upstreams)
        {
            foreach (var key in s_routeKeys.Where(section.Contains))
                document.Report(section.KeyMark(key), $"'{key}' applies to upstreams, and this model has none");
            if (section.Find("gguf") is null) document.Report(section.Start, "a model has neither 'gguf' nor 'upstreams'; it needs one of them");
            var (defaults, endsRepetition) = (ModelDefaultsSection.Read(document, section), ReadSwitch(document, section, "repetition_guard", fallback: true));
            return gguf is var (path, mark)
                ? EngineSection.Read(document, section, new ModelOptions(id, path) { Defaults = defaults, EndsRepetition = endsRepetition, Position = document.PositionOf(mark) })
                : null;
        }
        foreach (var key in s_engineKeys.Where(section.Contains))
            document.Report(section.KeyMark(key), $"'{key}' applies to the local engine, and this model has upstreams");
        if (section.Find("gguf") is not null) document.Report(section.KeyMark("upstreams"), "a model has both 'gguf' and 'upstreams'; it needs exactly one of them");
        return ReadRoute(document, section) is { } route
            ? new ModelOptions(id, null) { Route = route, ReasoningHold = ReadReasoningHold(document, section), Position = document.PositionOf(upstreams.Start) }
            : null;
    }

    private static CacheOptions? ReadCache(ConfigurationDocument document, ConfigurationSection section)
    {
        var time = ReadDuration(document, section, "cache");
        var scope = document.Word(section, "cache_scope");
        if (scope is var (word, mark) && word is not ("project" or "key")) document.Report(mark, $"'{word}' is not a valid value of 'cache_scope'; allowed here: project, key");
        var includesSampled = ReadSwitch(document, section, "cache_sampled", fallback: false);
        if (!section.Contains("cache"))
        {
            foreach (var key in (string[])["cache_scope", "cache_sampled"])
                if (section.Contains(key)) document.Report(section.KeyMark(key), $"'{key}' applies to a cache, and this model has none; add 'cache: 10m'");
        }
        return time is null ? null : new CacheOptions(time.Value) { IncludesSampled = includesSampled, IsPerKey = scope?.Value == "key" };
    }

    private static int ReadReasoningHold(ConfigurationDocument document, ConfigurationSection section)
    {
        const int Max = 1_000_000;
        if (document.String(section, "reasoning_hold") is not var (text, mark)) return 0;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var tokens) && tokens <= Max) return tokens;
        document.Report(mark, $"'{text}' is not a valid number of tokens; expected 0 to {Max}");
        return 0;
    }

    private static ModelRouteOptions? ReadRoute(ConfigurationDocument document, ConfigurationSection section)
    {
        var nodes = document.Sequence(section, "upstreams")!;
        if (nodes.Count == 0 && section.Find("upstreams") is YamlSequenceNode empty)
            document.Report(empty.Start, "'upstreams' is empty; expected at least one, such as {url: http://gpu-1:8000/v1}");
        var upstreams = new List<UpstreamOptions>();
        foreach (var node in nodes)
        {
            if (ReadUpstream(document, node) is { } upstream) upstreams.Add(upstream);
        }
        var route = new ModelRouteOptions(upstreams)
        {
            Timeouts = ReadTimeouts(document, section),
            Rescue = ReadSwitch(document, section, "rescue", fallback: true),
            Hedge = ReadHedge(document, section),
        };
        if (document.String(section, "retries") is var (text, mark))
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var retries) && retries <= RetriesMax) route = route with { Retries = retries };
            else document.Report(mark, $"'{text}' is not a valid number of retries; expected 0 to {RetriesMax}");
        }
        return upstreams.Count > 0 ? route : null;
    }

    private static UpstreamOptions? ReadUpstream(ConfigurationDocument document, YamlNode node)
    {
        if (document.Mapping(node, "an upstream", s_upstreamKeys) is not { } section) return null;
        if (UpstreamKindKeys.ReadKind(document, section) is not { } kind) return null;
        var url = document.RequiredString(section, "url");
        if (url is var (address, urlMark) && FindUrlProblem(address) is { } problem) document.Report(urlMark, problem);
        var key = document.String(section, "api_key");
        if (key is var (keyText, keyMark) && !IsHeaderValue(keyText, spacesAllowed: false))
            document.Report(keyMark, "an API key contains a character that is not allowed in a header; expected visible ASCII without spaces");
        var upstream = new UpstreamOptions(url?.Value.TrimEnd('/') ?? "")
        {
            Kind = kind,
            ApiKey = key?.Value,
            Model = document.String(section, "model")?.Value,
            Weight = ReadWeight(document, section),
            Headers = ReadHeaders(document, section),
            OnAbort = ReadAbortPolicy(document, section),
            Continues = ReadSwitch(document, section, "continues", fallback: false),
        };
        return UpstreamKindKeys.Read(document, section, upstream, url);
    }

    // The address may hold a password, so the message doesn't repeat it.
    private static string? FindUrlProblem(string text)
    {
        const string Expected = "expected http://HOST:PORT/v1 or https://HOST/v1";
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https") || url.Host.Length == 0) return $"this is not a valid URL; {Expected}";
        if (url.UserInfo.Length > 0) return "the url contains a user or password; use 'api_key' or 'headers'";
        if (url.Query.Length > 0 || url.Fragment.Length > 0) return $"the url has a query or a fragment; {Expected}";
        var path = url.AbsolutePath.TrimEnd('/');
        return path.EndsWith("/completions", StringComparison.Ordinal) || path.EndsWith("/messages", StringComparison.Ordinal)
            || path.EndsWith("/responses", StringComparison.Ordinal)
            ? "the url names an endpoint; expected where the API begins, such as http://HOST:PORT/v1"
            : null;
    }

    private static double? ReadWeight(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "weight") is not var (text, mark)) return null;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var weight) && weight is > 0 and <= 1_000_000) return weight;
        document.Report(mark, $"'{text}' is not a valid weight; expected a number above 0");
        return null;
    }

    private static AbortPolicy ReadAbortPolicy(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "on_abort") is not var (text, mark) || text == "cancel") return AbortPolicy.Cancel;
        if (text != "drain") document.Report(mark, $"'{text}' is not a valid value of 'on_abort'; allowed here: cancel, drain");
        return AbortPolicy.Drain;
    }

    private static bool ReadSwitch(ConfigurationDocument document, ConfigurationSection section, string key, bool fallback)
    {
        if (document.Word(section, key) is not var (text, mark)) return fallback;
        if (text is not ("true" or "false" or "on" or "off")) document.Report(mark, $"'{text}' is not a valid value of '{key}'; allowed here: true, false");
        return text is "true" or "on";
    }

    private static double? ReadHedge(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "hedge") is not var (text, mark)) return null;
        if (text.EndsWith('%') && double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percent) && percent is > 0 and <= 100)
            return percent / 100;
        document.Report(mark, $"'{text}' is not a valid share of requests; expected a percentage above 0, such as 5%");
        return null;
    }

    private static Dictionary<string, string> ReadHeaders(ConfigurationDocument document, ConfigurationSection section)
    {
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (section.Find("headers") is not { } node) return headers;
        if (node is not YamlMappingNode mapping)
        {
            document.Report(node.Start, "'headers' must be a mapping of names and values");
            return headers;
        }
        foreach (var (keyNode, valueNode) in mapping.Children)
        {
            var name = (keyNode as YamlScalarNode)?.Value ?? "";
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal)))
                document.Report(keyNode.Start, $"'{name}' is not a valid header name");
            else if (s_reservedHeaders.Contains(name))
                document.Report(keyNode.Start, $"the header '{name}' is the hub's own and can't be set");
            else if (document.Text(valueNode, $"the header '{name}'") is not var (value, mark))
                continue;
            else if (!IsHeaderValue(value, spacesAllowed: true))
                document.Report(mark, $"the header '{name}' contains a character that is not allowed in a header; expected visible ASCII");
            else if (!headers.TryAdd(name, value))
                document.Report(keyNode.Start, $"the header '{name}' is set twice");
        }
        return headers;
    }

    private static RouteTimeouts ReadTimeouts(ConfigurationDocument document, ConfigurationSection section)
    {
        var timeouts = new RouteTimeouts();
        if (section.Find("timeouts") is not { } node || document.Mapping(node, "'timeouts'", s_timeoutKeys) is not { } times) return timeouts;
        return new RouteTimeouts
        {
            Connect = ReadDuration(document, times, "connect") ?? timeouts.Connect,
            FirstToken = ReadDuration(document, times, "first_token") ?? timeouts.FirstToken,
            Idle = ReadDuration(document, times, "idle") ?? timeouts.Idle,
            Total = ReadDuration(document, times, "total") ?? timeouts.Total,
        };
    }

    private static TimeSpan? ReadDuration(ConfigurationDocument document, ConfigurationSection section, string key)
    {
        if (document.String(section, key) is not var (text, mark)) return null;
        var duration = Duration.Parse(text);
        if (duration is null) document.Report(mark, $"'{text}' is not a valid duration; expected a number with a unit, such as 500ms, 5s or 10m, up to 24h");
        return duration;
    }

    private static bool IsHeaderValue(string text, bool spacesAllowed) => text.All(c => c is > ' ' and <= '~' || (spacesAllowed && c == ' '));

    private static void CheckFallback(ConfigurationDocument document, Dictionary<string, Mark> names, string model, Located fallback)
    {
        if (string.Equals(model, fallback.Value, StringComparison.OrdinalIgnoreCase))
        {
            document.Report(fallback.Mark, $"the model '{model}' can't be its own fallback");
        }
        else if (!names.ContainsKey(fallback.Value))
        {
            var suggestion = Suggestion.Find(fallback.Value, names.Keys) is { } near ? $"; did you mean '{near}'?" : "";
            document.Report(fallback.Mark, $"the fallback '{fallback.Value}' is not a model of this configuration{suggestion}");
        }
    }

    private static void ClaimName(ConfigurationDocument document, Dictionary<string, Mark> names, string name, Mark mark)
    {
        if (!names.TryAdd(name, mark)) document.Report(mark, $"the name '{name}' is already used in line {names[name].Line}; ids and aliases must be unique, and upper and lower case are the same");
    }
}
