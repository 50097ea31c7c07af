using System.Text.Json;
using Sluice.Inference.Grammars.Machines;

namespace Sluice.Inference.Grammars.Schemas;

/// <summary>
/// Turns a JSON schema into nodes. What isn't supported is refused, never left out: a grammar accepts only values that its schema accepts,
/// and all of them in the spellings that docs/http-api.md lists.
/// </summary>
/// <param name="graph">Receives the nodes.</param>
/// <param name="root">The schema.</param>
/// <param name="isStrict">Whether formats that aren't known are refused; otherwise they are annotations, as the standard has it.</param>
internal sealed partial class JsonSchemaCompiler(GrammarGraph graph, JsonElement root, bool isStrict)
{
    private readonly Dictionary<string, int> _merged = [];
    private readonly Dictionary<string, int> _references = [];
    private readonly Queue<(JsonElement Schema, string[] Path, int Node)> _unread = new();
    private readonly List<string> _path = [];
    private readonly Dictionary<string, int> _scalars = [];
    private int? _anyValue;
    private int? _anyObject;

    private SchemaMerger? _createdMerger;

    /// <summary>The names of the types.</summary>
    public static string[] Types { get; } = ["object", "array", "string", "number", "integer", "boolean", "null"];

    /// <exception cref="GrammarException">The schema asks for what isn't supported or is too large.</exception>
    public int Compile()
    {
        try
        {
            bool isEmpty = root.ValueKind == JsonValueKind.True || (root.ValueKind == JsonValueKind.Object && !root.EnumerateObject().Any());
            int node = isEmpty ? AnyObject() : CompileSchema(root);
            while (_unread.TryDequeue(out (JsonElement Schema, string[] Path, int Node) reference))
            {
                _path.Clear();
                _path.AddRange(reference.Path);
                graph.Set(reference.Node, CompileSchema(reference.Schema));
            }

            return node;
        }
        catch (InvalidOperationException)
        {
            // What a JSON element throws for an escape that is half of a surrogate pair.
            throw Error("contains text that is not valid Unicode");
        }
        catch (GrammarException error) when (error.Path.Count == 0 && _path.Count > 0)
        {
            throw new GrammarException([.. _path], error.Message);
        }
    }

    private SchemaMerger Merger => _createdMerger ??= new SchemaMerger(pointer => Follow(pointer).Target, Error);

    private GrammarException Error(string reason) => new([.. _path], reason);

    private int CompileAt(string segment, JsonElement schema)
    {
        _path.Add(segment);
        int node = CompileSchema(schema);
        _path.RemoveAt(_path.Count - 1);
        return node;
    }

    private int CompileSchema(JsonElement schema)
    {
        if (_path.Count > GrammarLimits.SchemaDepthMax * 2)
        {
            throw Error(FormattableString.Invariant($"has more than {GrammarLimits.SchemaDepthMax} schemas in one another"));
        }

        switch (schema.ValueKind)
        {
            case JsonValueKind.True:
                return AnyValue();
            case JsonValueKind.False:
                return graph.Choice();
            case JsonValueKind.Object:
                break;
            default:
                throw Error("is not a schema: an object or a boolean is expected");
        }

        CheckKeywords(schema);
        if (schema.TryGetProperty("nullable", out _))
        {
            return CompileMerged(Merger.Expand(schema));
        }

        foreach (string keyword in SchemaKeywords.Combinations)
        {
            if (schema.TryGetProperty(keyword, out JsonElement value))
            {
                return CompileCombination(schema, keyword, value);
            }
        }

        if (schema.TryGetProperty("enum", out _) || schema.TryGetProperty("const", out _))
        {
            return CompileValues(schema);
        }

        string[]? types = ReadTypes(schema) ?? ImpliedTypes(schema);
        if (types == null)
        {
            return AnyValue();
        }

        int[] nodes = [.. types.Where(type => type != "integer" || !types.Contains("number")).Select(type => CompileType(schema, type))];
        return nodes.Length == 1 ? nodes[0] : graph.Choice(nodes);
    }

    private void CheckKeywords(JsonElement schema)
    {
        var names = new HashSet<string>();
        foreach (JsonProperty member in schema.EnumerateObject())
        {
            if (!SchemaKeywords.IsSupported(member.Name))
            {
                throw Error($"'{member.Name}' is not supported{SchemaKeywords.Remedy(member.Name)}");
            }

            if (!names.Add(member.Name))
            {
                throw Error($"'{member.Name}' stands there twice");
            }
        }
    }

    private string[]? ReadTypes(JsonElement schema)
    {
        if (!schema.TryGetProperty("type", out JsonElement value))
        {
            return null;
        }

        IEnumerable<JsonElement> names = value.ValueKind switch
        {
            JsonValueKind.Array when value.GetArrayLength() > 0 => value.EnumerateArray(),
            JsonValueKind.String => [value],
            _ => throw Error("'type' must be the name of a type or an array of names"),
        };
        return [.. names.Select(name => name.ValueKind == JsonValueKind.String && Types.Contains(name.GetString())
            ? name.GetString()!
            : throw Error($"'type' {name.GetRawText()} is not known")).Distinct()];
    }

    // Without a type, keywords that concern one type are taken to ask for it: what else would they be there for.
    private static string[]? ImpliedTypes(JsonElement schema)
    {
        var types = new List<string>();
        AddIf(SchemaKeywords.OfObjects, "object");
        AddIf(SchemaKeywords.OfArrays, "array");
        AddIf(SchemaKeywords.OfStrings, "string");
        AddIf(SchemaKeywords.OfNumbers, "number");
        return types.Count == 0 ? null : [.. types];

        void AddIf(IReadOnlyList<string> keywords, string type)
        {
            if (keywords.Any(keyword => schema.TryGetProperty(keyword, out _)))
            {
                types.Add(type);
            }
        }
    }

    private int CompileType(JsonElement schema, string type) => type switch
    {
        "object" => CompileObject(schema),
        "array" => CompileArray(schema),
        "string" => CompileScalar(schema, type, SchemaKeywords.OfStrings, () => CompileString(schema)),
        "boolean" => graph.Machine(JsonMachines.Boolean),
        "null" => graph.Machine(JsonMachines.Null),
        _ => CompileScalar(schema, type, SchemaKeywords.OfNumbers, () => CompileNumber(schema, isInteger: type == "integer")),
    };

    private int AnyValue()
    {
        if (_anyValue is not { } node)
        {
            node = graph.Reserve();
            _anyValue = node;
            graph.Set(node, graph.Choice(
                AnyObject(), Array(node, 0, int.MaxValue), graph.Machine(JsonMachines.String), graph.Machine(JsonMachines.Number),
                graph.Machine(JsonMachines.Boolean), graph.Machine(JsonMachines.Null)));
        }

        return node;
    }

    private int AnyObject() => _anyObject ??= FreeObject(Pair(graph.Machine(JsonMachines.String), AnyValue()));
}
