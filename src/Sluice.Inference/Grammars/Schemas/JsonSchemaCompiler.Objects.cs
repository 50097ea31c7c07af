using System.Text.Json;
using Sluice.Inference.Grammars.Machines;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Schemas;

/// <content>Objects.</content>
internal sealed partial class JsonSchemaCompiler
{
    // Properties come in the schema's order, then those that it requires without describing, then others where they are allowed.
    private int CompileObject(JsonElement schema)
    {
        List<JsonProperty> properties = ReadProperties(schema);
        HashSet<string> required = ReadRequired(schema);
        bool isSilent = !schema.TryGetProperty("additionalProperties", out JsonElement additional);
        bool hasNames = schema.TryGetProperty("propertyNames", out _);
        bool hasPatterns = schema.TryGetProperty("patternProperties", out _);
        if (isSilent && properties.Count == 0 && !hasPatterns)
        {
            if (required.Count == 0 && !hasNames)
            {
                return AnyObject();
            }

            additional = hasNames ? JsonElement.Parse("true") : additional;
        }

        // Where the schema is silent about other properties none is written: JSON Schema would allow them, but nobody has asked for them.
        int? others = additional.ValueKind is JsonValueKind.Undefined or JsonValueKind.False
            ? null
            : CompileAt("additionalProperties", additional);
        NameRules rules = ReadNames(schema);
        var members = new List<(string Name, int Value, bool IsRequired)>();
        _path.Add("properties");
        foreach (JsonProperty property in properties)
        {
            _path.Add(property.Name);
            members.Add((property.Name, CompileMember(rules, property), required.Contains(property.Name)));
            _path.RemoveAt(_path.Count - 1);
        }

        _path.RemoveAt(_path.Count - 1);
        HashSet<string> described = [.. properties.Select(static property => property.Name)];
        foreach (string name in required.Union(rules.Listed?.Keys ?? Enumerable.Empty<string>()).Where(name => !described.Contains(name)))
        {
            graph.Budget.Spend(rules.Patterns.Count);
            int? value = !rules.Allows(name) ? graph.Choice() : rules.Find(name)?.Value ?? others ?? (isSilent ? AnyValue() : null);
            if (value != null || required.Contains(name))
            {
                members.Add((name, value ?? graph.Choice(), required.Contains(name)));
            }
        }

        return Object(members, rules.Listed != null ? [] : OtherNames(rules, [.. members.Select(static member => member.Name)], others));
    }

    private int CompileMember(NameRules rules, JsonProperty property)
    {
        graph.Budget.Spend(rules.Patterns.Count);
        if (!rules.Allows(property.Name))
        {
            return graph.Choice();
        }

        return rules.Find(property.Name) is { } rule
            ? CompileMerged(Merger.Merge(property.Value, rule.Schema))
            : CompileSchema(property.Value);
    }

    // The names that are not described, each kind with its value.
    private List<(int Name, int Value)> OtherNames(NameRules rules, IReadOnlyList<string> described, int? others)
    {
        var kinds = new List<(int Name, int Value)>();
        if (rules.Patterns.Count == 0 && rules.Text == null && described.Count == 0)
        {
            if (others is { } any && !rules.IsEmpty)
            {
                kinds.Add((graph.Machine(JsonMachines.String), any));
            }

            return kinds;
        }

        bool hasNone = rules.IsEmpty || (others == null && rules.Patterns.Count == 0);
        PatternDfa? rest = hasNone ? null : PatternDfa.Except(described, graph.Budget);
        rest = rules.Text == null ? rest : rest?.Intersect(rules.Text, graph.Budget);
        foreach (NamePattern pattern in rules.Patterns)
        {
            if (rest?.Intersect(pattern.Names, graph.Budget) is { } names)
            {
                kinds.Add((graph.Machine(new PatternStringMachine(names)), pattern.Value));
            }

            rest = rest?.Subtract(pattern.Names, graph.Budget);
        }

        if (others is { } value && rest != null)
        {
            kinds.Add((graph.Machine(new PatternStringMachine(rest)), value));
        }

        return kinds;
    }

    private NameRules ReadNames(JsonElement schema)
    {
        var rules = new NameRules();
        if (schema.TryGetProperty("propertyNames", out JsonElement names))
        {
            _path.Add("propertyNames");
            ReadNameSchema(Merger.Expand(names), rules);
            _path.RemoveAt(_path.Count - 1);
        }

        if (!schema.TryGetProperty("patternProperties", out JsonElement patterns))
        {
            return rules;
        }

        _path.Add("patternProperties");
        if (patterns.ValueKind != JsonValueKind.Object)
        {
            throw Error("must be an object");
        }

        foreach (JsonProperty pattern in patterns.EnumerateObject())
        {
            _path.Add(pattern.Name);
            if (PatternDfa.Compile(PatternParser.ParseContained(pattern.Name), graph.Budget) is { } found)
            {
                if (rules.Patterns.Any(other => other.Names.Intersect(found, graph.Budget) != null))
                {
                    throw Error("matches names that another one of 'patternProperties' matches too; make them exclude each other");
                }

                rules.Patterns.Add(new NamePattern(found, pattern.Value, CompileSchema(pattern.Value)));
            }

            _path.RemoveAt(_path.Count - 1);
        }

        _path.RemoveAt(_path.Count - 1);
        return rules;
    }

    private void ReadNameSchema(JsonElement names, NameRules rules)
    {
        if (names.ValueKind != JsonValueKind.Object)
        {
            rules.IsEmpty = names.ValueKind == JsonValueKind.False;
            return;
        }

        CheckKeywords(names);
        string? other = names.EnumerateObject().Select(static member => member.Name).FirstOrDefault(static keyword =>
            !SchemaKeywords.IsAnnotation(keyword) && !SchemaKeywords.OfStrings.Contains(keyword)
            && keyword is not ("type" or "enum" or "const"));
        if (other != null)
        {
            throw Error($"'{other}' is not supported for names; 'pattern', 'enum' and the length are");
        }

        rules.IsEmpty = ReadTypes(names) is { } types && !types.Contains("string");
        rules.IsEmpty |= !CompileText(names, out PatternDfa? text);
        rules.Text = text;
        if (Merger.Values(names) is not { } values)
        {
            return;
        }

        var listed = new OrderedDictionary<string, bool>();
        foreach (JsonElement value in values.Where(value => value.ValueKind == JsonValueKind.String && rules.Allows(value.GetString()!)))
        {
            listed[value.GetString()!] = true;
        }

        rules.Listed = listed;
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

    private int Object(List<(string Name, int Value, bool IsRequired)> members, List<(int Name, int Value)> others)
    {
        int pair = graph.Choice([.. others.Select(kind => Pair(kind.Name, kind.Value))]);
        if (members.Count == 0)
        {
            return others.Count > 0
                ? FreeObject(pair)
                : graph.Sequence(graph.Machine(JsonMachines.OpenObject), graph.Machine(JsonMachines.CloseEmptyObject));
        }

        int comma = graph.Machine(JsonMachines.Comma);
        int close = graph.Machine(JsonMachines.CloseObject);
        int names = graph.Choice();
        int after = close;
        if (others.Count > 0)
        {
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

    private int FreeObject(int pair)
    {
        int more = graph.Repeat(graph.Sequence(graph.Machine(JsonMachines.Comma), pair), 0, int.MaxValue);
        return graph.Sequence(
            graph.Machine(JsonMachines.OpenObject),
            graph.Choice(
                graph.Machine(JsonMachines.CloseEmptyObject), graph.Sequence(pair, more, graph.Machine(JsonMachines.CloseObject))));
    }

    private int Pair(int name, int value) => graph.Sequence(name, graph.Machine(JsonMachines.Colon), value);

    /// <summary>What a schema says of the names of properties.</summary>
    private sealed class NameRules
    {
        /// <summary>The names that are allowed; null is any.</summary>
        public PatternDfa? Text { get; set; }

        /// <summary>All of them, where they are listed.</summary>
        public OrderedDictionary<string, bool>? Listed { get; set; }

        /// <summary>Whether no name is allowed.</summary>
        public bool IsEmpty { get; set; }

        /// <summary>What names of a kind have as values; the kinds exclude each other.</summary>
        public List<NamePattern> Patterns { get; } = [];

        public bool Allows(string name) => !IsEmpty && Text?.Accepts(name) != false && Listed?.ContainsKey(name) != false;

        public NamePattern? Find(string name) => Patterns.Find(pattern => pattern.Names.Accepts(name));
    }

    private sealed record NamePattern(PatternDfa Names, JsonElement Schema, int Value);
}
