using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sluice.Server.Configuration;

/// <summary>
/// Writes out the merge key of YAML 1.1: <c>&lt;&lt;: *base</c> adds the keys of another mapping, or of several, that the mapping doesn't have
/// itself. Of two that merge the same key, the first counts.
/// </summary>
internal static class YamlMerge
{
    private const string Key = "<<";

    /// <summary>Changes the nodes; what can't be merged is reported.</summary>
    /// <param name="root">Contains no node that contains itself.</param>
    /// <param name="document">Told of what is wrong.</param>
    public static void Apply(YamlNode root, ConfigurationDocument document) =>
        Apply(root, document, new HashSet<YamlNode>(ReferenceEqualityComparer.Instance));

    // What is merged has its own merges written out before; a node with several aliases comes once.
    private static void Apply(YamlNode node, ConfigurationDocument document, HashSet<YamlNode> done)
    {
        if (!done.Add(node)) return;
        if (node is YamlSequenceNode sequence)
        {
            foreach (var element in sequence.Children) Apply(element, document, done);
        }
        if (node is not YamlMappingNode mapping) return;
        foreach (var (_, value) in mapping.Children) Apply(value, document, done);
        if (mapping.Children.Keys.FirstOrDefault(static key => key is YamlScalarNode { Value: Key, Style: ScalarStyle.Plain }) is not { } merge) return;
        var source = mapping.Children[merge];
        mapping.Children.Remove(merge);
        foreach (var part in source is YamlSequenceNode several ? several.Children : [source])
        {
            if (part is YamlMappingNode from) Add(mapping, from);
            else document.Report(part.Start, "'<<' merges mappings only; expected an alias such as *base, or a list of them");
        }
    }

    private static void Add(YamlMappingNode to, YamlMappingNode from)
    {
        foreach (var (key, value) in from.Children)
        {
            if (!to.Children.ContainsKey(key)) to.Children.Add(key, value);
        }
    }
}
