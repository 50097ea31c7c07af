using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Sluice.Testing;

/// <summary>
/// Validates against a JSON schema (draft 2020-12) as far as the project's own goes: a keyword that isn't known here throws, so that
/// nothing in the schema is without effect.
/// </summary>
public sealed class JsonSchemaValidator(JsonObject root)
{
    /// <summary>Where the value breaks the schema, as <c>/path: keyword</c>; empty when it is valid.</summary>
    public IReadOnlyList<string> Validate(JsonNode? value)
    {
        var errors = new List<string>();
        Check(root, value, "", errors);
        return errors;
    }

    private bool IsValid(JsonNode schema, JsonNode? value)
    {
        var errors = new List<string>();
        Check(schema, value, "", errors);
        return errors.Count == 0;
    }

    private void Check(JsonNode schema, JsonNode? value, string path, List<string> errors)
    {
        if (schema is JsonValue always)
        {
            if (!always.GetValue<bool>()) errors.Add($"{path}: false");
            return;
        }
        foreach (var (keyword, argument) in schema.AsObject())
        {
            if (!Holds(keyword, argument!, schema.AsObject(), value, path, errors)) errors.Add($"{path}: {keyword}");
        }
    }

    private bool Holds(string keyword, JsonNode argument, JsonObject schema, JsonNode? value, string path, List<string> errors)
    {
        switch (keyword)
        {
            case "$schema" or "$defs" or "title" or "description" or "default":
                return true;
            case "$ref":
                Check(Resolve(argument.GetValue<string>()), value, path, errors);
                return true;
            case "type":
                return (argument is JsonArray types ? types.Select(type => type!.GetValue<string>()) : [argument.GetValue<string>()]).Any(type => IsOfType(value, type));
            case "enum":
                return argument.AsArray().Any(allowed => JsonNode.DeepEquals(allowed, value));
            case "pattern":
                return TextOf(value) is not { } text || Regex.IsMatch(text, argument.GetValue<string>(), RegexOptions.ECMAScript);
            case "minimum":
                return NumberOf(value) is not { } number || number >= argument.GetValue<double>();
            case "maximum":
                return NumberOf(value) is not { } most || most <= argument.GetValue<double>();
            case "exclusiveMinimum":
                return NumberOf(value) is not { } above || above > argument.GetValue<double>();
            case "minItems":
                return value is not JsonArray counted || counted.Count >= argument.GetValue<int>();
            case "items":
                for (var i = 0; value is JsonArray array && i < array.Count; i++) Check(argument, array[i], $"{path}/{i}", errors);
                return true;
            case "properties":
                foreach (var (name, member) in value as JsonObject ?? [])
                {
                    if (argument[name] is { } known) Check(known, member, $"{path}/{name}", errors);
                }
                return true;
            case "additionalProperties":
                foreach (var (name, member) in value as JsonObject ?? [])
                {
                    if (schema["properties"]?[name] is null) Check(argument, member, $"{path}/{name}", errors);
                }
                return true;
            case "propertyNames":
                foreach (var (name, _) in value as JsonObject ?? []) Check(argument, JsonValue.Create(name), $"{path}/{name}", errors);
                return true;
            case "required":
                return value is not JsonObject holder || argument.AsArray().All(name => holder.ContainsKey(name!.GetValue<string>()));
            case "dependentRequired":
                return value is not JsonObject dependent || argument.AsObject().Where(rule => dependent.ContainsKey(rule.Key))
                    .All(rule => rule.Value!.AsArray().All(name => dependent.ContainsKey(name!.GetValue<string>())));
            case "anyOf":
                return argument.AsArray().Any(option => IsValid(option!, value));
            case "allOf":
                foreach (var part in argument.AsArray()) Check(part!, value, path, errors);
                return true;
            case "if":
                if (IsValid(argument, value)) Check(schema["then"]!, value, path, errors);
                return true;
            case "then":
                return schema.ContainsKey("if");
            case "oneOf":
                return argument.AsArray().Count(option => IsValid(option!, value)) == 1;
            case "not":
                return !IsValid(argument, value);
            default:
                throw new NotSupportedException($"The keyword '{keyword}' at {path} is not known to the validator.");
        }
    }

    private JsonNode Resolve(string reference)
    {
        JsonNode? node = root;
        foreach (var step in reference.TrimStart('#').Split('/', StringSplitOptions.RemoveEmptyEntries)) node = node?[step];
        return node ?? throw new NotSupportedException($"'{reference}' leads nowhere.");
    }

    private static bool IsOfType(JsonNode? value, string type) => type switch
    {
        "null" => value is null,
        "object" => value is JsonObject,
        "array" => value is JsonArray,
        "string" => TextOf(value) is not null,
        "boolean" => value is JsonValue flag && flag.TryGetValue<bool>(out _),
        "number" => NumberOf(value) is not null,
        "integer" => NumberOf(value) is { } number && number == Math.Floor(number),
        _ => throw new NotSupportedException($"There is no type '{type}'."),
    };

    private static string? TextOf(JsonNode? value) => value is JsonValue text && text.TryGetValue<string>(out var result) ? result : null;

    private static double? NumberOf(JsonNode? value) => value is JsonValue number && number.TryGetValue<double>(out var result) ? result : null;
}
