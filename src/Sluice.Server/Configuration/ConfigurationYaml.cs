using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>
/// From a file's text to its nodes. The library builds them by recursion, compares keys by all that is in them, and takes a NUL for the
/// end; so the events that it reads without recursion are looked at first.
/// </summary>
internal sealed class ConfigurationYaml
{
    // A header of an upstream of a model stands at the sixth.
    private const int LevelsMax = 32;

    // With aliases written out: a thousand models with ten upstreams each have half of it.
    private const int ValuesMax = 100_000;

    private readonly ConfigurationDocument _document;
    private readonly Stack<Level> _levels = [];
    private readonly Dictionary<AnchorName, long> _sizes = [];

    private ConfigurationYaml(ConfigurationDocument document) => _document = document;

    private sealed class Level(AnchorName anchor, bool isMapping)
    {
        public AnchorName Anchor => anchor;

        public bool IsMapping { get; } = isMapping;

        // Of a mapping; every second one of its nodes is a key.
        public bool IsKeyNext { get; set; } = isMapping;

        public long Size { get; set; } = 1;
    }

    /// <summary>The root; null where the text is not valid, which is reported.</summary>
    public static YamlNode? Read(string text, ConfigurationDocument document)
    {
        text = text.TrimStart('\uFEFF');
        if (FindNul(text) is { } nul) return Refuse(document, nul, "a NUL byte, which no text has; the file seems to be damaged");
        var yaml = new YamlStream();
        try
        {
            if (!new ConfigurationYaml(document).Check(new Parser(new StringReader(text)))) return null;
            yaml.Load(new StringReader(text));
        }
        catch (YamlException error)
        {
            return Refuse(document, error.Start, $"not valid YAML: {FirstLine(error)}");
        }
#pragma warning disable CA1031 // The library throws whatever its own errors lead to, and a file must not end the process.
        catch (Exception error)
#pragma warning restore CA1031
        {
            return Refuse(document, new Mark(), $"not valid YAML: {FirstLine(error)}");
        }
        if (yaml.Documents is [_, var second, ..])
            return Refuse(document, second.RootNode.Start, "a configuration must be one YAML document; a second one begins here");
        if (yaml.Documents is [var only] && !IsNull(only.RootNode))
        {
            YamlMerge.Apply(only.RootNode, document);
            return only.RootNode;
        }
        return Refuse(document, new Mark(), "the file has no content; write {} for the defaults, or remove it");
    }

    /// <summary>Whether the value is the same as an absent one.</summary>
    public static bool IsNull(YamlNode node) =>
        node is YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or null or "~" or "null" or "Null" or "NULL" };

    private bool Check(Parser events)
    {
        while (events.MoveNext())
        {
            if (FindProblem(events.Current!) is not { } problem) continue;
            _document.Report(events.Current!.Start, problem);
            return false;
        }
        return true;
    }

    private string? FindProblem(ParsingEvent current)
    {
        switch (current)
        {
            case MappingStart or SequenceStart:
                if (TakesKey()) return "a key must be text";
                if (_levels.Count == LevelsMax) return $"nested more than {LevelsMax} levels deep, which no configuration is";
                _levels.Push(new Level(((NodeEvent)current).Anchor, current is MappingStart));
                return null;
            case MappingEnd or SequenceEnd:
                var level = _levels.Pop();
                if (!level.Anchor.IsEmpty) _sizes[level.Anchor] = level.Size;
                return Add(level.Size);
            case AnchorAlias alias:
                if (TakesKey()) return "a key must be text";
                if (_levels.Any(open => open.Anchor == alias.Value)) return $"'*{alias.Value}' stands within what it stands for";
                // One that there isn't is reported by the library.
                return Add(_sizes.GetValueOrDefault(alias.Value, 1));
            case Scalar scalar:
                TakesKey();
                if (!scalar.Anchor.IsEmpty) _sizes[scalar.Anchor] = 1;
                return Add(1);
            default:
                return null;
        }
    }

    // Whether the node that comes is a key.
    private bool TakesKey()
    {
        if (!_levels.TryPeek(out var level) || !level.IsMapping) return false;
        var isKey = level.IsKeyNext;
        level.IsKeyNext = !isKey;
        return isKey;
    }

    private string? Add(long size)
    {
        if (!_levels.TryPeek(out var level)) return null;
        level.Size += size;
        return level.Size > ValuesMax ? $"has more than {ValuesMax} values, its aliases written out" : null;
    }

    // To the library it is the end of the text, however much comes behind it.
    private static Mark? FindNul(string text)
    {
        var index = text.IndexOf('\0', StringComparison.Ordinal);
        if (index < 0) return null;
        var before = text.AsSpan(0, index);
        return new Mark(index, before.Count('\n') + 1, index - before.LastIndexOf('\n'));
    }

    private static YamlNode? Refuse(ConfigurationDocument document, Mark place, string message)
    {
        document.Report(place, message);
        return null;
    }

    private static string FirstLine(Exception error)
    {
        var message = error.InnerException?.Message ?? error.Message;
        return message.ReplaceLineEndings("\n").Split('\n')[0].TrimEnd('.');
    }
}
