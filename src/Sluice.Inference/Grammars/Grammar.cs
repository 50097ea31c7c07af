using System.Text.Json;

namespace Sluice.Inference.Grammars;

/// <summary>
/// What an answer may be: a pushdown automaton over bytes. Every beginning that it accepts can be completed. Immutable; one grammar serves
/// any number of answers, models and threads.
/// </summary>
public sealed class Grammar
{
    private readonly GrammarNode[] _nodes;

    internal Grammar(GrammarNode[] nodes, int root)
    {
        _nodes = nodes;
        Root = root;
    }

    /// <summary>Any JSON object.</summary>
    public static Grammar JsonObject { get; } = FromJsonSchema(JsonElement.Parse("{}"));

    internal int Root { get; }

    internal int NodeCount => _nodes.Length;

    /// <summary>
    /// Values that a JSON schema accepts, written compactly or with a space or an indented line after each separator. An empty schema is any
    /// object.
    /// </summary>
    /// <param name="schema">The schema; not used after the call.</param>
    /// <param name="isStrict">Whether a format that isn't known is refused. The default value is false: it is an annotation.</param>
    /// <exception cref="GrammarException">The schema asks for what isn't supported, is too large, or accepts nothing.</exception>
    public static Grammar FromJsonSchema(JsonElement schema, bool isStrict = false)
    {
        var builder = new GrammarBuilder();
        return builder.Build(builder.JsonSchema(schema, isStrict));
    }

    /// <summary>Texts that a regular expression of ECMA-262 matches from their beginning to their end.</summary>
    /// <param name="pattern">The expression; anchors at its ends change nothing.</param>
    /// <exception cref="GrammarException">It can't be read, has what isn't regular, is too large, or matches nothing.</exception>
    public static Grammar FromPattern(string pattern)
    {
        var builder = new GrammarBuilder();
        return builder.Build(builder.Pattern(pattern));
    }

    /// <summary>One of some texts.</summary>
    /// <param name="texts">At least one.</param>
    /// <exception cref="GrammarException">They are too long.</exception>
    public static Grammar FromChoices(IReadOnlyList<string> texts)
    {
        var builder = new GrammarBuilder();
        return builder.Build(builder.Literals(texts));
    }

    /// <summary>Whether a text is a whole answer.</summary>
    /// <param name="utf8">The text.</param>
    /// <exception cref="GrammarException">Finding out takes too many steps.</exception>
    public bool Accepts(ReadOnlySpan<byte> utf8)
    {
        var matcher = new GrammarMatcher(this);
        while (!utf8.IsEmpty)
        {
            // In parts as long as tokens, behind which the matcher clears away.
            ReadOnlySpan<byte> part = utf8[..Math.Min(utf8.Length, GrammarLimits.TokenBytesMax)];
            if (!matcher.TryAdvance(part))
            {
                return false;
            }

            utf8 = utf8[part.Length..];
        }

        return matcher.IsComplete;
    }

    internal GrammarNode Node(int index) => _nodes[index];
}
