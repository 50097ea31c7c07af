using System.Text.Json;
using Sluice.Inference.Generation;
using Sluice.Inference.Grammars;

namespace Sluice.Inference.ToolCalls;

/// <summary>What calls may be, as grammars.</summary>
internal static class ToolCallGrammar
{
    /// <summary>What follows the name of a call, up to the end of the call's object.</summary>
    /// <param name="dialect">How calls are written.</param>
    /// <param name="tool">The tool that is called.</param>
    /// <param name="isCompact">Whether separators stand without spaces.</param>
    /// <exception cref="GrammarException">The tool is strict, and its schema can't be followed.</exception>
    public static Grammar AfterName(ToolCallDialect dialect, PromptTool tool, bool isCompact)
    {
        var builder = new GrammarBuilder();
        string before = isCompact ? $",\"{dialect.ArgumentsKey}\":" : $", \"{dialect.ArgumentsKey}\": ";
        return builder.Build(builder.Sequence(builder.Literal(before), Arguments(builder, tool), builder.Literal("}")));
    }

    /// <summary>The arguments of a call alone.</summary>
    /// <exception cref="GrammarException">The tool is strict, and its schema can't be followed.</exception>
    public static Grammar ArgumentsOnly(PromptTool tool)
    {
        var builder = new GrammarBuilder();
        return builder.Build(Arguments(builder, tool));
    }

    /// <summary>One call or several, and nothing else.</summary>
    /// <param name="dialect">How calls are written.</param>
    /// <param name="tools">Those that may be called.</param>
    /// <param name="isOpened">Whether the prompt ends with what introduces calls.</param>
    /// <param name="allowsSeveral">Whether there may be more than one.</param>
    /// <exception cref="GrammarException">A tool is strict, and its schema can't be followed; or all are too large.</exception>
    public static Grammar Calls(ToolCallDialect dialect, IReadOnlyList<PromptTool> tools, bool isOpened, bool allowsSeveral)
    {
        var builder = new GrammarBuilder();
        GrammarPart call = builder.Choice([.. tools.Select(tool => Call(builder, dialect, tool))]);
        string opener = dialect.Openers.Count > 0 && !dialect.StartsBare ? dialect.Openers[0] : "";
        GrammarPart calls = call;
        if (dialect.IsList)
        {
            calls = Several(builder.Sequence(builder.Literal(", "), call));
            calls = builder.Sequence(builder.Literal("["), calls, builder.Literal("]"));
        }
        else if (dialect.Closer is { } closer)
        {
            GrammarPart closed = builder.Sequence(builder.Literal("\n"), call, builder.Literal("\n" + closer));
            calls = closed;
            if (allowsSeveral)
            {
                GrammarPart next = builder.Sequence(builder.Literal("\n" + opener), closed);
                calls = builder.Sequence(closed, builder.Repeat(next, 0, ToolCallLimits.ForcedCallsMax - 1));
            }
        }

        return builder.Build(isOpened || opener.Length == 0 ? calls : builder.Sequence(builder.Literal(opener), calls));

        GrammarPart Several(GrammarPart next) =>
            allowsSeveral ? builder.Sequence(call, builder.Repeat(next, 0, ToolCallLimits.ForcedCallsMax - 1)) : call;
    }

    private static GrammarPart Call(GrammarBuilder builder, ToolCallDialect dialect, PromptTool tool)
    {
        // The token between name and arguments can't be written as text; readers do without it.
        if (dialect.IsNamed && !dialect.IsList)
        {
            return builder.Sequence(builder.Literal(tool.Name), Arguments(builder, tool));
        }

        return builder.Sequence(
            builder.Literal($"{{\"name\": \"{tool.Name}\", \"{dialect.ArgumentsKey}\": "), Arguments(builder, tool), builder.Literal("}"));
    }

    private static GrammarPart Arguments(GrammarBuilder builder, PromptTool tool)
    {
        try
        {
            return builder.JsonSchema(Schema(tool));
        }
        catch (GrammarException error) when (tool.IsStrict)
        {
            throw new ToolSchemaException(tool.Name, error);
        }
        catch (GrammarException)
        {
            return builder.JsonSchema(JsonElement.Parse("{}"));
        }
    }

    // Arguments are an object. A tool that lists no property has none, where the schema alone would allow any.
    private static JsonElement Schema(PromptTool tool)
    {
        JsonElement schema = tool.Parameters ?? PromptTool.NoParameters;
        if (schema.TryGetProperty("type"u8, out JsonElement type) && !(type.ValueKind == JsonValueKind.String && type.ValueEquals("object"u8)))
        {
            throw new GrammarException(["type"], "arguments must be of the type 'object'");
        }

        bool isEmpty = schema.TryGetProperty("properties"u8, out JsonElement properties)
            && properties.ValueKind == JsonValueKind.Object && properties.GetPropertyCount() == 0
            && !schema.TryGetProperty("additionalProperties"u8, out _) && !schema.TryGetProperty("required"u8, out _);
        return isEmpty ? PromptTool.NoParameters : schema;
    }
}
