using System.Text.Json.Nodes;

namespace Sluice.Testing.Grammars;

/// <summary>Schemas of the subset that the engine compiles, the same for the same seed.</summary>
public static class RandomSchema
{
    private static readonly string[] s_names = ["name", "age", "日本", "quo\"te", "back\\slash", "tab\there", "😀", "a", "ab", "abc", "", "$ref", "x y"];
    private static readonly string[] s_patterns =
    [
        "^[a-z]{1,5}$", "^(foo|ba+r)?[0-9]*$", "^\\d{3}-\\d{4}$", "[A-Z]", "^é+\\s?[^a]$", "^[^\"\\\\]{2}\"\\\\\n$", "^\\w+$", "^😀?(x|y){0,3}$",
    ];

    /// <summary>An object's schema, with definitions that may be recursive.</summary>
    public static string Create(int seed)
    {
        var random = new Random(seed);
        var definitions = new JsonObject
        {
            ["leaf"] = Scalar(random),
            ["tree"] = new JsonObject
            {
                ["type"] = "object",
                ["properties"] = new JsonObject
                {
                    ["value"] = Scalar(random),
                    ["children"] = new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["$ref"] = "#/$defs/tree" }, ["maxItems"] = 2 },
                },
                ["required"] = new JsonArray("value"),
                ["additionalProperties"] = false,
            },
        };
        JsonObject root = Object(random, 2);
        root["$defs"] = definitions;
        return root.ToJsonString();
    }

    private static JsonObject Any(Random random, int depth) => random.Next(depth > 0 ? 10 : 6) switch
    {
        < 4 => Scalar(random),
        4 => new JsonObject { ["$ref"] = "#/$defs/leaf", ["description"] = "A leaf." },
        5 => new JsonObject { ["$ref"] = "#/$defs/tree" },
        6 => Object(random, depth - 1),
        7 => Array(random, depth - 1),
        8 => new JsonObject { ["anyOf"] = new JsonArray(Any(random, depth - 1), Any(random, depth - 1), new JsonObject { ["type"] = "null" }) },
        _ => new JsonObject { ["allOf"] = new JsonArray(Any(random, depth - 1)) },
    };

    private static JsonObject Object(Random random, int depth)
    {
        string[] names = [.. s_names.OrderBy(_ => random.Next()).Take(random.Next(5))];
        var properties = new JsonObject();
        foreach (string name in names)
        {
            properties[name] = Any(random, depth);
        }

        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties };
        schema["required"] = new JsonArray([.. names.Where(_ => random.Next(2) == 0).Select(name => (JsonNode)name)]);
        switch (random.Next(4))
        {
            case 0:
                schema["additionalProperties"] = Scalar(random);
                break;
            case 1:
                break;
            default:
                schema["additionalProperties"] = false;
                break;
        }

        return schema;
    }

    private static JsonObject Array(Random random, int depth)
    {
        int min = random.Next(3);
        var schema = new JsonObject { ["type"] = "array", ["items"] = Any(random, depth) };
        AddSome(random, schema, ("minItems", min), ("maxItems", min + random.Next(3)));
        return schema;
    }

    private static JsonObject Scalar(Random random)
    {
        switch (random.Next(9))
        {
            case 0:
                return new JsonObject { ["type"] = "boolean" };
            case 1:
                return new JsonObject { ["enum"] = new JsonArray("red", "grün", "a\"b\n", 12, 1.5, null, true, new JsonArray(1, "x"), new JsonObject { ["k"] = 2 }) };
            case 2:
                return new JsonObject { ["const"] = "const\\ant", ["type"] = "string" };
            case 3:
                return new JsonObject { ["type"] = "string", ["pattern"] = s_patterns[random.Next(s_patterns.Length)] };
            case 4:
                string[] formats = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];
                return new JsonObject { ["type"] = "string", ["format"] = formats[random.Next(formats.Length)] };
            case 5:
                return new JsonObject { ["type"] = new JsonArray("string", "null", "integer") };
            case 6:
                int length = random.Next(4);
                var text = new JsonObject { ["type"] = "string" };
                AddSome(random, text, ("minLength", length), ("maxLength", length + random.Next(70)));
                return text;
            case 7:
                int least = random.Next(-2000, 2000);
                var integer = new JsonObject { ["type"] = "integer" };
                AddSome(random, integer, ("minimum", least), ("exclusiveMaximum", least + 1 + random.Next(300)));
                if (random.Next(3) == 0)
                {
                    integer["multipleOf"] = 1;
                }

                return integer;
            default:
                double low = Math.Round((random.NextDouble() * 200) - 100, random.Next(4));
                var number = new JsonObject { ["type"] = "number" };
                AddSome(random, number, ("exclusiveMinimum", low), ("maximum", Math.Round(low + 1.5, 3)));
                return number;
        }
    }

    private static void AddSome(Random random, JsonObject schema, params (string Keyword, JsonNode Value)[] bounds)
    {
        foreach ((string keyword, JsonNode value) in bounds)
        {
            if (random.Next(3) > 0)
            {
                schema[keyword] = value;
            }
        }
    }
}
