using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Lark;

/// <summary>
/// Makes one pattern of a Lark grammar whose rules don't contain themselves. Terminals are matched wherever a rule has them, and not the longest
/// one first: a text that a lexer would take apart in another way is accepted too.
/// </summary>
internal sealed class LarkCompiler
{
    private const string Start = "start";

    private readonly LarkParser _grammar;
    private readonly Dictionary<string, Part> _known = new(StringComparer.Ordinal);
    private readonly HashSet<string> _open = new(StringComparer.Ordinal);
    private readonly Part? _ignored;
    private int _depth;

    private LarkCompiler(LarkParser grammar)
    {
        _grammar = grammar;
        if (grammar.Ignored.Count > 0)
        {
            _ignored = Repeat(Compile(new LarkChoice(grammar.Ignored), isTerminal: true), 0, null);
        }
    }

    /// <summary>What the rule <c>start</c> accepts.</summary>
    /// <exception cref="GrammarException">The definition can't be read, is too large, or has rules that contain themselves.</exception>
    public static PatternNode Compile(string definition)
    {
        var compiler = new LarkCompiler(LarkParser.Read(definition));
        Part start = compiler.Find(Start, isTerminal: false);
        return compiler._ignored is { } ignored ? Join([start, ignored]).Pattern : start.Pattern;
    }

    // A rule that is used twice is one object, but counts twice: whoever walks through the pattern meets it as often.
    private readonly record struct Part(PatternNode Pattern, int Size);

    private Part Find(string name, bool isTerminal)
    {
        if (_known.TryGetValue(name, out Part known))
        {
            return known;
        }

        if (!_grammar.Definitions.TryGetValue(name, out LarkNode? meaning))
        {
            throw new GrammarException($"the grammar has no rule or terminal '{name}'");
        }

        if (!_open.Add(name))
        {
            throw new GrammarException($"'{name}' contains itself, which is not supported");
        }

        Part part = Compile(meaning, isTerminal);
        _open.Remove(name);
        _known.Add(name, part);
        return part;
    }

    private Part Compile(LarkNode node, bool isTerminal)
    {
        if (++_depth > GrammarLimits.LarkNestingMax)
        {
            throw new GrammarException(FormattableString.Invariant($"more than {GrammarLimits.LarkNestingMax} parts of the grammar lie in one another"));
        }

        Part part = node switch
        {
            LarkName { IsTerminal: false } when isTerminal => throw new GrammarException("a terminal refers to a rule"),
            LarkName { IsTerminal: true } name when !isTerminal => Skip(Find(name.Name, isTerminal: true)),
            LarkName name => Find(name.Name, isTerminal),
            LarkPattern written => isTerminal ? Measure(written.Pattern) : Skip(Measure(written.Pattern)),
            LarkSequence sequence => Join([.. sequence.Parts.Select(one => Compile(one, isTerminal))]),
            LarkChoice choice => Choose([.. choice.Parts.Select(one => Compile(one, isTerminal))]),
            LarkRepeat repeat => Repeat(Compile(repeat.Part, isTerminal), repeat.Min, repeat.Max),
            _ => throw new GrammarException($"unknown part {node}"),
        };
        _depth--;
        return part;
    }

    // What is ignored stands before every terminal of a rule.
    private Part Skip(Part terminal) => _ignored is { } ignored ? Join([ignored, terminal]) : terminal;

    private static Part Join(Part[] parts) => new(new PatternSequence([.. parts.Select(static part => part.Pattern)]), Sum(parts));

    private static Part Choose(Part[] parts) => new(new PatternChoice([.. parts.Select(static part => part.Pattern)]), Sum(parts));

    private static Part Repeat(Part part, int min, int? max) =>
        new(new PatternRepeat(part.Pattern, min, max), Check(1 + ((long)part.Size * Math.Max(1, max ?? min + 1))));

    private static Part Measure(PatternNode pattern) => new(pattern, Check(pattern.CountParts()));

    private static int Sum(Part[] parts) => Check(1 + parts.Sum(static part => (long)part.Size));

    private static int Check(long size) => size <= GrammarLimits.PatternNfaStatesMax
        ? (int)size
        : throw new GrammarException(FormattableString.Invariant($"the grammar has more than {GrammarLimits.PatternNfaStatesMax} parts"));
}
