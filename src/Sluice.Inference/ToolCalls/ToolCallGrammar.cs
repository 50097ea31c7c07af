using System.Text.Json;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>What calls may be, as grammars. Immutable.</summary>
/// <param name="dialect">How calls are written.</param>
/// <param name="markTokens">Texts of its syntax that are tokens without text in the model's vocabulary, with their ids.</param>
/// <param name="vocabulary">What the model can write.</param>
internal sealed class ToolCallGrammar(ToolCallDialect dialect, IReadOnlyDictionary<string, int> markTokens, WritableBytes vocabulary)
{
    /// <summary>What follows the name of a call, up to the end of the call's object.</summary>
    /// <param name="tool">The tool that is called.</param>
    /// <param name="isCompact">Whether separators stand without spaces.</param>
    /// <exception cref="ToolSchemaException">The tool is strict, and its schema can't be followed.</exception>
    public Grammar AfterName(PromptTool tool, bool isCompact)
    {
        var builder = new GrammarBuilder();
        string before = isCompact ? $",\"{dialect.ArgumentsKey}\":" : $", \"{dialect.ArgumentsKey}\": ";
        return builder.Build(builder.Sequence(builder.Literal(before), builder.Include(ArgumentsOnly(tool)), builder.Literal("}")));
    }

    /// <summary>The arguments of a call alone.</summary>
    /// <exception cref="ToolSchemaException">The tool is strict, and its schema can't be followed.</exception>
    public Grammar ArgumentsOnly(PromptTool tool)
    {
        if (tool.Arguments is { } arguments)
        {
            return arguments.Grammar;
        }

        try
        {
            Grammar grammar = Grammar.FromJsonSchema(Schema(tool), tool.IsStrict);
            return vocabulary.FindFault(grammar) is { } fault ? throw fault : grammar;
        }
        catch (GrammarException error) when (tool.IsStrict)
        {
            throw new ToolSchemaException(tool.Name, error);
        }
        catch (GrammarException)
        {
            return Grammar.JsonObject;
        }
    }

    /// <summary>What follows the name of a call that is no JSON; null where nothing is asked of it.</summary>
    public Grammar? Transcribed(PromptTool tool)
    {
        if (dialect.Named != null)
        {
            return ArgumentsOnly(tool);
        }

        if (dialect.Tags is not { } tags || tags.NameEnd.Length == 0)
        {
            return null;
        }

        return new TaggedCallGrammar(tags).AfterName(tool) is { } grammar && vocabulary.FindFault(grammar) is null ? grammar : null;
    }

    /// <summary>One call or several, and nothing else.</summary>
    /// <param name="tools">Those that may be called.</param>
    /// <param name="isOpened">Whether the prompt ends with what introduces calls.</param>
    /// <param name="allowsSeveral">Whether there may be more than one.</param>
    /// <exception cref="GrammarException">A tool is strict, and its schema can't be followed; or all are too large.</exception>
    public Grammar Calls(IReadOnlyList<PromptTool> tools, bool isOpened, bool allowsSeveral)
    {
        var builder = new GrammarBuilder();
        GrammarPart call = builder.Choice([.. tools.Select(Call)]);
        GrammarPart[] opener = dialect.IsHarmony ? [Mark(ToolCallDialect.Channel), builder.Literal(dialect.Openers[0][ToolCallDialect.Channel.Length..])]
            : dialect.Openers.Count > 0 && !dialect.StartsBare ? [Mark(dialect.Openers[0])] : [];
        GrammarPart calls;
        if (dialect.IsHarmony)
        {
            // A message ends with its token, and the answer with it.
            calls = call;
        }
        else if (dialect.Literals is { } literals)
        {
            GrammarPart rest = builder.Repeat(builder.Choice(builder.Pattern("[\\s\\S]"), Mark(literals.Quote.Length > 0 ? literals.Quote : literals.Closer)));
            calls = builder.Sequence(builder.Literal(literals.ListOpener), call, literals.Quote.Length > 0 ? builder.Sequence(rest, Mark(literals.Closer)) : builder.Sequence(builder.Text(literals.Closer), Mark(literals.Closer)));
        }
        else if (dialect.Named is { } named)
        {
            calls = builder.Sequence(Several(call, call), Mark(named.Closer));
        }
        else if (dialect.Tags is { Closer.Length: 0 })
        {
            calls = Several(call, [builder.Literal("\n"), .. opener, call]);
        }
        else if (dialect.IsList)
        {
            calls = builder.Sequence(builder.Literal("["), Several(call, builder.Literal(", "), call), builder.Literal("]"));
        }
        else if (dialect.Closer is { } closer)
        {
            GrammarPart closed = builder.Sequence(builder.Literal("\n"), call, builder.Literal("\n"), Mark(closer));
            calls = Several(closed, [builder.Literal("\n"), .. opener, closed]);
        }
        else
        {
            calls = dialect.Separator is { } separator ? Several(call, builder.Literal(separator), call)
                : dialect.StartsBare ? call : Several(call, [.. opener, call]);
        }

        return builder.Build(isOpened ? calls : builder.Sequence([.. opener, calls]));

        GrammarPart Several(GrammarPart first, params GrammarPart[] next) => allowsSeveral
            ? builder.Sequence(first, builder.Repeat(builder.Sequence(next), 0, ToolCallLimits.ForcedCallsMax - 1))
            : first;

        GrammarPart Mark(string text) => markTokens.TryGetValue(text, out int token) ? builder.Token(token) : builder.Literal(text);

        GrammarPart Call(PromptTool tool)
        {
            if (dialect.Tags is { } tags)
            {
                return new TaggedCallGrammar(tags).Call(builder, tool);
            }

            if (dialect.Named is { } named)
            {
                return builder.Sequence(Mark(named.CallOpener), builder.Literal(tool.Name), Mark(named.Separator), builder.Include(ArgumentsOnly(tool)), Mark(named.CallCloser));
            }

            if (dialect.Literals is { } literals)
            {
                return builder.Literal($"{literals.CallOpener}{tool.Name}{literals.ArgumentsOpener}");
            }

            if (dialect.IsHarmony)
            {
                return builder.Sequence(
                    builder.Literal(tool.Name + " "), Mark("<|constrain|>"), builder.Literal("json"), Mark(ToolCallDialect.MessageMark), builder.Include(ArgumentsOnly(tool)));
            }

            GrammarPart arguments = builder.Include(ArgumentsOnly(tool));
            return dialect.IsNamed && !dialect.IsList
                ? builder.Sequence(builder.Literal(tool.Name), Mark(ToolCallDialect.ArgumentsMark), arguments)
                : builder.Sequence(builder.Literal($"{{\"name\": \"{tool.Name}\", \"{dialect.ArgumentsKey}\": "), arguments, builder.Literal("}"));
        }
    }

    /// <summary>Calls, or a text of a grammar of its own.</summary>
    public static Grammar CallsOr(Grammar text, Grammar calls)
    {
        var builder = new GrammarBuilder();
        return builder.Build(builder.Choice(builder.Include(text), builder.Include(calls)));
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
