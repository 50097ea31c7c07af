using System.Text.Json;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Schemas;

/// <summary>As much of an alternative as tells it apart from others: types, listed values, and the constants of its properties.</summary>
internal sealed class SchemaOutline
{
    private readonly JsonElement _schema;
    private readonly HashSet<string> _types;
    private readonly HashSet<string>? _values;
    private readonly HashSet<string> _required = [];
    private readonly HashSet<string> _names = [];
    private readonly Dictionary<string, HashSet<string>> _constants = [];

    /// <param name="schema">Expanded.</param>
    /// <param name="merger">Expands its properties.</param>
    /// <param name="readTypes">The types that a schema asks for.</param>
    /// <param name="impliedTypes">Those that its other keywords ask for.</param>
    public SchemaOutline(
        JsonElement schema, SchemaMerger merger, Func<JsonElement, string[]?> readTypes, Func<JsonElement, string[]?> impliedTypes)
    {
        _schema = schema;
        if (schema.ValueKind != JsonValueKind.Object)
        {
            _types = schema.ValueKind == JsonValueKind.False ? [] : [.. JsonSchemaCompiler.Types];
            return;
        }

        IReadOnlyList<JsonElement>? listed = merger.Values(schema);
        string[] types = readTypes(schema) ?? (listed == null ? impliedTypes(schema) : null) ?? JsonSchemaCompiler.Types;
        _types = [.. types.Where(type => listed == null || listed.Any(value => JsonSchemaCompiler.IsOfType(value, type)))];
        _values = listed == null ? null : [.. listed.Select(Key)];
        if (schema.TryGetProperty("required", out JsonElement required) && required.ValueKind == JsonValueKind.Array)
        {
            _required = [.. required.EnumerateArray()
                .Where(static name => name.ValueKind == JsonValueKind.String).Select(static name => name.GetString()!)];
        }

        if (schema.TryGetProperty("properties", out JsonElement properties) && properties.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty property in properties.EnumerateObject())
            {
                _names.Add(property.Name);
                if (merger.Expand(property.Value) is { ValueKind: JsonValueKind.Object } expanded && merger.Values(expanded) is { } values)
                {
                    _constants[property.Name] = [.. values.Select(Key)];
                }
            }
        }
    }

    /// <summary>Properties that it has to require to be told apart.</summary>
    public HashSet<string> Demanded { get; } = [];

    /// <summary>Whether no value fits both; may add to what both demand.</summary>
    public bool Excludes(SchemaOutline other)
    {
        if (_values != null && other._values != null)
        {
            return !_values.Overlaps(other._values);
        }

        string[] shared = [.. _types.Where(type => other._types.Contains(type)
            || (type == "integer" && other._types.Contains("number")) || (type == "number" && other._types.Contains("integer")))];
        if (shared.Length == 0)
        {
            return true;
        }

        return shared is ["object"] && (IsToldByRequired(other) || IsClosedTo(other) || other.IsClosedTo(this) || IsToldByDemanded(other));
    }

    private bool IsToldByRequired(SchemaOutline other) => _constants.Any(constant =>
        IsNeeded(constant.Key) && other.IsNeeded(constant.Key) && IsConstantOf(other, constant.Key, constant.Value));

    private bool IsToldByDemanded(SchemaOutline other)
    {
        foreach ((string name, HashSet<string> values) in _constants)
        {
            if (IsConstantOf(other, name, values))
            {
                Demanded.Add(name);
                other.Demanded.Add(name);
                return true;
            }
        }

        return false;
    }

    private bool IsNeeded(string name) => _required.Contains(name) || Demanded.Contains(name);

    private static bool IsConstantOf(SchemaOutline other, string name, HashSet<string> values) =>
        other._constants.TryGetValue(name, out HashSet<string>? others) && !values.Overlaps(others);

    // Whether the other one requires what this one forbids.
    private bool IsClosedTo(SchemaOutline other) => _schema.TryGetProperty("additionalProperties", out JsonElement additional)
        && additional.ValueKind == JsonValueKind.False && !_schema.TryGetProperty("patternProperties", out _)
        && other._required.Any(name => !_names.Contains(name));

    // The same for values that are equal; objects and arrays, and numbers of very many digits, are not told apart.
    private static string Key(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "\"" + value.GetString(),
        JsonValueKind.Number when NumberPatterns.Decimal.Parse(value.GetRawText()) is { } number =>
            $"{number.IsNegative} {number.Whole}.{number.Fraction}",
        JsonValueKind.Number => "",
        JsonValueKind.Object or JsonValueKind.Array => "",
        _ => value.ValueKind.ToString(),
    };
}
