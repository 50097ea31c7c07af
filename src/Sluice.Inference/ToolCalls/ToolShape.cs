using System.Text;
using System.Text.Json;
using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>Kinds of JSON values.</summary>
[Flags]
internal enum ValueKinds
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Texts.</summary>
    Text = 1,

    /// <summary>Whole numbers and others.</summary>
    Number = 2,

    /// <summary>True and false.</summary>
    Boolean = 4,

    /// <summary>Null.</summary>
    Null = 8,

    /// <summary>Objects.</summary>
    Object = 16,

    /// <summary>Arrays.</summary>
    Array = 32,

    /// <summary>All of them.</summary>
    Any = 63,
}

/// <summary>A tool as those see it who read its calls.</summary>
/// <param name="Name">In UTF-8.</param>
/// <param name="Parameters">What each may be; null where nobody asks.</param>
internal sealed record ToolShape(byte[] Name, IReadOnlyDictionary<string, ValueKinds>? Parameters)
{
    // References to elsewhere and deep unions allow anything; what then parses as JSON is that.
    private const int DepthMax = 4;

    public static ToolShape Of(PromptTool tool)
    {
        var kinds = new Dictionary<string, ValueKinds>(StringComparer.Ordinal);
        if (tool.Parameters is { } schema && schema.TryGetProperty("properties"u8, out JsonElement properties) && properties.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty property in properties.EnumerateObject())
            {
                kinds[property.Name] = KindsOf(property.Value, DepthMax);
            }
        }

        return new ToolShape(Encoding.UTF8.GetBytes(tool.Name), kinds);
    }

    /// <summary>What a parameter may be.</summary>
    public ValueKinds KindsOf(ReadOnlySpan<byte> parameter) =>
        Parameters?.TryGetValue(Encoding.UTF8.GetString(parameter), out ValueKinds kinds) == true ? kinds : ValueKinds.Any;

    /// <summary>What a schema allows, as far as its words for types say.</summary>
    public static ValueKinds KindsOf(JsonElement schema, int depth = DepthMax)
    {
        if (schema.ValueKind != JsonValueKind.Object || depth == 0)
        {
            return ValueKinds.Any;
        }

        if (schema.TryGetProperty("type"u8, out JsonElement type))
        {
            return type.ValueKind switch
            {
                JsonValueKind.String => KindOf(type),
                JsonValueKind.Array => type.EnumerateArray().Aggregate(ValueKinds.None, static (all, one) => all | KindOf(one)),
                _ => ValueKinds.Any,
            };
        }

        if (schema.TryGetProperty("enum"u8, out JsonElement values) && values.ValueKind == JsonValueKind.Array)
        {
            return values.EnumerateArray().Aggregate(ValueKinds.None, static (all, value) => all | KindOfValue(value));
        }

        if (schema.TryGetProperty("const"u8, out JsonElement only))
        {
            return KindOfValue(only);
        }

        foreach (string union in (ReadOnlySpan<string>)["anyOf", "oneOf"])
        {
            if (schema.TryGetProperty(union, out JsonElement schemas) && schemas.ValueKind == JsonValueKind.Array)
            {
                return schemas.EnumerateArray().Aggregate(ValueKinds.None, (all, one) => all | KindsOf(one, depth - 1));
            }
        }

        return ValueKinds.Any;
    }

    /// <summary>What a value is.</summary>
    public static ValueKinds KindOfValue(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => ValueKinds.Text,
        JsonValueKind.Number => ValueKinds.Number,
        JsonValueKind.True or JsonValueKind.False => ValueKinds.Boolean,
        JsonValueKind.Null => ValueKinds.Null,
        JsonValueKind.Object => ValueKinds.Object,
        JsonValueKind.Array => ValueKinds.Array,
        _ => ValueKinds.Any,
    };

    private static ValueKinds KindOf(JsonElement type) => type.ValueKind != JsonValueKind.String ? ValueKinds.Any : type.GetString() switch
    {
        "string" => ValueKinds.Text,
        "number" or "integer" => ValueKinds.Number,
        "boolean" => ValueKinds.Boolean,
        "null" => ValueKinds.Null,
        "object" => ValueKinds.Object,
        "array" => ValueKinds.Array,
        _ => ValueKinds.Any,
    };
}
