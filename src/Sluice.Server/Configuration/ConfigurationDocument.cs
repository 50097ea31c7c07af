using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>A value with its place in the file.</summary>
internal readonly record struct Located(string Value, Mark Mark);

/// <summary>A mapping whose keys are all known.</summary>
internal sealed class ConfigurationSection(string name, YamlMappingNode node, Dictionary<string, YamlNode> values)
{
    /// <summary>As an error message calls it, with its article.</summary>
    public string Name => name;

    public Mark Start => node.Start;

    public bool Contains(string key) => values.ContainsKey(key);

    /// <summary>Where a key that is there stands.</summary>
    public Mark KeyMark(string key) => node.Children.Keys.First(child => child is YamlScalarNode { Value: { } name } && name == key).Start;

    /// <summary>Null also when the value is null in the file: that is the same as absent.</summary>
    public YamlNode? Find(string key) =>
        values.TryGetValue(key, out var value) && !ConfigurationYaml.IsNull(value) ? value : null;
}

/// <summary>Reads typed values of one YAML file and collects what is wrong with them.</summary>
internal sealed class ConfigurationDocument(string fileName, Func<string, string?> environment)
{
    // What YAML 1.1 and 1.2 call a boolean.
    private static readonly Dictionary<string, string> s_switches = new(StringComparer.OrdinalIgnoreCase)
    {
        ["true"] = "true",
        ["yes"] = "true",
        ["on"] = "on",
        ["false"] = "false",
        ["no"] = "false",
        ["off"] = "off",
    };

    private readonly List<ConfigurationError> _errors = [];

    // Values that came from variables, and what stands in the file.
    private readonly Dictionary<string, string> _substituted = new(StringComparer.Ordinal);

    /// <summary>In the order of the file.</summary>
    public IReadOnlyList<ConfigurationError> Errors =>
        [.. _errors.OrderBy(error => error.Position.Line).ThenBy(error => error.Position.Column)];

    public SourcePosition PositionOf(Mark mark) => new(fileName, int.Max(1, (int)mark.Line), int.Max(1, (int)mark.Column));

    /// <param name="mark">Where.</param>
    /// <param name="message">Has values between apostrophes. Of one that came from a variable it will have the variable: it may be a key in the wrong place.</param>
    public void Report(Mark mark, string message)
    {
        foreach (var (value, written) in _substituted) message = message.Replace($"'{value}'", $"'{written}'", StringComparison.Ordinal);
        _errors.Add(new ConfigurationError(PositionOf(mark), message));
    }

    /// <summary>A mapping with known keys only; others are reported.</summary>
    /// <param name="node">The node that should be the mapping.</param>
    /// <param name="name">As a message calls it, with its article.</param>
    /// <param name="keys">The keys that there are.</param>
    public ConfigurationSection? Mapping(YamlNode node, string name, string[] keys)
    {
        if (node is not YamlMappingNode mapping)
        {
            Report(node.Start, $"{name} must be a mapping of {string.Join(", ", keys)}, but this is {Describe(node)}");
            return null;
        }
        var values = new Dictionary<string, YamlNode>(StringComparer.Ordinal);
        foreach (var (keyNode, value) in mapping.Children)
        {
            var key = (keyNode as YamlScalarNode)?.Value ?? "";
            values[key] = value;
            if (keys.Contains(key)) continue;
            var suggestion = Suggestion.Find(key, keys) is { } near ? $"; did you mean '{near}'?" : ";";
            Report(keyNode.Start, $"unknown key '{key}'{suggestion} allowed here: {string.Join(", ", keys)}");
        }
        return new ConfigurationSection(name, mapping, values);
    }

    /// <summary>Null when absent; otherwise the elements.</summary>
    public IList<YamlNode>? Sequence(ConfigurationSection section, string key)
    {
        if (section.Find(key) is not { } node) return null;
        if (node is YamlSequenceNode sequence) return sequence.Children;
        Report(node.Start, $"'{key}' must be a list, but this is {Describe(node)}");
        return [];
    }

    /// <summary>Null when absent; otherwise the elements that are text.</summary>
    public IReadOnlyList<Located>? Strings(ConfigurationSection section, string key, bool scalarAllowed = false)
    {
        if (section.Find(key) is not { } node) return null;
        var nodes = scalarAllowed && node is YamlScalarNode ? [node] : Sequence(section, key)!;
        var strings = new List<Located>();
        foreach (var element in nodes)
        {
            if (Text(element, $"an element of '{key}'") is { } text) strings.Add(text);
        }
        return strings;
    }

    /// <summary>Null when absent or wrong.</summary>
    public Located? String(ConfigurationSection section, string key) =>
        section.Find(key) is { } node ? Text(node, $"'{key}'") : null;

    /// <summary>One of a few words, which YAML writes in any case: in lower case here. Null when absent or wrong.</summary>
    public Located? Word(ConfigurationSection section, string key) =>
        String(section, key) is var (text, mark) ? new Located(s_switches.GetValueOrDefault(text, text), mark) : null;

    /// <summary>Null when absent or wrong, which is reported.</summary>
    public Located? RequiredString(ConfigurationSection section, string key)
    {
        if (section.Find(key) is not null) return String(section, key);
        Report(section.Start, $"{section.Name} has no '{key}'");
        return null;
    }

    /// <summary>Null when wrong, which is reported.</summary>
    /// <param name="node">The value.</param>
    /// <param name="name">As a message calls it.</param>
    public Located? Text(YamlNode node, string name)
    {
        if (node is not YamlScalarNode scalar)
        {
            Report(node.Start, $"{name} must be text, but this is {Describe(node)}");
            return null;
        }
        var text = VariableSubstitution.Apply(scalar.Value ?? "", environment, out var problem).Trim();
        if (scalar.Value is { } written && text.Length > 0 && written.Contains("${", StringComparison.Ordinal)) _substituted[text] = written.Trim();
        if (problem is null && text.Length == 0) problem = $"{name} is empty";
        if (problem is null) return new Located(text, node.Start);
        Report(node.Start, problem);
        return null;
    }

    private static string Describe(YamlNode node) => node switch
    {
        YamlMappingNode => "a mapping",
        YamlSequenceNode => "a list",
        _ => "text",
    };
}
