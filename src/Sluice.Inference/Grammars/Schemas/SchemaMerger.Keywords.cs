using System.Text.Json;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Schemas;

/// <content>One keyword for two.</content>
internal sealed partial class SchemaMerger
{
    private JsonElement MergeParts(JsonElement first, JsonElement second)
    {
        (OrderedDictionary<string, JsonElement> a, OrderedDictionary<string, JsonElement> b) = (Read(first), Read(second));
        Rewrite(a, first);
        Rewrite(b, second);
        if (HasProperties(a) && HasProperties(b))
        {
            a["properties"] = MergeProperties(a, b);
            b.Remove("properties");
        }

        if (a.ContainsKey("prefixItems") || b.ContainsKey("prefixItems"))
        {
            MergeTuples(a, b);
        }

        foreach ((string keyword, JsonElement value) in b)
        {
            if (!a.TryGetValue(keyword, out JsonElement other))
            {
                a[keyword] = value;
            }
            else if (other.GetRawText() != value.GetRawText())
            {
                a[keyword] = MergeKeyword(keyword, other, value);
            }
        }

        // Types that have nothing in common leave nothing.
        bool isNothing = a.TryGetValue("type", out JsonElement types) && types.ValueKind == JsonValueKind.Array && types.GetArrayLength() == 0;
        return isNothing ? s_false : Write(a);
    }

    private static bool HasProperties(OrderedDictionary<string, JsonElement> parts) =>
        parts.ContainsKey("properties") || parts.ContainsKey("additionalProperties");

    // Values that are listed become one list, patterns an array of them.
    private void Rewrite(OrderedDictionary<string, JsonElement> parts, JsonElement schema)
    {
        if (Values(schema) is { } values)
        {
            parts.Remove("const");
            parts["enum"] = Array(values);
        }

        if (parts.Remove("pattern", out JsonElement pattern))
        {
            IEnumerable<JsonElement> others = parts.TryGetValue(SchemaKeywords.Patterns, out JsonElement known) ? Items(known) : [];
            parts[SchemaKeywords.Patterns] = Array([.. others, pattern]);
        }
    }

    private JsonElement MergeKeyword(string keyword, JsonElement a, JsonElement b)
    {
        switch (keyword)
        {
            case "type":
                return Text(MergeTypes(Names(a, keyword), Names(b, keyword)));
            case "enum":
                return MergeValues(a, b);
            case "required":
                return Text(Names(a, keyword).Union(Names(b, keyword)));
            case SchemaKeywords.Patterns:
                return Text(Names(a, keyword).Union(Names(b, keyword)));
            case "items" or "additionalProperties" or "propertyNames":
                return Merge(a, b);
            case "patternProperties":
                return Write(Union(a, b, keyword));
            case "minItems" or "minLength" or "minimum" or "exclusiveMinimum":
                return Number(a, keyword) >= Number(b, keyword) ? a : b;
            case "maxItems" or "maxLength" or "maximum" or "exclusiveMaximum":
                return Number(a, keyword) <= Number(b, keyword) ? a : b;
            case "uniqueItems":
                return a.ValueKind == JsonValueKind.False ? b : a;
            case "format" when a.ValueKind == JsonValueKind.String && StringFormats.Find(a.GetString()!) == null:
                return b;
            case "format" when b.ValueKind == JsonValueKind.String && StringFormats.Find(b.GetString()!) == null:
                return a;
            case "anyOf":
                return MergeAlternatives([.. Schemas(a, keyword)], [.. Schemas(b, keyword)]);
            default:
                throw error($"two different '{keyword}' that hold together are not supported");
        }
    }

    private JsonElement MergeValues(JsonElement a, JsonElement b)
    {
        _comparisonCount += (long)a.GetArrayLength() * b.GetArrayLength();
        return _comparisonCount <= GrammarLimits.ComparedValuesMax
            ? Array(a.EnumerateArray().Where(value => b.EnumerateArray().Any(other => JsonElement.DeepEquals(value, other))))
            : throw error("'enum' beside another 'enum' is not supported with lists this long");
    }

    private static IEnumerable<string> MergeTypes(IEnumerable<string> a, IEnumerable<string> b)
    {
        string[] others = [.. b];
        foreach (string type in a)
        {
            if (others.Contains(type) || (type == "integer" && others.Contains("number")))
            {
                yield return type;
            }
            else if (type == "number" && others.Contains("integer"))
            {
                yield return "integer";
            }
        }
    }

    private JsonElement MergeAlternatives(JsonElement[] a, JsonElement[] b) =>
        (long)a.Length * b.Length <= GrammarLimits.MergedAlternativesMax ? Array([.. a.SelectMany(_ => b, Merge)])
        : throw error(FormattableString.Invariant($"'anyOf' beside 'anyOf' makes more than {GrammarLimits.MergedAlternativesMax} pairs"));

    // What only one of them describes has to be what the other one allows of other names.
    private JsonElement MergeProperties(OrderedDictionary<string, JsonElement> a, OrderedDictionary<string, JsonElement> b)
    {
        OrderedDictionary<string, JsonElement> own = Members(a, "properties");
        OrderedDictionary<string, JsonElement> others = Members(b, "properties");
        var merged = new OrderedDictionary<string, JsonElement>();
        foreach ((string name, JsonElement schema) in own)
        {
            merged[name] = Merge(schema, others.TryGetValue(name, out JsonElement other) ? other : Rest(b));
        }

        foreach ((string name, JsonElement schema) in others.Where(pair => !own.ContainsKey(pair.Key)))
        {
            merged[name] = Merge(Rest(a), schema);
        }

        return Write(merged);

        JsonElement Rest(OrderedDictionary<string, JsonElement> parts)
        {
            JsonElement rest = parts.TryGetValue("additionalProperties", out JsonElement schema) ? schema : s_true;
            return parts.ContainsKey("patternProperties") && !IsAny(rest)
                ? throw error("'additionalProperties' beside 'patternProperties' and 'properties' of another schema is not supported")
                : rest;
        }
    }

    private void MergeTuples(OrderedDictionary<string, JsonElement> a, OrderedDictionary<string, JsonElement> b)
    {
        JsonElement[] first = Prefix(a);
        JsonElement[] second = Prefix(b);
        (JsonElement firstRest, JsonElement secondRest) = (Rest(a), Rest(b));
        a["prefixItems"] = Array([.. Enumerable.Range(0, Math.Max(first.Length, second.Length)).Select(i =>
            Merge(i < first.Length ? first[i] : firstRest, i < second.Length ? second[i] : secondRest))]);
        if (a.ContainsKey("items") || b.ContainsKey("items"))
        {
            a["items"] = Merge(firstRest, secondRest);
        }

        b.Remove("prefixItems");
        b.Remove("items");

        JsonElement[] Prefix(OrderedDictionary<string, JsonElement> parts) =>
            parts.TryGetValue("prefixItems", out JsonElement items) ? [.. Schemas(items, "prefixItems")] : [];

        static JsonElement Rest(OrderedDictionary<string, JsonElement> parts) =>
            parts.TryGetValue("items", out JsonElement items) ? items : s_true;
    }

    private OrderedDictionary<string, JsonElement> Members(OrderedDictionary<string, JsonElement> parts, string keyword)
    {
        var members = new OrderedDictionary<string, JsonElement>();
        if (parts.TryGetValue(keyword, out JsonElement value))
        {
            if (value.ValueKind != JsonValueKind.Object)
            {
                throw error($"'{keyword}' must be an object");
            }

            foreach (JsonProperty member in value.EnumerateObject())
            {
                members[member.Name] = member.Value;
            }
        }

        return members;
    }

    private OrderedDictionary<string, JsonElement> Union(JsonElement a, JsonElement b, string keyword)
    {
        OrderedDictionary<string, JsonElement> union = Members(new() { [keyword] = a }, keyword);
        foreach ((string name, JsonElement schema) in Members(new() { [keyword] = b }, keyword))
        {
            union[name] = union.TryGetValue(name, out JsonElement known) ? Merge(known, schema) : schema;
        }

        return union;
    }

    private IEnumerable<string> Names(JsonElement value, string keyword) => Items(value)
        .Select(item => item.ValueKind == JsonValueKind.String
            ? item.GetString()!
            : throw error($"'{keyword}' must be a string or an array of strings"));

    private decimal Number(JsonElement value, string keyword) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal number) ? number
        : throw error($"'{keyword}' with this value can't be held against another one");
}
