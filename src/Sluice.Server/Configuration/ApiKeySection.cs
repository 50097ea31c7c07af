using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>Reads <c>api_keys</c>: a list of keys, alone or with the id of their owner.</summary>
internal static class ApiKeySection
{
    private static readonly string[] s_keys = ["id", "key"];

    /// <summary>Null where there is no such list.</summary>
    public static IReadOnlyList<ApiKey>? Read(ConfigurationDocument document, ConfigurationSection root)
    {
        if (document.Sequence(root, "api_keys") is not { } nodes) return null;
        var keys = new List<ApiKey>();
        var known = new Dictionary<string, (ApiKey Key, Mark Mark)>(StringComparer.Ordinal);
        foreach (var node in nodes)
        {
            if (ReadKey(document, node) is not var (key, mark)) continue;
            // With two ids it would be chance whose answers it asks for.
            if (!known.TryAdd(key.Key, (key, mark)) && known[key.Key] is var (first, place) && first.Id != key.Id)
                document.Report(mark, $"this API key stands in line {place.Line} too; a key has one id");
            keys.Add(key);
        }
        return keys;
    }

    private static (ApiKey Key, Mark Mark)? ReadKey(ConfigurationDocument document, YamlNode node)
    {
        if (node is not YamlMappingNode)
            return document.Text(node, "an element of 'api_keys'") is var (text, mark) && IsKey(document, text, mark) ? (text, mark) : null;
        if (document.Mapping(node, "an API key", s_keys) is not { } section) return null;
        var id = document.RequiredString(section, "id");
        var secret = document.RequiredString(section, "key");
        var isId = id is var (name, nameMark) && IsId(document, name, nameMark);
        if (secret is not var (key, keyMark) || !IsKey(document, key, keyMark) || !isId) return null;
        return (new ApiKey(id!.Value.Value, key), keyMark);
    }

    /// <summary>Whether a text may be an id; else that is reported.</summary>
    public static bool IsId(ConfigurationDocument document, string id, Mark mark)
    {
        if (ApiKey.IsId(id)) return true;
        document.Report(
            mark, $"'{id}' is not a valid id; expected 1 to {ApiKey.IdLengthMax} letters, digits, dots, hyphens and underscores");
        return false;
    }

    /// <summary>Whether a text may be a key; else that is reported.</summary>
    public static bool IsKey(ConfigurationDocument document, string key, Mark mark)
    {
        if (!key.Any(static letter => letter is <= ' ' or > '~')) return true;
        document.Report(mark, "an API key contains a character that is not allowed in a header; expected visible ASCII without spaces");
        return false;
    }
}
