using System.Text.Json;
using Sluice.Inference.Grammars.Machines;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Schemas;

/// <content>Objects and arrays.</content>
internal sealed partial class JsonSchemaCompiler
{
    // Properties come in the schema's order, then those that it requires without describing, then others where they are allowed.
    private int CompileObject(JsonElement schema)
    {
        List<JsonProperty> properties = ReadProperties(schema);
        HashSet<string> required = ReadRequired(schema);
        HashSet<string> described = [.. properties.Select(static property => property.Name)];
        bool isClosed = !schema.TryGetProperty("additionalProperties", out JsonElement additional);
        if (isClosed && properties.Count == 0 && required.Count == 0)
        {
            return AnyObject();
        }

        // Where the schema is silent about other properties none is written: JSON Schema would allow them, but nobody has asked for them.
        int? others = isClosed || additional.ValueKind == JsonValueKind.False ? null : CompileAt("additionalProperties", additional);
        var members = new List<(string Name, int Value, bool IsRequired)>();
        _path.Add("properties");
        foreach (JsonProperty property in properties)
        {
            members.Add((property.Name, CompileAt(property.Name, property.Value), required.Contains(property.Name)));
        }

        _path.RemoveAt(_path.Count - 1);
        foreach (string name in required.Where(name => !described.Contains(name)))
        {
            members.Add((name, others ?? (isClosed ? AnyValue() : graph.Choice()), true));
        }

        return Object(members, others);
    }

    private List<JsonProperty> ReadProperties(JsonElement schema)
    {
        if (!schema.TryGetProperty("properties", out JsonElement value))
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Error("'properties' must be an object");
        }

        List<JsonProperty> properties = [.. value.EnumerateObject()];
        return properties.DistinctBy(static property => property.Name).Count() == properties.Count
            ? properties
            : throw Error("'properties' has the same name twice");
    }

    private HashSet<string> ReadRequired(JsonElement schema)
    {
        if (!schema.TryGetProperty("required", out JsonElement value))
        {
            return [];
        }

        return value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(static name => name.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(static name => name.GetString()!)]
            : throw Error("'required' must be an array of strings");
    }

    private int Object(List<(string Name, int Value, bool IsRequired)> members, int? others)
    {
        if (members.Count == 0)
        {
            return others is { } value
                ? FreeObject(graph.Machine(JsonMachines.String), value)
                : graph.Sequence(graph.Machine(JsonMachines.OpenObject), graph.Machine(JsonMachines.CloseEmptyObject));
        }

        int comma = graph.Machine(JsonMachines.Comma);
        int close = graph.Machine(JsonMachines.CloseObject);
        int names = graph.Choice();
        int after = close;
        if (others is { } other)
        {
            PatternDfa otherNames = PatternDfa.Except([.. members.Select(static member => member.Name)], graph.Budget);
            int pair = Pair(graph.Machine(new PatternStringMachine(otherNames)), other);
            after = graph.Sequence(graph.Repeat(graph.Sequence(comma, pair), 0, int.MaxValue), close);
            names = graph.Sequence(pair, after);
        }

        // From the last to the first: the names that may stand where the members from here on are open, and what follows the one before.
        bool mayEnd = true;
        for (int i = members.Count - 1; i >= 0; i--)
        {
            int member = graph.Sequence(Pair(graph.Literal(JsonText.Quote(members[i].Name)), members[i].Value), after);
            names = members[i].IsRequired ? member : graph.Choice(member, names);
            mayEnd &= !members[i].IsRequired;
            int next = graph.Sequence(comma, names);
            after = mayEnd ? graph.Choice(next, close) : next;
        }

        return graph.Sequence(
            graph.Machine(JsonMachines.OpenObject), mayEnd ? graph.Choice(names, graph.Machine(JsonMachines.CloseEmptyObject)) : names);
    }

    private int FreeObject(int name, int value)
    {
        int pair = Pair(name, value);
        int more = graph.Repeat(graph.Sequence(graph.Machine(JsonMachines.Comma), pair), 0, int.MaxValue);
        return graph.Sequence(
            graph.Machine(JsonMachines.OpenObject),
            graph.Choice(
                graph.Machine(JsonMachines.CloseEmptyObject), graph.Sequence(pair, more, graph.Machine(JsonMachines.CloseObject))));
    }

    private int Pair(int name, int value) => graph.Sequence(name, graph.Machine(JsonMachines.Colon), value);

    private int CompileArray(JsonElement schema)
    {
        if (schema.TryGetProperty("uniqueItems", out JsonElement unique) && unique.ValueKind != JsonValueKind.False)
        {
            throw Error("'uniqueItems' is not supported");
        }

        int min = ReadCount(schema, "minItems") ?? 0;
        int max = ReadCount(schema, "maxItems") ?? int.MaxValue;
        int item = schema.TryGetProperty("items", out JsonElement items) ? CompileAt("items", items) : AnyValue();
        return Array(item, min, max);
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
