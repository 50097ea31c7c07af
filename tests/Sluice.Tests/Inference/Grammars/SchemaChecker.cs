using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Judges values by schemas as the standard words it, without any of the engine's code.</summary>
internal static class SchemaChecker
{
    /// <summary>What is wrong with a value, or null.</summary>
    public static string? FindFault(JsonElement schema, JsonElement value) => Find(schema, value, schema);

    private static string? Find(JsonElement schema, JsonElement value, JsonElement root)
    {
        if (schema.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return schema.GetBoolean() ? null : "nothing is allowed";
        }

        // OpenAPI 3.0.
        if (value.ValueKind == JsonValueKind.Null && schema.TryGetProperty("nullable", out JsonElement nullable) && nullable.GetBoolean())
        {
            return null;
        }

        foreach (JsonProperty keyword in schema.EnumerateObject())
        {
            string? fault = Check(schema, keyword.Name, keyword.Value, value, root);
            if (fault != null)
            {
                return fault;
            }
        }

        return null;
    }

    private static string? Check(JsonElement schema, string keyword, JsonElement wanted, JsonElement value, JsonElement root)
    {
        bool isNumber = value.ValueKind == JsonValueKind.Number;
        decimal number = isNumber && value.TryGetDecimal(out decimal exact) ? exact : 0;
        int length = value.ValueKind == JsonValueKind.String ? value.GetString()!.EnumerateRunes().Count() : -1;
        bool isArray = value.ValueKind == JsonValueKind.Array;
        bool isObject = value.ValueKind == JsonValueKind.Object;
        bool isGood = keyword switch
        {
            "$ref" => (Find(Follow(root, wanted.GetString()!), value, root)) == null,
            "oneOf" => wanted.EnumerateArray().Count(part => Find(part, value, root) == null) == 1,
            "anyOf" => wanted.EnumerateArray().Any(part => Find(part, value, root) == null),
            "allOf" => wanted.EnumerateArray().All(part => Find(part, value, root) == null),
            "enum" => wanted.EnumerateArray().Any(one => JsonElement.DeepEquals(one, value)),
            "const" => JsonElement.DeepEquals(wanted, value),
            "type" => wanted.ValueKind == JsonValueKind.Array
                ? wanted.EnumerateArray().Any(type => IsOfType(value, type.GetString()!))
                : IsOfType(value, wanted.GetString()!),
            "minimum" => !isNumber || (IsMarked(schema, "exclusiveMinimum") ? number > wanted.GetDecimal() : number >= wanted.GetDecimal()),
            "exclusiveMinimum" => !isNumber || wanted.ValueKind != JsonValueKind.Number || number > wanted.GetDecimal(),
            "maximum" => !isNumber || number <= wanted.GetDecimal(),
            "exclusiveMaximum" => !isNumber || number < wanted.GetDecimal(),
            "multipleOf" => !isNumber || number % wanted.GetDecimal() == 0,
            "minLength" => length < 0 || length >= wanted.GetInt32(),
            "maxLength" => length <= wanted.GetInt32(),
            "pattern" => length < 0 || Regex.IsMatch(value.GetString()!, Widen(wanted.GetString()!)),
            "format" => length < 0 || wanted.GetString() is "uri" or "path" || schema.TryGetProperty("pattern", out _) || IsOfFormat(value.GetString()!, wanted.GetString()!),
            "minItems" => !isArray || value.GetArrayLength() >= wanted.GetInt32(),
            "maxItems" => !isArray || value.GetArrayLength() <= wanted.GetInt32(),
            "prefixItems" => !isArray || value.EnumerateArray().Zip(wanted.EnumerateArray()).All(pair => Find(pair.Second, pair.First, root) == null),
            "items" when wanted.ValueKind == JsonValueKind.Array => Check(schema, "prefixItems", wanted, value, root) == null,
            "items" => !isArray || value.EnumerateArray().Skip(Count(schema, "prefixItems")).All(item => Find(wanted, item, root) == null),
            "additionalItems" => !isArray || value.EnumerateArray().Skip(Count(schema, "items")).All(item => Find(wanted, item, root) == null),
            "required" => !isObject || wanted.EnumerateArray().All(name => value.TryGetProperty(name.GetString()!, out _)),
            "properties" => !isObject || value.EnumerateObject()
                .All(member => !wanted.TryGetProperty(member.Name, out JsonElement own) || Find(own, member.Value, root) == null),
            "additionalProperties" => !isObject || value.EnumerateObject()
                .All(member => (schema.TryGetProperty("properties", out JsonElement own) && own.TryGetProperty(member.Name, out _))
                    || (schema.TryGetProperty("patternProperties", out JsonElement kinds) && kinds.EnumerateObject().Any(kind => Regex.IsMatch(member.Name, kind.Name)))
                    || Find(wanted, member.Value, root) == null),
            "patternProperties" => !isObject || value.EnumerateObject().All(member => wanted.EnumerateObject()
                .All(kind => !Regex.IsMatch(member.Name, kind.Name) || Find(kind.Value, member.Value, root) == null)),
            "propertyNames" => !isObject || value.EnumerateObject().All(member => Find(wanted, JsonElement.Parse($"\"{JsonEncodedText.Encode(member.Name)}\""), root) == null),
            "$defs" or "definitions" or "description" or "title" or "$schema" or "default" or "discriminator" or "nullable" => true,
            _ => throw new ArgumentException(keyword),
        };
        return isGood ? null : $"{value.GetRawText()} does not fit {keyword} {wanted.GetRawText()}";
    }

    private static bool IsMarked(JsonElement schema, string keyword) =>
        schema.TryGetProperty(keyword, out JsonElement mark) && mark.ValueKind == JsonValueKind.True;

    private static int Count(JsonElement schema, string keyword) => schema.TryGetProperty(keyword, out JsonElement items) ? items.GetArrayLength() : 0;

    private static JsonElement Follow(JsonElement root, string pointer) =>
        pointer.Split('/').Skip(1).Aggregate(root, static (at, name) => at.GetProperty(name));

    private static bool IsOfType(JsonElement value, string type) => (type, value.ValueKind) switch
    {
        ("integer", JsonValueKind.Number) => value.GetDecimal() % 1 == 0,
        ("boolean", JsonValueKind.True or JsonValueKind.False) => true,
        _ => string.Equals(value.ValueKind.ToString(), type, StringComparison.OrdinalIgnoreCase),
    };

    // .NET looks at UTF-16 units and lets $ match before a last line break.
    private static string Widen(string pattern) => pattern
        .Replace("$", "\\z", StringComparison.Ordinal)
        .Replace("\\w", "[A-Za-z0-9_]", StringComparison.Ordinal)
        .Replace("\\d", "[0-9]", StringComparison.Ordinal)
        .Replace("[^a]", "([\\uD800-\\uDBFF][\\uDC00-\\uDFFF]|[^a\\uD800-\\uDFFF])", StringComparison.Ordinal)
        .Replace("[^\"\\\\]", "([\\uD800-\\uDBFF][\\uDC00-\\uDFFF]|[^\"\\\\\\uD800-\\uDFFF])", StringComparison.Ordinal)
        .Replace("😀?", "(😀)?", StringComparison.Ordinal);

    private static bool IsOfFormat(string text, string format) => format switch
    {
        "date-time" => Regex.IsMatch(text, @"^0000-") || DateTimeOffset.TryParse(
            Regex.Replace(text, @"(\.\d{7})\d+", "$1"), CultureInfo.InvariantCulture, DateTimeStyles.None, out _) || HasLargeOffset(text),
        "date" => Regex.IsMatch(text, @"^0000-") || DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "time" => Regex.IsMatch(text, @"^\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$") && TimeOnly.TryParse(text[..8], CultureInfo.InvariantCulture, out _),
        "duration" => Regex.IsMatch(text, @"^P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?!$)(\d+H)?(\d+M)?(\d+S)?)?)$"),
        "email" => text.Split('@') is [{ Length: > 0 }, var host] && Uri.CheckHostName(host) == UriHostNameType.Dns,
        "hostname" => text.Length <= 253 && Uri.CheckHostName(text) is UriHostNameType.Dns or UriHostNameType.IPv4,
        "ipv4" => IPAddress.TryParse(text, out IPAddress? address) && address.ToString() == text,
        "ipv6" => IPAddress.TryParse(text, out IPAddress? six) && six.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6,
        "uuid" => Guid.TryParseExact(text, "D", out _),
        _ => throw new ArgumentException(format),
    };

    // .NET knows offsets up to 14 hours; times of the first and last day may leave its calendar too.
    private static bool HasLargeOffset(string text) => Regex.IsMatch(text, @"[+-](1[4-9]|2\d):\d\d$") || Regex.IsMatch(text, "^(0001-01-01|9999-12-31)");
}
