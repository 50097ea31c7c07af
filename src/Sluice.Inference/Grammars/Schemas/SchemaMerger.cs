using System.Buffers;
using System.Text.Json;

namespace Sluice.Inference.Grammars.Schemas;

/// <summary>
/// One schema for two that hold together, as of 'allOf' and of keywords beside a reference. Keywords that can't be made one are refused.
/// References in it are those of the same root.
/// </summary>
/// <param name="resolve">The schema that a pointer leads to.</param>
/// <param name="error">Makes an error with the place at which the compiler is.</param>
internal sealed partial class SchemaMerger(Func<string, JsonElement> resolve, Func<string, GrammarException> error)
{
    private static readonly JsonElement s_false = JsonElement.Parse("false");
    private static readonly JsonElement s_null = JsonElement.Parse("\"null\"");
    private static readonly JsonElement s_true = JsonElement.Parse("true");
    private int _mergeCount;
    private long _mergedBytes;
    private long _comparisonCount;
    private int _depth;

    /// <summary>A schema without some keywords.</summary>
    public JsonElement Without(JsonElement schema, params string[] keywords)
    {
        OrderedDictionary<string, JsonElement> parts = Read(schema);
        foreach (string keyword in keywords)
        {
            parts.Remove(keyword);
        }

        return Write(parts);
    }

    /// <summary>A schema without references, 'allOf' and 'nullable' at its top.</summary>
    public JsonElement Expand(JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object)
        {
            return schema.ValueKind is JsonValueKind.True or JsonValueKind.False
                ? schema
                : throw error("is not a schema: an object or a boolean is expected");
        }

        if (++_depth > GrammarLimits.SchemaDepthMax)
        {
            throw error("it refers to itself with nothing in between");
        }

        JsonElement expanded = schema;
        if (schema.TryGetProperty("nullable", out JsonElement nullable))
        {
            expanded = Expand(AddNull(schema, nullable));
        }
        else if (schema.TryGetProperty("$ref", out JsonElement pointer))
        {
            string text = pointer.ValueKind == JsonValueKind.String ? pointer.GetString()! : throw error("'$ref' must be a string");
            expanded = Expand(Merge(Without(schema, "$ref"), resolve(text)));
        }
        else if (schema.TryGetProperty("allOf", out JsonElement parts))
        {
            expanded = Without(schema, "allOf");
            foreach (JsonElement part in Schemas(parts, "allOf"))
            {
                expanded = Merge(expanded, part);
            }

            expanded = Expand(expanded);
        }

        _depth--;
        return expanded;
    }

    /// <summary>The values that both schemas accept.</summary>
    public JsonElement Merge(JsonElement first, JsonElement second)
    {
        if (IsAny(first) || second.ValueKind == JsonValueKind.False)
        {
            return second;
        }

        if (IsAny(second) || first.ValueKind == JsonValueKind.False || first.GetRawText() == second.GetRawText())
        {
            return first;
        }

        if (++_mergeCount > GrammarLimits.SchemaMergesMax)
        {
            throw error(FormattableString.Invariant($"more than {GrammarLimits.SchemaMergesMax} schemas would have to be merged"));
        }

        (JsonElement a, JsonElement b) = (Expand(first), Expand(second));
        return IsAny(a) || b.ValueKind == JsonValueKind.False ? b : IsAny(b) || a.ValueKind == JsonValueKind.False ? a : MergeParts(a, b);
    }

    /// <summary>A schema that requires some properties besides what it says.</summary>
    public JsonElement Require(JsonElement schema, IEnumerable<string> names) =>
        Merge(schema, Write(new OrderedDictionary<string, JsonElement> { ["required"] = Text(names) }));

    /// <summary>The schemas of 'anyOf' and the like.</summary>
    public IEnumerable<JsonElement> Schemas(JsonElement value, string keyword) =>
        value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 ? value.EnumerateArray()
        : throw error($"'{keyword}' must be an array with at least one schema");

    /// <summary>The values that a schema lists; null when it doesn't.</summary>
    public IReadOnlyList<JsonElement>? Values(JsonElement schema)
    {
        IReadOnlyList<JsonElement>? values = null;
        if (schema.TryGetProperty("enum", out JsonElement listed))
        {
            values = listed.ValueKind == JsonValueKind.Array ? [.. listed.EnumerateArray()] : throw error("'enum' must be an array");
        }

        if (schema.TryGetProperty("const", out JsonElement single))
        {
            values = values == null ? [single] : [.. values.Where(value => JsonElement.DeepEquals(value, single))];
        }

        return values;
    }

    private static bool IsAny(JsonElement schema) => schema.ValueKind == JsonValueKind.True
        || (schema.ValueKind == JsonValueKind.Object && schema.EnumerateObject().All(static member => SchemaKeywords.IsAnnotation(member.Name)));

    // OpenAPI 3.0: null beside what the type allows. Values that are listed have to list it themselves.
    private JsonElement AddNull(JsonElement schema, JsonElement nullable)
    {
        JsonElement rest = Without(schema, "nullable");
        if (nullable.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            throw error("'nullable' must be true or false");
        }

        if (nullable.ValueKind == JsonValueKind.False || rest.TryGetProperty("enum", out _) || rest.TryGetProperty("const", out _))
        {
            return nullable.ValueKind == JsonValueKind.True && rest.TryGetProperty("type", out JsonElement type)
                ? Write(new OrderedDictionary<string, JsonElement>(Read(rest)) { ["type"] = Array([.. Items(type), s_null]) })
                : rest;
        }

        return Write(new OrderedDictionary<string, JsonElement> { ["anyOf"] = Array([rest, JsonElement.Parse("""{"type":"null"}""")]) });
    }

    private static JsonElement[] Items(JsonElement value) => value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : [value];

    private static OrderedDictionary<string, JsonElement> Read(JsonElement schema)
    {
        var parts = new OrderedDictionary<string, JsonElement>();
        foreach (JsonProperty member in schema.EnumerateObject().Where(static member => !SchemaKeywords.IsAnnotation(member.Name)))
        {
            parts[member.Name] = member.Value;
        }

        return parts;
    }

    private JsonElement Write(OrderedDictionary<string, JsonElement> parts) => Create(writer =>
    {
        writer.WriteStartObject();
        foreach ((string name, JsonElement value) in parts)
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }

        writer.WriteEndObject();
    });

    private JsonElement Array(IEnumerable<JsonElement> items) => Create(writer =>
    {
        writer.WriteStartArray();
        foreach (JsonElement item in items)
        {
            item.WriteTo(writer);
        }

        writer.WriteEndArray();
    });

    private JsonElement Text(IEnumerable<string> items) => Create(writer =>
    {
        writer.WriteStartArray();
        foreach (string item in items)
        {
            writer.WriteStringValue(item);
        }

        writer.WriteEndArray();
    });

    private JsonElement Create(Action<Utf8JsonWriter> write)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(bytes))
        {
            write(writer);
        }

        _mergedBytes += bytes.WrittenCount;
        return _mergedBytes <= GrammarLimits.MergedBytesMax
            ? JsonElement.Parse(bytes.WrittenSpan, new JsonDocumentOptions { MaxDepth = GrammarLimits.MergedDepthMax })
            : throw error(FormattableString.Invariant($"merging the schemas that hold together makes more than {GrammarLimits.MergedBytesMax} bytes"));
    }
}
