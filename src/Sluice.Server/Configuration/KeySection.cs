using System.Globalization;
using YamlDotNet.Core;

namespace Sluice.Server.Configuration;

/// <summary>Reads <c>keys</c> and <c>projects</c>.</summary>
internal static class KeySection
{
    private static readonly string[] s_keys = ["name", "key", "project", "models", "expires", "tags", "on_exhausted", "hold", "charge", "price_as", "content", .. LimitSection.Keys];
    private static readonly string[] s_projectKeys = ["id", .. LimitSection.Keys];

    /// <summary>The keys with limits, in their order.</summary>
    public static List<KeyOptions> ReadKeys(ConfigurationDocument document, ConfigurationSection root, IReadOnlyList<ProjectOptions> projects)
    {
        var keys = new List<KeyOptions>();
        var names = new Dictionary<string, Mark>(StringComparer.Ordinal);
        foreach (var node in document.Sequence(root, "keys") ?? [])
        {
            if (document.Mapping(node, "a key", s_keys) is not { } section) continue;
            if (Name(document, section, "name", names) is not { } name) continue;
            if (document.RequiredString(section, "key") is not var (secret, mark) || !ApiKeySection.IsKey(document, secret, mark)) continue;
            keys.Add(new KeyOptions(name, secret)
            {
                Project = ReadProject(document, section, projects),
                Models = ReadModels(document, section),
                Limits = LimitSection.Read(document, section),
                Expires = ReadExpiry(document, section),
                Tags = ReadTags(document, section),
                OnExhausted = ReadPolicy(document, section),
                HoldsWhole = IsSecond(document, section, "hold", "slice", "full"),
                PaysAttempts = IsSecond(document, section, "charge", "answer", "cost"),
                PaysAsAsked = IsSecond(document, section, "price_as", "served", "asked"),
                IsNeverCaptured = IsSecond(document, section, "content", "default", "never"),
            });
        }
        return keys;
    }

    /// <summary>The projects, in their order.</summary>
    public static List<ProjectOptions> ReadProjects(ConfigurationDocument document, ConfigurationSection root)
    {
        var projects = new List<ProjectOptions>();
        var names = new Dictionary<string, Mark>(StringComparer.Ordinal);
        foreach (var node in document.Sequence(root, "projects") ?? [])
        {
            if (document.Mapping(node, "a project", s_projectKeys) is not { } section) continue;
            if (Name(document, section, "id", names) is { } id) projects.Add(new ProjectOptions(id, LimitSection.Read(document, section)));
        }
        return projects;
    }

    /// <summary>Reads a moment: a date, whose midnight in UTC it is, or a date with a time and a zone. Null for anything else.</summary>
    public static DateTimeOffset? ParseMoment(string text)
    {
        string[] forms = ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mmK"];
        return DateTimeOffset.TryParseExact(text, forms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment)
            ? moment.ToUniversalTime() : null;
    }

    private static string? Name(ConfigurationDocument document, ConfigurationSection section, string key, Dictionary<string, Mark> names)
    {
        if (document.RequiredString(section, key) is not var (name, mark)) return null;
        if (!ApiKeySection.IsId(document, name, mark)) return null;
        if (names.TryAdd(name, mark)) return name;
        document.Report(mark, $"the name '{name}' is taken in line {names[name].Line}");
        return null;
    }

    private static string? ReadProject(ConfigurationDocument document, ConfigurationSection section, IReadOnlyList<ProjectOptions> projects)
    {
        if (document.String(section, "project") is not var (id, mark)) return null;
        if (!projects.Any(project => project.Id == id))
        {
            var near = Suggestion.Find(id, [.. projects.Select(static project => project.Id)]);
            document.Report(mark, $"there is no project '{id}'{(near is null ? "" : $"; did you mean '{near}'?")}");
        }
        return id;
    }

    private static List<string>? ReadModels(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.Strings(section, "models") is not { } models) return null;
        foreach (var (pattern, mark) in models)
        {
            if (pattern.IndexOf('*', StringComparison.Ordinal) is >= 0 and var star && star != pattern.Length - 1)
                document.Report(mark, $"'{pattern}' has a * that is not at its end");
        }
        return [.. models.Select(static model => model.Value)];
    }

    private static DateTimeOffset? ReadExpiry(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.String(section, "expires") is not var (text, mark)) return null;
        if (ParseMoment(text) is { } moment) return moment;
        document.Report(mark, $"'{text}' is not a valid date; expected one such as 2027-01-31 or 2027-01-31T18:00:00Z");
        return null;
    }

    private static Dictionary<string, string> ReadTags(ConfigurationDocument document, ConfigurationSection section)
    {
        const int TagsMax = 16, NameMax = 64, ValueMax = 256;
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        if (section.Find("tags") is not { } node) return tags;
        if (node is not YamlDotNet.RepresentationModel.YamlMappingNode mapping)
        {
            document.Report(node.Start, "'tags' must be a mapping of names to texts");
            return tags;
        }
        foreach (var (key, value) in mapping.Children)
        {
            if (document.Text(key, "the name of a tag") is not var (name, mark) || document.Text(value, $"the tag '{name}'") is not var (text, _)) continue;
            if (name.Length > NameMax || text.Length > ValueMax || tags.Count == TagsMax)
                document.Report(mark, $"a key has at most {TagsMax} tags, with names of up to {NameMax} and values of up to {ValueMax} characters");
            else tags[name] = text;
        }
        return tags;
    }

    // Whether the second of two words stands there; the first one is the default.
    private static bool IsSecond(ConfigurationDocument document, ConfigurationSection section, string key, string first, string second)
    {
        if (document.Word(section, key) is not var (text, mark)) return false;
        if (text != first && text != second) document.Report(mark, $"'{text}' is not a valid value of '{key}'; allowed here: {first}, {second}");
        return text == second;
    }

    private static ExhaustedPolicy ReadPolicy(ConfigurationDocument document, ConfigurationSection section)
    {
        if (document.Word(section, "on_exhausted") is not var (text, mark)) return ExhaustedPolicy.Length;
        if (ParsePolicy(text) is { } policy) return policy;
        document.Report(mark, $"'{text}' is not a valid value of 'on_exhausted'; allowed here: length, error, suspend");
        return ExhaustedPolicy.Length;
    }

    /// <summary>Reads a policy by its name; null for anything else.</summary>
    public static ExhaustedPolicy? ParsePolicy(string text) => text switch
    {
        "length" => ExhaustedPolicy.Length,
        "error" => ExhaustedPolicy.Error,
        "suspend" => ExhaustedPolicy.Suspend,
        _ => null,
    };
}
