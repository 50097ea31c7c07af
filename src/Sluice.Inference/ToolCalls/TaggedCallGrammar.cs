using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>
/// What calls may be whose arguments stand in tags: parameters in the order of their schema, each as its own schema has it, texts as they are up to
/// their tag.
/// </summary>
/// <param name="tags">Of the family.</param>
internal sealed class TaggedCallGrammar(CallTags tags)
{
    /// <summary>What follows the name, with the tag that ends the call; null where the schema doesn't say which parameters there are.</summary>
    public Grammar? AfterName(PromptTool tool)
    {
        var builder = new GrammarBuilder();
        try
        {
            return Body(builder, tool) is { } body ? builder.Build(body) : null;
        }
        catch (GrammarException)
        {
            // Too large; what comes is read all the same.
            return null;
        }
    }

    /// <summary>A whole call, from the tag before its name.</summary>
    public GrammarPart Call(GrammarBuilder builder, PromptTool tool)
    {
        GrammarPart body = Body(builder, tool) ?? builder.TextUntil(tags.CallCloser);
        return builder.Sequence(builder.Literal($"{tags.CallOpener}{tool.Name}{tags.NameEnd}"), body);
    }

    private GrammarPart? Body(GrammarBuilder builder, PromptTool tool)
    {
        if (tool.Arguments != null || tool.Parameters is not { } schema || !schema.TryGetProperty("properties"u8, out JsonElement properties)
            || properties.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        var required = new HashSet<string>(StringComparer.Ordinal);
        if (schema.TryGetProperty("required"u8, out JsonElement names) && names.ValueKind == JsonValueKind.Array)
        {
            required.UnionWith(names.EnumerateArray().Where(static name => name.ValueKind == JsonValueKind.String).Select(static name => name.GetString()!));
        }

        List<GrammarPart> parts = [builder.Literal("\n")];
        foreach (JsonProperty property in properties.EnumerateObject())
        {
            GrammarPart parameter = Parameter(builder, property, schema);
            parts.Add(required.Contains(property.Name) ? parameter : builder.Repeat(parameter, 0, 1));
        }

        parts.Add(builder.Literal(tags.CallCloser));
        return builder.Sequence(parts);
    }

    private GrammarPart Parameter(GrammarBuilder builder, JsonProperty property, JsonElement schema)
    {
        string line = tags.HasLines ? "\n" : "";
        return builder.Sequence(
            builder.Literal($"{tags.KeyOpener}{property.Name}{tags.KeyCloser}{line}{(tags.ValueOpener.Length > 0 ? "\n" + tags.ValueOpener : "")}"),
            Value(builder, property.Value, schema),
            builder.Literal($"{line}{tags.ValueCloser}\n"));
    }

    private GrammarPart Value(GrammarBuilder builder, JsonElement value, JsonElement schema)
    {
        if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("enum"u8, out JsonElement texts) && texts.ValueKind == JsonValueKind.Array
            && texts.GetArrayLength() > 0 && texts.EnumerateArray().All(static text => text.ValueKind == JsonValueKind.String))
        {
            return builder.Literals([.. texts.EnumerateArray().Select(static text => text.GetString()!)]);
        }

        // What may be a text among others is one where it doesn't parse.
        if (!ToolShape.KindsOf(value).HasFlag(ValueKinds.Text) && !RefersElsewhere(value, schema))
        {
            try
            {
                return builder.Include(Grammar.FromJsonSchema(value));
            }
            catch (GrammarException)
            {
                // What can't be followed may be anything.
            }
        }

        return builder.Text(tags.ValueCloser);
    }

    // A part of the schema that stands outside of the value's own.
    private static bool RefersElsewhere(JsonElement value, JsonElement schema) =>
        (schema.TryGetProperty("$defs"u8, out _) || schema.TryGetProperty("definitions"u8, out _)) && value.GetRawText().Contains("\"$ref\"", StringComparison.Ordinal);
}
