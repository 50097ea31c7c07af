using System.Numerics;
using System.Text;
using System.Text.Json;
using Sluice.Inference.Grammars.Machines;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Schemas;

/// <content>Strings, numbers, and values that are given.</content>
internal sealed partial class JsonSchemaCompiler
{
    // The automaton of a divisor has a state for each remainder.
    private const int DivisorMax = 1000;
    private const int FractionDigitsMax = 16;

    // What is asked for in the same words is one node, made once.
    private int CompileScalar(JsonElement schema, string type, IEnumerable<string> keywords, Func<int> compile)
    {
        string key = type + string.Concat(keywords.Select(keyword =>
            schema.TryGetProperty(keyword, out JsonElement value) ? $" {keyword} {value.GetRawText()}" : ""));
        if (!_scalars.TryGetValue(key, out int node))
        {
            node = compile();
            _scalars.Add(key, node);
        }

        return node;
    }

    private int CompileString(JsonElement schema)
    {
        int min = ReadCount(schema, "minLength") ?? 0;
        int? max = ReadCount(schema, "maxLength");
        List<string> patterns = ReadPatterns(schema);
        string? format = ReadFormat(schema);
        if (patterns.Count == 0 && format == null)
        {
            return max < min ? graph.Choice()
                : graph.Machine(min == 0 && max == null ? JsonMachines.String : new StringMachine(min, max));
        }

        if (patterns.Count == 0 && min == 0 && max == null)
        {
            return graph.Machine(JsonMachines.Format(format!));
        }

        return CompileText(schema, out PatternDfa? text) && text != null ? graph.Machine(new PatternStringMachine(text)) : graph.Choice();
    }

    // The texts that the keywords of strings allow; null is any text. Returns false where they allow none.
    private bool CompileText(JsonElement schema, out PatternDfa? text)
    {
        int min = ReadCount(schema, "minLength") ?? 0;
        int? max = ReadCount(schema, "maxLength");
        text = null;
        foreach (string pattern in ReadPatterns(schema))
        {
            PatternDfa? one = PatternDfa.Compile(PatternParser.ParseContained(pattern), graph.Budget);
            text = text == null ? one : one == null ? null : text.Intersect(one, graph.Budget);
            if (text == null)
            {
                return false;
            }
        }

        if (ReadFormat(schema) is { } format)
        {
            // Where a pattern contradicts a format it is the pattern that was written by hand: times without a zone, for one.
            PatternDfa known = StringFormats.Find(format)!;
            text = text == null ? known : text.Intersect(known, graph.Budget) ?? text;
        }

        if (min > 0 || max != null)
        {
            PatternDfa? lengths = max < min ? null : PatternDfa.OfLength(min, max);
            text = lengths == null ? null : text == null ? lengths : text.Intersect(lengths, graph.Budget);
            return text != null;
        }

        return true;
    }

    private List<string> ReadPatterns(JsonElement schema)
    {
        List<string> patterns = [];
        if (schema.TryGetProperty(SchemaKeywords.Patterns, out JsonElement several) && several.ValueKind == JsonValueKind.Array)
        {
            patterns.AddRange(several.EnumerateArray().Select(one =>
                one.ValueKind == JsonValueKind.String ? one.GetString()! : throw Error("'pattern' must be a string")));
        }

        if (ReadText(schema, "pattern") is { } pattern)
        {
            patterns.Add(pattern);
        }

        return patterns;
    }

    // Null for what is an annotation only.
    private string? ReadFormat(JsonElement schema)
    {
        string? format = ReadText(schema, "format");
        return format == null || StringFormats.Find(format) != null ? format
            : isStrict ? throw Error($"'format' '{format}' is not supported; these are: {string.Join(", ", StringFormats.Names)}")
            : null;
    }

    private string? ReadText(JsonElement schema, string keyword) => !schema.TryGetProperty(keyword, out JsonElement value)
        ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw Error($"'{keyword}' must be a string");

    private int CompileNumber(JsonElement schema, bool isInteger)
    {
        if (!SchemaKeywords.OfNumbers.Any(keyword => schema.TryGetProperty(keyword, out _)))
        {
            return graph.Machine(isInteger ? JsonMachines.Integer : JsonMachines.Number);
        }

        (int fractionDigits, int divisor) = ReadDivisor(schema);
        PatternDfa? numbers = NumberPatterns.Plain(isInteger ? 0 : fractionDigits);
        Bound("minimum", bound => NumberPatterns.AtLeast(bound, IsMarked("exclusiveMinimum")));
        Bound("exclusiveMinimum", bound => NumberPatterns.AtLeast(bound, isExclusive: true));
        Bound("maximum", bound => NumberPatterns.AtMost(bound, IsMarked("exclusiveMaximum")));
        Bound("exclusiveMaximum", bound => NumberPatterns.AtMost(bound, isExclusive: true));
        if (divisor > 1)
        {
            PatternDfa multiples = NumberPatterns.MultiplesOf(divisor)!;
            numbers = numbers?.Intersect(multiples, graph.Budget);
        }

        return numbers == null ? graph.Choice() : graph.Machine(new AsciiMachine(numbers));

        // OpenAPI 3.0 has true and false in place of a number of its own.
        bool IsMarked(string keyword) => schema.TryGetProperty(keyword, out JsonElement mark) && mark.ValueKind == JsonValueKind.True;

        void Bound(string keyword, Func<NumberPatterns.Decimal, PatternNode> pattern)
        {
            if (schema.TryGetProperty(keyword, out JsonElement value) && value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            {
                PatternDfa? bound = PatternDfa.Compile(pattern(ReadNumber(schema, keyword)), graph.Budget);
                numbers = bound == null ? null : numbers?.Intersect(bound, graph.Budget);
            }
        }
    }

    // Digits after the point that are allowed, and the divisor of integers.
    private (int FractionDigits, int Divisor) ReadDivisor(JsonElement schema)
    {
        if (!schema.TryGetProperty("multipleOf", out _))
        {
            return (FractionDigitsMax, 1);
        }

        NumberPatterns.Decimal value = ReadNumber(schema, "multipleOf");
        if (value.IsNegative || value.IsZero)
        {
            throw Error("'multipleOf' must be above zero");
        }

        if (value.ToInteger() is { } integer)
        {
            return integer <= DivisorMax
                ? (0, (int)integer)
                : throw Error(FormattableString.Invariant($"'multipleOf' above {DivisorMax} is not supported"));
        }

        return value.Whole == "0" && value.Fraction.Length <= FractionDigitsMax && BigInteger.Parse(value.Fraction).IsOne
            ? (value.Fraction.Length, 1)
            : throw Error("'multipleOf' is not supported with this value: it must be a whole number, or 0.1, 0.01 and so on");
    }

    private NumberPatterns.Decimal ReadNumber(JsonElement schema, string keyword)
    {
        JsonElement value = schema.GetProperty(keyword);
        if (value.ValueKind != JsonValueKind.Number)
        {
            throw Error($"'{keyword}' must be a number");
        }

        return NumberPatterns.Decimal.Parse(value.GetRawText()) ?? throw Error($"'{keyword}' has too many digits to be supported");
    }

    // Of the values that are listed those that the types beside them allow.
    private int CompileValues(JsonElement schema)
    {
        foreach (JsonProperty other in schema.EnumerateObject())
        {
            if (other.Name is not ("enum" or "const" or "type") && !SchemaKeywords.IsAnnotation(other.Name))
            {
                throw Error($"'{other.Name}' beside 'enum' or 'const' is not supported");
            }
        }

        IReadOnlyList<JsonElement> values = Merger.Values(schema)!;
        if (ReadTypes(schema) is { } types)
        {
            values = [.. values.Where(value => types.Any(type => IsOfType(value, type)))];
        }

        // Scalars are one trie, however many there are.
        byte[][] scalars = [.. values.Where(static value => value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array)).Select(JsonText.Write)];
        List<int> nodes = [.. values.Where(static value => value.ValueKind is JsonValueKind.Object or JsonValueKind.Array).Select(Value)];
        if (scalars.Length > 0)
        {
            nodes.Add(graph.Literal(scalars));
        }

        return nodes.Count == 1 ? nodes[0] : graph.Choice([.. nodes]);
    }

    /// <summary>Whether a value is of a type.</summary>
    public static bool IsOfType(JsonElement value, string type) => value.ValueKind switch
    {
        JsonValueKind.Object => type == "object",
        JsonValueKind.Array => type == "array",
        JsonValueKind.String => type == "string",
        JsonValueKind.Number => type == "number" || (type == "integer" && NumberPatterns.Decimal.Parse(value.GetRawText())?.Fraction.Length == 0),
        JsonValueKind.Null => type == "null",
        _ => type == "boolean",
    };

    private int Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => Object([.. value.EnumerateObject().Select(member => (member.Name, Value(member.Value), true))], []),
        JsonValueKind.Array => Tuple([.. value.EnumerateArray().Select(Value)], null, value.GetArrayLength(), value.GetArrayLength()),
        _ => graph.Literal(JsonText.Write(value)),
    };

    /// <summary>The one spelling of a given text: characters as they are, escapes where JSON wants them, the shortest ones.</summary>
    private static class JsonText
    {
        public static byte[] Write(JsonElement scalar) =>
            scalar.ValueKind == JsonValueKind.String ? Quote(scalar.GetString()!) : Encoding.UTF8.GetBytes(scalar.GetRawText());

        public static byte[] Quote(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (char unit in text)
            {
                quoted.Append(unit switch
                {
                    '"' => "\\\"",
                    '\\' => "\\\\",
                    '\b' => "\\b",
                    '\f' => "\\f",
                    '\n' => "\\n",
                    '\r' => "\\r",
                    '\t' => "\\t",
                    < ' ' => FormattableString.Invariant($"\\u{(int)unit:x4}"),
                    _ => unit.ToString(),
                });
            }

            return Encoding.UTF8.GetBytes(quoted.Append('"').ToString());
        }
    }
}
