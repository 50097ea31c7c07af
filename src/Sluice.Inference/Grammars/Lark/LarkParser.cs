using System.Globalization;
using System.Text;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Lark;

/// <summary>
/// Reads the definition of a Lark grammar: rules, terminals, what is ignored, and imports of common terminals. Templates, declared terminals and
/// imports of other files are refused; priorities, aliases and marks for the tree don't change what a grammar accepts.
/// </summary>
internal sealed class LarkParser
{
    private readonly List<LarkToken> _tokens;
    private int _at;
    private int _depth;

    private LarkParser(string definition) => _tokens = LarkLexer.Read(definition);

    /// <summary>Rules and terminals by name.</summary>
    public Dictionary<string, LarkNode> Definitions { get; } = new(StringComparer.Ordinal);

    /// <summary>What may stand before and behind every terminal.</summary>
    public List<LarkNode> Ignored { get; } = [];

    private LarkToken Current => _tokens[_at];

    /// <exception cref="GrammarException">It can't be read, or has what isn't supported.</exception>
    public static LarkParser Read(string definition)
    {
        var parser = new LarkParser(definition);
        while (parser.Current.Kind != LarkTokenKind.End)
        {
            parser.ReadStatement();
        }

        return parser;
    }

    private GrammarException Unsupported(string what) => new(FormattableString.Invariant($"line {Current.Line} of the grammar has {what}"));

    // There is always one: nothing is read beyond the end.
    private LarkToken Next() => Current.Kind == LarkTokenKind.End ? Current : _tokens[_at++];

    private bool Is(string sign) => Current.Kind == LarkTokenKind.Sign && Current.Value == sign;

    private bool Take(string sign)
    {
        bool found = Is(sign);
        _at += found ? 1 : 0;
        return found;
    }

    private void Expect(string sign)
    {
        if (!Take(sign))
        {
            throw Unsupported($"'{Current.Value}' where '{sign}' is expected");
        }
    }

    private string ExpectName() => Current.Kind is LarkTokenKind.Rule or LarkTokenKind.Terminal
        ? Next().Value : throw Unsupported($"'{Current.Value}' where a name is expected");

    private void ExpectLineEnd()
    {
        if (Current.Kind != LarkTokenKind.LineEnd)
        {
            throw Unsupported($"'{Current.Value}' where the line should end");
        }

        _at++;
    }

    private void ReadStatement()
    {
        if (Current.Kind == LarkTokenKind.LineEnd)
        {
            _at++;
            return;
        }

        if (Current.Kind == LarkTokenKind.Directive)
        {
            ReadDirective();
            ExpectLineEnd();
            return;
        }

        while (Take("?") || Take("!"))
        {
        }

        string name = ExpectName();
        if (Take("."))
        {
            _ = ReadNumber();
        }

        Expect(":");
        Define(name, ReadChoice());
        ExpectLineEnd();
    }

    private void Define(string name, LarkNode meaning)
    {
        if (!Definitions.TryAdd(name, meaning))
        {
            throw Unsupported($"'{name}' a second time");
        }
    }

    private void ReadDirective()
    {
        string directive = Next().Value;
        switch (directive)
        {
            case "ignore":
                Ignored.Add(ReadChoice());
                break;
            case "import":
                ReadImport();
                break;
            default:
                throw Unsupported($"'%{directive}', which is not supported");
        }
    }

    private void ReadImport()
    {
        if (Next() is not { Kind: LarkTokenKind.Rule, Value: "common" })
        {
            throw Unsupported("an import of something other than 'common'");
        }

        if (Take("("))
        {
            do
            {
                Import(ExpectName(), null);
            }
            while (Take(","));
            Expect(")");
            return;
        }

        Expect(".");
        string name = ExpectName();
        Import(name, Take("->") ? ExpectName() : null);
    }

    private void Import(string name, string? alias) => Define(
        alias ?? name,
        CommonTerminals.Find(name) is { } pattern ? new LarkPattern(pattern) : throw Unsupported($"an import of '{name}', which 'common' doesn't have"));

    private LarkNode ReadChoice()
    {
        if (++_depth > GrammarLimits.LarkDepthMax)
        {
            throw Unsupported(FormattableString.Invariant($"more than {GrammarLimits.LarkDepthMax} groups in one another"));
        }

        var parts = new List<LarkNode>();
        do
        {
            parts.Add(ReadSequence());
            if (Take("->"))
            {
                _ = ExpectName();
            }
        }
        while (Take("|"));
        _depth--;
        return parts.Count == 1 ? parts[0] : new LarkChoice(parts);
    }

    private LarkNode ReadSequence()
    {
        var parts = new List<LarkNode>();
        while (Current.Kind is LarkTokenKind.Rule or LarkTokenKind.Terminal or LarkTokenKind.Text or LarkTokenKind.Pattern || Is("(") || Is("["))
        {
            parts.Add(ReadRepeat());
        }

        return parts.Count == 1 ? parts[0] : new LarkSequence(parts);
    }

    private LarkNode ReadRepeat()
    {
        LarkNode part = ReadPart();
        if (Take("?"))
        {
            return new LarkRepeat(part, 0, 1);
        }

        if (Take("*"))
        {
            return new LarkRepeat(part, 0, null);
        }

        if (Take("+"))
        {
            return new LarkRepeat(part, 1, null);
        }

        if (!Take("~"))
        {
            return part;
        }

        int min = ReadNumber();
        int max = Take("..") ? ReadNumber() : min;
        return max >= min ? new LarkRepeat(part, min, max) : throw Unsupported("a count that can't be read");
    }

    private LarkNode ReadPart()
    {
        LarkToken token = Next();
        switch (token.Kind)
        {
            case LarkTokenKind.Rule or LarkTokenKind.Terminal:
                return new LarkName(token.Value, token.Kind == LarkTokenKind.Terminal);
            case LarkTokenKind.Text when Take(".."):
                return new LarkPattern(Range(token, Next()));
            case LarkTokenKind.Text:
                return new LarkPattern(Text(token));
            case LarkTokenKind.Pattern:
                return new LarkPattern(Pattern(token));
            case LarkTokenKind.Sign when token.Value is "(" or "[":
                LarkNode inner = ReadChoice();
                Expect(token.Value == "(" ? ")" : "]");
                return token.Value == "(" ? inner : new LarkRepeat(inner, 0, 1);
            default:
                throw Unsupported($"'{token.Value}', which has no meaning there");
        }
    }

    private static PatternSequence Text(LarkToken token) => new(
    [
        .. token.Value.EnumerateRunes().Select(rune => CharacterSet.Of((rune.Value, rune.Value)))
            .Select(set => new PatternSet(token.Flags.Contains('i') ? set.IgnoreCase() : set)),
    ]);

    private PatternSet Range(LarkToken first, LarkToken last)
    {
        Rune[] ends = [.. first.Value.EnumerateRunes(), .. last.Value.EnumerateRunes()];
        return last.Kind == LarkTokenKind.Text && ends is [var from, var to] && from <= to
            ? new PatternSet(CharacterSet.Of((from.Value, to.Value)))
            : throw Unsupported("a range that can't be read");
    }

    private PatternNode Pattern(LarkToken token)
    {
        var options = PatternOptions.Python;
        foreach (char flag in token.Flags)
        {
            options |= flag switch
            {
                'i' => PatternOptions.IgnoreCase,
                's' => PatternOptions.DotIsAll,
                // They change anchors, which are refused, and what is Unicode, which everything is.
                'm' or 'u' => PatternOptions.Python,
                _ => throw Unsupported($"the flag '{flag}' behind a regular expression, which is not supported"),
            };
        }

        return PatternParser.ParseWhole(token.Value, options);
    }

    private int ReadNumber()
    {
        LarkToken token = Next();
        return token.Kind == LarkTokenKind.Number && int.TryParse(token.Value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number <= GrammarLimits.PatternRepeatMax ? number : throw Unsupported("a count that can't be read");
    }
}
