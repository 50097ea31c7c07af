using System.Text;
using System.Text.Json;
using Sluice.Inference.Grammars.Lark;
using Sluice.Inference.Grammars.Machines;
using Sluice.Inference.Grammars.Patterns;
using Sluice.Inference.Grammars.Schemas;

namespace Sluice.Inference.Grammars;

/// <summary>
/// Puts grammars together, as for a tool call: a literal, one of some schemas, a literal. Parts belong to the builder that made them and may
/// be used several times. Not safe for several threads at a time.
/// </summary>
public sealed class GrammarBuilder
{
    private readonly GrammarGraph _graph = new();

    /// <summary>A text as it is.</summary>
    public GrammarPart Literal(string text) => new(this, _graph.Literal(Encoding.UTF8.GetBytes(text)));

    /// <summary>One of some texts.</summary>
    /// <param name="texts">At least one; the same one may be there twice.</param>
    public GrammarPart Literals(IReadOnlyList<string> texts) => new(this, _graph.Literal([.. texts.Select(Encoding.UTF8.GetBytes)]));

    /// <summary>A text that a regular expression matches as a whole; see <see cref="Grammar.FromPattern"/>.</summary>
    /// <exception cref="GrammarException">It can't be read, has what isn't regular, or is too large.</exception>
    public GrammarPart Pattern(string pattern) =>
        new(this, PatternDfa.Compile(PatternParser.ParseWhole(pattern), _graph.Budget) is { } texts ? _graph.Machine(new PatternTextMachine(texts)) : _graph.Choice());

    /// <summary>A JSON string whose text a Lark grammar accepts.</summary>
    /// <param name="definition">
    /// The grammar. Its rules must not contain themselves; where several terminals fit, each may be meant, not the longest alone.
    /// </param>
    /// <exception cref="GrammarException">It can't be read, has what isn't supported, or is too large.</exception>
    public GrammarPart LarkString(string definition) =>
        new(this, PatternDfa.Compile(LarkCompiler.Compile(definition), _graph.Budget) is { } texts ? _graph.Machine(new PatternStringMachine(texts)) : _graph.Choice());

    /// <summary>A JSON object with one member.</summary>
    /// <param name="name">Its name, which needs no escapes.</param>
    /// <param name="value">Its value.</param>
    public GrammarPart Object(string name, GrammarPart value) => new(this, _graph.Sequence(
        _graph.Machine(JsonMachines.OpenObject), _graph.Literal(Encoding.UTF8.GetBytes($"\"{name}\"")), _graph.Machine(JsonMachines.Colon), Nodes([value])[0],
        _graph.Machine(JsonMachines.CloseObject)));

    /// <summary>A token without text.</summary>
    /// <param name="token">Its id; the grammar serves models with this vocabulary only.</param>
    public GrammarPart Token(int token) => new(this, _graph.Machine(new TokenMachine(token)));

    /// <summary>All that another grammar accepts.</summary>
    public GrammarPart Include(Grammar grammar) => new(this, _graph.Include(grammar));

    /// <summary>Parts one after the other.</summary>
    public GrammarPart Sequence(params IReadOnlyList<GrammarPart> parts) => new(this, _graph.Sequence(Nodes(parts)));

    /// <summary>One of several parts.</summary>
    public GrammarPart Choice(params IReadOnlyList<GrammarPart> parts) => new(this, _graph.Choice(Nodes(parts)));

    /// <summary>A part that is not empty, a number of times.</summary>
    /// <param name="part">What is repeated.</param>
    /// <param name="min">Fewest times.</param>
    /// <param name="max">Most times; null is any number.</param>
    public GrammarPart Repeat(GrammarPart part, int min = 0, int? max = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(min);
        ArgumentOutOfRangeException.ThrowIfLessThan(max ?? min, min);
        return new(this, _graph.Repeat(Nodes([part])[0], min, max ?? int.MaxValue));
    }

    /// <summary>Values that a JSON schema accepts; see <see cref="Grammar.FromJsonSchema"/>.</summary>
    /// <param name="schema">The schema.</param>
    /// <param name="isStrict">Whether a format that isn't known is refused.</param>
    /// <exception cref="GrammarException">The schema asks for what isn't supported or is too large.</exception>
    public GrammarPart JsonSchema(JsonElement schema, bool isStrict = false) =>
        new(this, new JsonSchemaCompiler(_graph, schema, isStrict).Compile());

    /// <summary>Any text in UTF-8, which may be empty.</summary>
    /// <param name="without">A text that doesn't occur in it; not empty.</param>
    public GrammarPart Text(string without) => new(this, _graph.Machine(new TextMachine(Encoding.UTF8.GetBytes(without), includesEnd: false)));

    /// <summary>Any text in UTF-8 up to and with the first occurrence of an end.</summary>
    /// <param name="end">The text that ends it; not empty.</param>
    public GrammarPart TextUntil(string end) => new(this, _graph.Machine(new TextMachine(Encoding.UTF8.GetBytes(end), includesEnd: true)));

    /// <summary>Makes the grammar whose answers are a part.</summary>
    /// <exception cref="GrammarException">Nothing can match the part, or what can be empty is repeated.</exception>
    public Grammar Build(GrammarPart root) => _graph.Build(Nodes([root])[0]);

    private int[] Nodes(IReadOnlyList<GrammarPart> parts) => [.. parts.Select(part => ReferenceEquals(part.Builder, this)
        ? part.Node
        : throw new ArgumentException("The part belongs to another builder.", nameof(parts)))];
}

/// <summary>A part of a grammar that is being made by a <see cref="GrammarBuilder"/>.</summary>
public readonly struct GrammarPart
{
    internal GrammarPart(GrammarBuilder builder, int node)
    {
        Builder = builder;
        Node = node;
    }

    internal GrammarBuilder Builder { get; }

    internal int Node { get; }
}
