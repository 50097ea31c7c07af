using System.Globalization;
using Sluice.Protocol.Messages;

namespace Sluice.Server.Configuration;

/// <summary>Reads the <c>kind</c> of an upstream and the keys that only some kinds have.</summary>
internal static class UpstreamKindKeys
{
    private const int DefaultMaxTokensMax = 1_000_000;
    private const string AzureExample = "https://NAME.openai.azure.com";

    private static readonly (string Name, UpstreamKind Kind)[] s_kinds =
        [("openai", UpstreamKind.OpenAI), ("azure", UpstreamKind.Azure), ("anthropic", UpstreamKind.Anthropic), ("responses", UpstreamKind.Responses)];

    private static readonly (string Key, UpstreamKind[] Kinds)[] s_keys =
    [
        ("continues", [UpstreamKind.OpenAI]),
        ("deployment", [UpstreamKind.Azure]),
        ("api_version", [UpstreamKind.Azure, UpstreamKind.Anthropic]),
        ("default_max_tokens", [UpstreamKind.Anthropic]),
        ("thinking", [UpstreamKind.Anthropic]),
        ("max_tokens_parameter", [UpstreamKind.OpenAI, UpstreamKind.Azure]),
    ];

    /// <summary>The keys that only some kinds have.</summary>
    public static IEnumerable<string> All => s_keys.Select(entry => entry.Key);

    /// <summary>Null when it is wrong, which is reported.</summary>
    public static UpstreamKind? ReadKind(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "kind") is not var (text, mark)) return UpstreamKind.OpenAI;
        foreach (var (name, kind) in s_kinds)
        {
            if (name == text) return kind;
        }
        var names = s_kinds.Select(entry => entry.Name).ToArray();
        var suggestion = Suggestion.Find(text, names) is { } near ? $" did you mean '{near}'?" : "";
        document.Report(mark, $"'{text}' is not a kind of upstream;{suggestion} allowed here: {string.Join(", ", names)}");
        return null;
    }

    /// <summary>Adds to an upstream what is its kind's own; reports what is missing, wrong, or another kind's.</summary>
    /// <param name="document">Collects what is wrong.</param>
    /// <param name="section">The upstream's.</param>
    /// <param name="upstream">With all that every kind has.</param>
    /// <param name="url">As it stands there.</param>
    public static UpstreamOptions Read(ConfigurationDocument document, ConfigurationSection section, UpstreamOptions upstream, Located? url)
    {
        foreach (var (key, kinds) in s_keys)
        {
            if (!section.Contains(key) || kinds.Contains(upstream.Kind)) continue;
            var names = string.Join(" or ", kinds.Select(NameOf));
            document.Report(section.KeyMark(key), $"'{key}' is for upstreams of the kind {names}, and this one is of the kind {NameOf(upstream.Kind)}");
        }
        return upstream.Kind switch
        {
            UpstreamKind.Azure => ReadAzure(document, section, upstream with { MaxTokensParameter = ReadMaxTokensParameter(document, section) }, url),
            UpstreamKind.Anthropic => ReadAnthropic(document, section, upstream, url),
            UpstreamKind.Responses => upstream,
            _ => upstream with { MaxTokensParameter = ReadMaxTokensParameter(document, section) },
        };
    }

    private static string NameOf(UpstreamKind kind) => s_kinds.First(entry => entry.Kind == kind).Name;

    private static UpstreamOptions ReadAzure(ConfigurationDocument document, ConfigurationSection section, UpstreamOptions upstream, Located? url)
    {
        if (section.Contains("model")) document.Report(section.KeyMark("model"), "'model' is not allowed for the kind azure; use 'deployment' instead");
        var deployment = document.String(section, "deployment");
        var version = document.String(section, "api_version");
        if (version is var (text, mark) && !text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.'))
            document.Report(mark, $"'{text}' is not a version of Azure's API; expected one such as 2024-10-21");
        if (url is var (address, urlMark) && address.Contains("/openai/deployments", StringComparison.Ordinal))
        {
            document.Report(urlMark, $"the url contains a deployment; expected the resource, such as {AzureExample}, and the deployment's name in 'deployment'");
        }
        else if (!upstream.Url.EndsWith(UpstreamApi.AzureVersionedPath, StringComparison.Ordinal))
        {
            var rest = $"needed unless the url ends with {UpstreamApi.AzureVersionedPath}";
            if (!section.Contains("deployment"))
                document.Report(section.Start, $"an upstream of the kind azure has no 'deployment', {rest}");
            if (!section.Contains("api_version"))
                document.Report(section.Start, $"an upstream of the kind azure has no 'api_version', such as 2024-10-21, {rest}");
        }
        return upstream with { Deployment = deployment?.Value, ApiVersion = version?.Value };
    }

    private static UpstreamOptions ReadAnthropic(ConfigurationDocument document, ConfigurationSection section, UpstreamOptions upstream, Located? url)
    {
        if (url is var (address, urlMark) && Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.AbsolutePath == "/")
            document.Report(urlMark, "the url has no path; expected where the API begins, such as https://api.anthropic.com/v1");
        if (document.String(section, "default_max_tokens") is var (text, mark))
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var tokens) && tokens is > 0 and <= DefaultMaxTokensMax)
                upstream = upstream with { DefaultMaxTokens = tokens };
            else
                document.Report(mark, $"'{text}' is not a valid number of tokens; expected 1 to {DefaultMaxTokensMax}");
        }
        if (document.String(section, "api_version") is var (version, versionMark))
        {
            const string Allowed = $"{UpstreamApi.AnthropicSamplingVersion}, {UpstreamApi.AnthropicVersion}";
            if (version is UpstreamApi.AnthropicSamplingVersion or UpstreamApi.AnthropicVersion) upstream = upstream with { ApiVersion = version };
            else document.Report(versionMark, $"'{version}' is not a version of Anthropic's API; allowed here: {Allowed}");
        }
        if (document.String(section, "thinking") is var (mode, modeMark))
        {
            if (mode == "budget") upstream = upstream with { Thinking = ThinkingMode.Budget };
            else if (mode != "adaptive") document.Report(modeMark, $"'{mode}' is not a valid value of 'thinking'; allowed here: adaptive, budget");
        }
        return upstream;
    }

    private static string? ReadMaxTokensParameter(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "max_tokens_parameter") is not var (text, mark)) return null;
        if (text is "max_tokens" or "max_completion_tokens") return text;
        document.Report(mark, $"'{text}' is not a valid value of 'max_tokens_parameter'; allowed here: max_tokens, max_completion_tokens");
        return null;
    }
}
