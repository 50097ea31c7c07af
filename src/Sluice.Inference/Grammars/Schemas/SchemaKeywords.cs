namespace Sluice.Inference.Grammars.Schemas;

/// <summary>The keywords of JSON schemas, by what is done with them.</summary>
internal static class SchemaKeywords
{
    /// <summary>Several patterns of schemas that hold together, as an array: made by <see cref="SchemaMerger"/>.</summary>
    public const string Patterns = "$patterns";

    /// <summary>They say nothing about what a value may be.</summary>
    private static readonly HashSet<string> s_annotations =
    [
        "$schema", "$id", "$anchor", "$comment", "$defs", "$vocabulary", "definitions", "title", "description", "default", "examples",
        "example", "deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema", "discriminator",
        "externalDocs", "xml",
    ];

    /// <summary>They hold a schema against others, in the order in which they are taken apart.</summary>
    public static IReadOnlyList<string> Combinations { get; } = ["$ref", "allOf", "anyOf", "oneOf"];

    public static IReadOnlyList<string> OfObjects { get; } =
        ["properties", "required", "additionalProperties", "patternProperties", "propertyNames"];

    public static IReadOnlyList<string> OfArrays { get; } =
        ["items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"];

    public static IReadOnlyList<string> OfStrings { get; } = ["minLength", "maxLength", "pattern", "format", Patterns];

    public static IReadOnlyList<string> OfNumbers { get; } = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];

    private static HashSet<string> Others { get; } = ["type", "enum", "const", "nullable"];

    /// <summary>Whether a keyword says nothing about what a value may be.</summary>
    public static bool IsAnnotation(string keyword) =>
        s_annotations.Contains(keyword) || keyword.StartsWith("x-", StringComparison.Ordinal);

    public static bool IsSupported(string keyword) =>
        IsAnnotation(keyword) || Others.Contains(keyword) || Combinations.Contains(keyword) || OfObjects.Contains(keyword)
        || OfArrays.Contains(keyword) || OfStrings.Contains(keyword) || OfNumbers.Contains(keyword);

    /// <summary>What to do about a keyword that can't be enforced, as the end of its sentence; empty where nothing helps.</summary>
    public static string Remedy(string keyword) => keyword switch
    {
        "uniqueItems" => "; leave it out and remove duplicates from the answer",
        "not" => "; list what is allowed instead",
        "if" or "then" or "else" or "dependentSchemas" => "; use 'anyOf' with a schema for each case",
        "dependentRequired" => "; use 'anyOf' with what is required in each case",
        "unevaluatedProperties" => "; use 'additionalProperties'",
        "unevaluatedItems" => "; use 'items'",
        "minProperties" or "maxProperties" => "; use 'required', or an array of pairs with 'minItems' and 'maxItems'",
        "$dynamicRef" or "$recursiveRef" => "; use '$ref'",
        _ => "",
    };
}
