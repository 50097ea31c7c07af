using System.Text.Json;
using Sluice.Inference.Grammars.Machines;

namespace Sluice.Inference.Grammars.Schemas;

/// <content>Arrays, and counts.</content>
internal sealed partial class JsonSchemaCompiler
{
    private int CompileArray(JsonElement schema)
    {
        if (schema.TryGetProperty("uniqueItems", out JsonElement unique) && unique.ValueKind != JsonValueKind.False)
        {
            throw Error("'uniqueItems' is not supported" + SchemaKeywords.Remedy("uniqueItems"));
        }

        // Before 2020 the first items were an array of 'items', and the others 'additionalItems'.
        bool hasItems = schema.TryGetProperty("items", out JsonElement items);
        bool isOld = hasItems && items.ValueKind == JsonValueKind.Array;
        (string firstName, string restName) = isOld ? ("items", "additionalItems") : ("prefixItems", "items");
        int[] first = schema.TryGetProperty(firstName, out JsonElement prefix) ? CompilePrefix(firstName, prefix) : [];
        bool hasRest = schema.TryGetProperty(restName, out JsonElement rest);

        // Where the schema is silent about items behind the first ones none is written, and where it says nothing of their number all of
        // the first ones are.
        bool isClosed = first.Length > 0 && (!hasRest || rest.ValueKind == JsonValueKind.False);
        int? more = isClosed ? null : hasRest ? CompileAt(restName, rest) : AnyValue();
        int max = ReadCount(schema, "maxItems") ?? int.MaxValue;
        max = more == null ? Math.Min(max, first.Length) : max;
        int min = ReadCount(schema, "minItems") ?? Math.Min(first.Length, max);
        return first.Length == 0 ? Array(more!.Value, min, max) : Tuple(first, more, min, max);
    }

    private int[] CompilePrefix(string keyword, JsonElement items)
    {
        _path.Add(keyword);
        int[] nodes = [.. Merger.Schemas(items, keyword).Select((item, index) => CompileAt(FormattableString.Invariant($"{index}"), item))];
        _path.RemoveAt(_path.Count - 1);
        return nodes;
    }

    private int Array(int item, int min, int max)
    {
        int open = graph.Machine(JsonMachines.OpenArray);
        int empty = graph.Machine(JsonMachines.CloseEmptyArray);
        if (max < Math.Max(min, 1))
        {
            return max < min ? graph.Choice() : graph.Sequence(open, empty);
        }

        int more = graph.Repeat(
            graph.Sequence(graph.Machine(JsonMachines.Comma), item), Math.Max(0, min - 1), max == int.MaxValue ? max : max - 1);
        int some = graph.Sequence(item, more, graph.Machine(JsonMachines.CloseArray));
        return graph.Sequence(open, min == 0 ? graph.Choice(empty, some) : some);
    }

    // An array whose first items have schemas of their own.
    private int Tuple(int[] first, int? more, int min, int max)
    {
        int count = Math.Min(first.Length, max);
        if (count == 0 || max < min)
        {
            return Array(AnyValue(), min, max);
        }

        int comma = graph.Machine(JsonMachines.Comma);
        int close = graph.Machine(JsonMachines.CloseArray);
        int after = close;
        if (more is { } item && max > count)
        {
            int rest = graph.Repeat(graph.Sequence(comma, item), Math.Max(0, min - count), max == int.MaxValue ? max : max - count);
            after = graph.Sequence(rest, close);
        }

        for (int i = count - 1; i > 0; i--)
        {
            int next = graph.Sequence(comma, first[i], after);
            after = i >= min ? graph.Choice(next, close) : next;
        }

        int some = graph.Sequence(first[0], after);
        return graph.Sequence(
            graph.Machine(JsonMachines.OpenArray), min == 0 ? graph.Choice(graph.Machine(JsonMachines.CloseEmptyArray), some) : some);
    }

    // A bound beyond all answers is none where it is an upper one.
    private int? ReadCount(JsonElement schema, string keyword)
    {
        if (!schema.TryGetProperty(keyword, out JsonElement value))
        {
            return null;
        }

        bool isCount = value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= 0 && number == Math.Floor(number);
        if (!isCount)
        {
            throw Error($"'{keyword}' must be a whole number that isn't negative");
        }

        bool isLarge = value.GetDouble() > GrammarLimits.CountedCharactersMax;
        if (isLarge && keyword.StartsWith("min", StringComparison.Ordinal))
        {
            throw Error(FormattableString.Invariant($"'{keyword}' is above {GrammarLimits.CountedCharactersMax}: no answer is that long"));
        }

        return isLarge ? null : (int)value.GetDouble();
    }
}
