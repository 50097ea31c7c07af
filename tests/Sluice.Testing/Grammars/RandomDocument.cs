using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Sluice.Testing.Grammars;

/// <summary>
/// Writes JSON that is valid under a schema of <see cref="RandomSchema"/>, by the schema alone and without any of the engine's code: the value by one
/// seed, the way in which it is written by another.
/// </summary>
public sealed class RandomDocument
{
    private const int DepthMax = 12;
    private static readonly string[] s_characters = ["a", "Z", "0", " ", "\"", "\\", "/", "\n", "\t", "\u0001", "\u007f", "é", "日", "\uFFFD", "😀", "\U00010FFF", "{", "]", ","];
    private readonly JsonObject _root;
    private readonly Random _random;
    private readonly Random _style;
    private readonly Func<Random, string> _space;
    private readonly bool _escapes;
    private readonly StringBuilder _text = new();

    private RandomDocument(JsonObject root, int seed, int style)
    {
        _root = root;
        _random = new Random(seed);
        _style = new Random(style);
        _escapes = style % 2 == 1;
        _space = (style % 4) switch
        {
            0 => static _ => "",
            1 => static random => random.Next(2) == 0 ? "" : " ",
            2 => static random => "\n" + new string(' ', random.Next(41)),
            _ => static random => random.Next(3) switch { 0 => "", 1 => " ", _ => "\n" + new string('\t', random.Next(41)) },
        };
    }

    /// <summary>Writes a document.</summary>
    /// <param name="schema">A schema of <see cref="RandomSchema"/>.</param>
    /// <param name="seed">The same seed, the same value.</param>
    /// <param name="style">How it is written: white space, and escapes where strings are free; from 0.</param>
    /// <returns>Null where this way through the schema has no value.</returns>
    public static string? Write(JsonObject schema, int seed, int style)
    {
        var document = new RandomDocument(schema, seed, style);
        return document.TryWrite(schema, 0) ? document._text.ToString() : null;
    }

    private bool TryWrite(JsonObject schema, int depth)
    {
        if (depth > DepthMax) return false;
        if (schema["$ref"] is { } reference) return TryWrite(_root["$defs"]![reference.GetValue<string>().Split('/')[^1]]!.AsObject(), depth + 1);
        if (schema["anyOf"] is JsonArray options) return TryWrite(options[_random.Next(options.Count)]!.AsObject(), depth + 1);
        if (schema["allOf"] is JsonArray parts) return TryWrite(parts[0]!.AsObject(), depth + 1);
        if (schema.ContainsKey("const")) return Add(Literal(schema["const"]));
        if (schema["enum"] is JsonArray values) return Add(Literal(values[_random.Next(values.Count)]));
        var type = schema["type"] is JsonArray types ? types[_random.Next(types.Count)]! : schema["type"]!;
        return type.GetValue<string>() switch
        {
            "object" => TryWriteObject(schema, depth),
            "array" => TryWriteArray(schema, depth),
            "string" => TryWriteString(schema),
            "integer" => TryWriteInteger(schema),
            "number" => TryWriteNumber(schema),
            "boolean" => Add(_random.Next(2) == 0 ? "true" : "false"),
            "null" => Add("null"),
            var other => throw new ArgumentException(other),
        };
    }

    private bool Add(string text)
    {
        _text.Append(text);
        return true;
    }

    private bool TryWriteObject(JsonObject schema, int depth)
    {
        var properties = schema["properties"]?.AsObject() ?? [];
        var required = schema["required"]?.AsArray().Select(name => name!.GetValue<string>()).ToHashSet() ?? [];
        var members = properties.Where(member => required.Contains(member.Key) || (depth < DepthMax / 2 && _random.Next(2) == 0))
            .Select(member => (Name: member.Key, Schema: member.Value!.AsObject())).ToList();
        if (schema["additionalProperties"] is JsonObject others)
        {
            foreach (var name in ((string[])["zusätzlich", "more\t", "😀😀"]).Take(_random.Next(3))) members.Add((name, others));
        }

        return TryWriteParts('{', '}', members, member => Add(Quote(member.Name)) && Add(":") && Add(_space(_style)) && TryWrite(member.Schema, depth + 1));
    }

    private bool TryWriteArray(JsonObject schema, int depth)
    {
        var min = schema["minItems"]?.GetValue<int>() ?? 0;
        var max = schema["maxItems"]?.GetValue<int>() ?? min + 2;
        var count = depth > DepthMax / 2 ? min : _random.Next(min, max + 1);
        return TryWriteParts('[', ']', [.. Enumerable.Repeat(schema["items"]!.AsObject(), count)], item => TryWrite(item, depth + 1));
    }

    private bool TryWriteParts<T>(char opener, char closer, List<T> parts, Func<T, bool> write)
    {
        _text.Append(opener);
        for (var i = 0; i < parts.Count; i++)
        {
            if (i > 0) _text.Append(',');
            _text.Append(_space(_style));
            if (!write(parts[i])) return false;
        }

        _text.Append(_space(_style)).Append(closer);
        return true;
    }

    private bool TryWriteString(JsonObject schema)
    {
        if (schema["pattern"] is { } pattern) return Add(Quote(Pick(Matches(pattern.GetValue<string>()))));
        if (schema["format"] is { } format) return Add(Quote(Pick(Samples(format.GetValue<string>()))));
        var min = schema["minLength"]?.GetValue<int>() ?? 0;
        var max = schema["maxLength"]?.GetValue<int>() ?? min + 6;
        var count = _random.Next(min, max + 1);
        var quoted = new StringBuilder("\"");
        for (var i = 0; i < count; i++) quoted.Append(Character(s_characters[_random.Next(s_characters.Length)]));
        return Add(quoted.Append('"').ToString());
    }

    // As it is where that is possible; in a style of escapes by its number as well.
    private string Character(string character)
    {
        if (!_escapes || _style.Next(2) == 0) return Quote(character)[1..^1];
        var isUpper = _style.Next(2) == 0;
        return string.Concat(character.Select(unit => "\\u" + ((int)unit).ToString(isUpper ? "X4" : "x4", CultureInfo.InvariantCulture)));
    }

    private bool TryWriteInteger(JsonObject schema)
    {
        var min = schema["minimum"]?.GetValue<int>();
        var max = schema["exclusiveMaximum"]?.GetValue<int>() - 1;
        var value = min is null && max is null
            ? _random.NextInt64(-999_999_999_999_999_999, 1_000_000_000_000_000_000)
            : _random.Next(min ?? max!.Value - 5000, (max ?? min!.Value + 5000) + 1);
        return Add(value.ToString(CultureInfo.InvariantCulture));
    }

    private bool TryWriteNumber(JsonObject schema)
    {
        var above = schema["exclusiveMinimum"]?.GetValue<decimal>();
        var max = schema["maximum"]?.GetValue<decimal>();
        if (above is null && max is null) return Add(Pick(["0", "-0.5", "12", "3.14159", "1e5", "-2.5E-10", "7E+3", "1234567890123456.5"]));
        var value = above is { } low ? low + (_random.Next(1, 1500) / 1000m) : max!.Value - (_random.Next(1500) / 1000m);
        if (value > max) value = max.Value;
        return (above is null || value > above) && Add(value.ToString(CultureInfo.InvariantCulture));
    }

    private string Pick(string[] texts) => texts[_random.Next(texts.Length)];

    private static string[] Matches(string pattern) => pattern switch
    {
        "^[a-z]{1,5}$" => ["a", "abcde"],
        "^(foo|ba+r)?[0-9]*$" => ["", "foo12", "baaar", "7"],
        "^\\d{3}-\\d{4}$" => ["555-1234"],
        "[A-Z]" => ["A", "xYz", "é \"Q\" 😀"],
        "^é+\\s?[^a]$" => ["éb", "éé 日", "é\t😀"],
        "^[^\"\\\\]{2}\"\\\\\n$" => ["ab\"\\\n", "é😀\"\\\n"],
        "^\\w+$" => ["a_1Z"],
        "^😀?(x|y){0,3}$" => ["", "😀xyx", "y"],
        _ => throw new ArgumentException(pattern),
    };

    private static string[] Samples(string format) => format switch
    {
        "date-time" => ["2024-02-29T23:59:59Z", "1999-12-31T00:00:00.123+05:30"],
        "time" => ["12:34:56Z", "00:00:00.5-08:00"],
        "date" => ["2023-10-05", "2024-02-29"],
        "duration" => ["P1Y2M3DT4H5M6S", "P3W", "PT0S"],
        "email" => ["a.b+c@example.org", "x@y.z"],
        "hostname" => ["example.org", "a-b.c"],
        "ipv4" => ["192.0.2.1", "0.0.0.0", "255.255.255.255"],
        "ipv6" => ["2001:db8::1", "::", "fe80:0:0:0:0:0:0:1"],
        "uuid" => ["123e4567-e89b-12d3-a456-426614174000"],
        _ => throw new ArgumentException(format),
    };

    private static string Literal(JsonNode? value) => value switch
    {
        null => "null",
        JsonArray array => $"[{string.Join(',', array.Select(Literal))}]",
        JsonObject members => $"{{{string.Join(',', members.Select(member => Quote(member.Key) + ":" + Literal(member.Value)))}}}",
        JsonValue text when text.TryGetValue(out string? content) => Quote(content),
        _ => value.ToJsonString(),
    };

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var unit in text)
        {
            var at = "\"\\\b\f\n\r\t".IndexOf(unit, StringComparison.Ordinal);
            quoted.Append(at >= 0 ? $"\\{"\"\\bfnrt"[at]}" : unit < ' ' ? string.Create(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}") : unit.ToString());
        }

        return quoted.Append('"').ToString();
    }
}
