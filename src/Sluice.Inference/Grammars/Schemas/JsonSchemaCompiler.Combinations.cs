using System.Text.Json;

namespace Sluice.Inference.Grammars.Schemas;

/// <content>References, and schemas of several schemas.</content>
internal sealed partial class JsonSchemaCompiler
{
    private int CompileCombination(JsonElement schema, string keyword, JsonElement value)
    {
        bool isAlone = schema.EnumerateObject().All(other => other.Name == keyword || SchemaKeywords.IsAnnotation(other.Name));
        if (keyword is "anyOf" or "oneOf")
        {
            return CompileAlternatives(keyword, [.. Merger.Schemas(value, keyword)], isAlone ? null : Merger.Without(schema, keyword));
        }

        if (keyword == "$ref" && isAlone)
        {
            return CompileReference(value);
        }

        if (keyword == "allOf" && isAlone && value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 1)
        {
            _path.Add(keyword);
            int node = CompileAt("0", value[0]);
            _path.RemoveAt(_path.Count - 1);
            return node;
        }

        return CompileMerged(Merger.Expand(schema));
    }

    private int CompileAlternatives(string keyword, JsonElement[] branches, JsonElement? beside)
    {
        if (keyword == "oneOf")
        {
            Exclude(branches, beside);
        }

        var nodes = new int[branches.Length];
        _path.Add(keyword);
        for (int i = 0; i < branches.Length; i++)
        {
            string segment = FormattableString.Invariant($"{i}");
            if (beside is not { } rest)
            {
                nodes[i] = CompileAt(segment, branches[i]);
                continue;
            }

            _path.Add(segment);
            nodes[i] = CompileMerged(Merger.Merge(rest, branches[i]));
            _path.RemoveAt(_path.Count - 1);
        }

        _path.RemoveAt(_path.Count - 1);
        return graph.Choice(nodes);
    }

    // Once for all places that come to the same, which is also what ends recursion.
    private int CompileMerged(JsonElement schema)
    {
        string key = schema.GetRawText();
        if (!_merged.TryGetValue(key, out int node))
        {
            string[] place = [.. _path];
            node = graph.Reserve(place);
            _merged.Add(key, node);
            _unread.Enqueue((schema, place, node));
        }

        return node;
    }

    private int CompileReference(JsonElement value)
    {
        string pointer = value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Error("'$ref' must be a string");
        if (!_references.TryGetValue(pointer, out int node))
        {
            (JsonElement target, string[] segments) = Follow(pointer);
            node = graph.Reserve(segments);
            _references.Add(pointer, node);
            _unread.Enqueue((target, segments, node));
        }

        return node;
    }

    private (JsonElement Target, string[] Segments) Follow(string pointer)
    {
        if (pointer.Length == 0 || pointer[0] != '#' || (pointer.Length > 1 && pointer[1] != '/'))
        {
            throw Error($"'$ref' to '{pointer}' is not supported: only places in the same schema are, such as '#/$defs/name'");
        }

        JsonElement target = root;
        string[] segments = [.. pointer.Split('/').Skip(1).Select(static segment => Uri.UnescapeDataString(segment)
            .Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal))];
        foreach (string segment in segments)
        {
            bool found = target.ValueKind == JsonValueKind.Object
                ? target.TryGetProperty(segment, out target)
                : target.ValueKind == JsonValueKind.Array && int.TryParse(segment, out int index)
                    && index >= 0 && index < target.GetArrayLength() && (target = target[index]).ValueKind != JsonValueKind.Undefined;
            if (!found)
            {
                throw Error($"'$ref' to '{pointer}' leads nowhere");
            }
        }

        return (target, segments);
    }

    // Of 'oneOf' each value has to fit one alternative only. Where just a constant property tells two of them apart, both get to require
    // it.
    private void Exclude(JsonElement[] branches, JsonElement? beside)
    {
        if (branches.Length > GrammarLimits.ExclusiveAlternativesMax)
        {
            throw Error(FormattableString.Invariant(
                $"'oneOf' with more than {GrammarLimits.ExclusiveAlternativesMax} alternatives is not supported; use 'anyOf'"));
        }

        _path.Add("oneOf");
        SchemaOutline[] outlines = [.. branches.Select((branch, index) =>
        {
            _path.Add(FormattableString.Invariant($"{index}"));
            JsonElement expanded = Merger.Expand(beside is { } rest ? Merger.Merge(rest, branch) : branch);
            var outline = new SchemaOutline(expanded, Merger, ReadTypes, ImpliedTypes);
            _path.RemoveAt(_path.Count - 1);
            return outline;
        })];
        _path.RemoveAt(_path.Count - 1);
        for (int i = 0; i < branches.Length; i++)
        {
            for (int other = 0; other < i; other++)
            {
                if (!outlines[i].Excludes(outlines[other]))
                {
                    throw Error(FormattableString.Invariant($"alternatives {other} and {i} of 'oneOf' are told apart neither by their ")
                        + "type nor by a constant property; use 'anyOf', or add one");
                }
            }
        }

        for (int i = 0; i < branches.Length; i++)
        {
            if (outlines[i].Demanded.Count > 0)
            {
                branches[i] = Merger.Require(branches[i], outlines[i].Demanded);
            }
        }
    }
}
