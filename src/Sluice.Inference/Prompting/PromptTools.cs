using System.Text.Json;
using Sluice.Inference.Grammars;

namespace Sluice.Inference.Prompting;

/// <summary>The tools of a request.</summary>
/// <param name="Tools">At least one, each of another name.</param>
public sealed record PromptTools(IReadOnlyList<PromptTool> Tools)
{
    /// <summary>Whether the answer has to call. The default value is false: the model decides.</summary>
    public bool IsRequired { get; init; }

    /// <summary>The only tool that may be called; the default value is null, any.</summary>
    public string? Required { get; init; }

    /// <summary>Whether an answer may have several calls. The default value is true.</summary>
    public bool AllowsSeveral { get; init; } = true;

    /// <summary>What an answer that calls nothing has to be, the same as the grammar of the request; the default value is null, anything.</summary>
    public Grammar? TextGrammar { get; init; }
}

/// <summary>The arguments of a tool where no schema describes them.</summary>
/// <param name="Source">What the grammar was made of: the same source is the same grammar.</param>
/// <param name="Grammar">Whole arguments.</param>
public sealed record ArgumentsGrammar(string Source, Grammar Grammar);

/// <summary>A tool that a model may call.</summary>
/// <param name="Name">1 to 64 letters, digits, underscores and hyphens.</param>
/// <param name="Definition">An object with <c>name</c>, and perhaps <c>description</c> and <c>parameters</c>, a JSON schema of an object.</param>
/// <param name="IsStrict">Whether a schema that can't be followed is an error; else such arguments are any object.</param>
public sealed record PromptTool(string Name, JsonElement Definition, bool IsStrict)
{
    /// <summary>What arguments have to be in place of what the definition says of them; the default value is null, nothing.</summary>
    public ArgumentsGrammar? Arguments { get; init; }

    /// <summary>Tells tools apart whose calls may be different.</summary>
    internal string Key => $"{IsStrict} {Definition.GetRawText()} {Arguments?.Source}";

    /// <summary>The schema of a tool that takes nothing.</summary>
    internal static JsonElement NoParameters { get; } = JsonElement.Parse("""{"type":"object","properties":{},"additionalProperties":false}""");

    internal JsonElement? Parameters =>
        Definition.TryGetProperty("parameters"u8, out JsonElement schema) && schema.ValueKind == JsonValueKind.Object ? schema : null;
}
