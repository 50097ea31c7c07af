namespace Sluice.Inference.Grammars.Schemas;

/// <summary>The keywords of JSON schemas, by what is done with them.</summary>
internal static class SchemaKeywords
{
    /// <summary>They say nothing about what a value may be.</summary>
    public static HashSet<string> Annotations { get; } =
    [
        "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "example", "deprecated", "readOnly",
        "writeOnly", "contentEncoding", "contentMediaType",
    ];

    /// <summary>They replace a schema by others, and stand alone beside annotations.</summary>
    public static IReadOnlyList<string> Combinations { get; } = ["$ref", "anyOf", "allOf"];

    public static IReadOnlyList<string> OfObjects { get; } = ["properties", "required", "additionalProperties"];

    public static IReadOnlyList<string> OfArrays { get; } = ["items", "minItems", "maxItems", "uniqueItems"];

    public static IReadOnlyList<string> OfStrings { get; } = ["minLength", "maxLength", "pattern", "format"];

    public static IReadOnlyList<string> OfNumbers { get; } = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];

    private static HashSet<string> Others { get; } = ["type", "enum", "const"];

    public static bool IsSupported(string keyword) =>
        Annotations.Contains(keyword) || Others.Contains(keyword) || keyword.StartsWith("x-", StringComparison.Ordinal)
        || Combinations.Contains(keyword) || OfObjects.Contains(keyword) || OfArrays.Contains(keyword) || OfStrings.Contains(keyword)
        || OfNumbers.Contains(keyword);
}
