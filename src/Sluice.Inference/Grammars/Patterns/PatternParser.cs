using System.Globalization;
using System.Text;

namespace Sluice.Inference.Grammars.Patterns;

/// <summary>How a regular expression is read.</summary>
[Flags]
internal enum PatternOptions
{
    /// <summary>As ECMA-262 has it.</summary>
    Ecma = 0,

    /// <summary>As Python has it: other escapes, and the dot is anything but a line feed.</summary>
    Python = 1,

    /// <summary>Upper and lower case are the same.</summary>
    IgnoreCase = 2,

    /// <summary>The dot is any character.</summary>
    DotIsAll = 4,
}

/// <summary>
/// Reads ECMA-262 regular expressions, of which it takes what is regular: no look-behind, no back references, no word boundaries, and
/// anchors at the ends only. Characters are code points.
/// </summary>
internal ref struct PatternParser
{
    private const string Specials = "^$\\.*+?()[]{}|/-";
    private readonly int[] _text;
    private int _at;
    private int _depth;
    private readonly PatternOptions _options;
    private int _beginning; // Where the text begins, with nothing but look-aheads before; -1 is nowhere.

    private PatternParser(string pattern, PatternOptions options = default)
    {
        _options = options;
        _text = [.. pattern.EnumerateRunes().Select(static rune => rune.Value)];
    }

    private readonly int Current => _at < _text.Length ? _text[_at] : -1;

    /// <summary>Reads a pattern that a text contains: without anchors anything may stand around it.</summary>
    /// <exception cref="GrammarException">It is no regular expression, or has what isn't supported.</exception>
    public static PatternNode ParseContained(string pattern)
    {
        var parser = new PatternParser(pattern);
        var choices = new List<PatternNode>();
        do
        {
            var parts = new List<PatternNode>();
            bool isAnchored = parser.Take('^');
            parser._beginning = isAnchored ? parser._at : -1;
            if (!isAnchored)
            {
                parts.Add(PatternNode.Anything);
            }

            parts.Add(parser.ParseSequence());
            if (!parser.Take('$'))
            {
                parts.Add(PatternNode.Anything);
            }

            choices.Add(new PatternSequence(parts));
        }
        while (parser.Take('|'));
        parser.ExpectEnd();
        return new PatternChoice(choices);
    }

    /// <summary>Reads a pattern that is all of a text: anchors at the ends of its alternatives change nothing.</summary>
    /// <exception cref="GrammarException">It is no regular expression, or has what isn't supported.</exception>
    public static PatternNode ParseWhole(string pattern, PatternOptions options = default)
    {
        var parser = new PatternParser(pattern, options);
        var choices = new List<PatternNode>();
        do
        {
            _ = parser.Take('^');
            parser._beginning = parser._at;
            choices.Add(parser.ParseSequence());
            _ = parser.Take('$');
        }
        while (parser.Take('|'));
        parser.ExpectEnd();
        return choices.Count == 1 ? choices[0] : new PatternChoice(choices);
    }

    private readonly void ExpectEnd()
    {
        if (_at < _text.Length)
        {
            throw Unsupported(Current is '^' or '$' ? "an anchor that isn't at an end" : $"'{Rune(Current)}'");
        }
    }

    private static string Rune(int value) => value < 0 ? "its end" : new Rune(value).ToString();

    private readonly GrammarException Unsupported(string what) =>
        new(FormattableString.Invariant($"'pattern' has {what} at character {_at + 1}, which is not supported"));

    private readonly bool Has(PatternOptions option) => (_options & option) != 0;

    private readonly CharacterSet Fold(CharacterSet set) => Has(PatternOptions.IgnoreCase) ? set.IgnoreCase() : set;

    private bool Take(int character)
    {
        bool found = Current == character;
        _at += found ? 1 : 0;
        return found;
    }

    private PatternNode ParseChoice()
    {
        var choices = new List<PatternNode> { ParseSequence() };
        while (Take('|'))
        {
            choices.Add(ParseSequence());
        }

        return choices.Count == 1 ? choices[0] : new PatternChoice(choices);
    }

    private PatternNode ParseSequence()
    {
        var parts = new List<PatternNode>();
        while (Current is not (-1 or '|' or ')' or '^' or '$'))
        {
            parts.Add(ParseQuantified());
        }

        return parts.Count == 1 ? parts[0] : new PatternSequence(parts);
    }

    private PatternNode ParseQuantified()
    {
        PatternNode atom = ParseAtom();
        (int Min, int? Max)? count = Current switch
        {
            '*' => (0, null),
            '+' => (1, null),
            '?' => (0, 1),
            '{' => ParseCount(),
            _ => null,
        };
        if (count is not { } found)
        {
            return atom;
        }

        _at++;
        _ = Take('?'); // A lazy quantifier accepts the same texts.
        if (Current is '*' or '+' or '?' or '{')
        {
            throw Unsupported("a quantifier without anything before it");
        }

        return new PatternRepeat(atom, found.Min, found.Max);
    }

    // Stops at the closing brace.
    private (int Min, int? Max) ParseCount()
    {
        _at++;
        int min = ParseNumber();
        int? max = min;
        if (Take(','))
        {
            max = Current == '}' ? null : ParseNumber();
        }

        if (Current != '}' || max < min)
        {
            throw Unsupported("a count that can't be read");
        }

        return (min, max);
    }

    private int ParseNumber()
    {
        int value = -1;
        while (Current is >= '0' and <= '9')
        {
            value = (Math.Max(value, 0) * 10) + Current - '0';
            if (value > GrammarLimits.PatternRepeatMax)
            {
                throw Unsupported(FormattableString.Invariant($"a count above {GrammarLimits.PatternRepeatMax}"));
            }

            _at++;
        }

        return value >= 0 ? value : throw Unsupported("a count that can't be read");
    }

    private PatternNode ParseAtom()
    {
        int character = Current;
        _at++;
        switch (character)
        {
            case '(':
                return ParseGroup();
            case '[':
                return new PatternSet(ParseClass());
            case '.':
                return new PatternSet(Has(PatternOptions.DotIsAll) ? CharacterSet.All
                    : Has(PatternOptions.Python) ? CharacterSet.NoLineFeed : CharacterSet.NoLineEnd);
            case '\\':
                return new PatternSet(Fold(ParseEscape(out _)));
            case '*' or '+' or '?' or '{':
                _at--;
                throw Unsupported($"'{Rune(character)}'");
            default:
                return new PatternSet(Fold(CharacterSet.Of((character, character))));
        }
    }

    private PatternNode ParseGroup()
    {
        if (Take('?') && !Take(':'))
        {
            _ = Has(PatternOptions.Python) && Take('P');
            if (Current is '=' or '!')
            {
                return ParseLook();
            }

            int end = Current == '<' ? Array.IndexOf(_text, '>', _at) : -1;
            if (end < 0 || _text[_at + 1] is '=' or '!')
            {
                throw Unsupported("a look-behind or an unknown group");
            }

            _at = end + 1;
        }

        Deepen();
        PatternNode node = ParseChoice();
        _depth--;
        if (Current is '^' or '$')
        {
            throw Unsupported("an anchor in a group");
        }

        return Take(')') ? node : throw Unsupported("a group without an end");
    }

    // Behind "(?".
    private PatternLook ParseLook()
    {
        bool isFirst = _at - 2 == _beginning;
        bool isNegative = Current == '!';
        _at++;
        _ = isFirst && Take('^');
        Deepen();
        PatternNode ahead = ParseChoice();
        _depth--;
        bool isWhole = Take('$');
        if (!Take(')'))
        {
            throw Unsupported("a look-ahead that can't be read");
        }

        _beginning = isFirst ? _at : _beginning;
        return new PatternLook(ahead, isNegative, isWhole);
    }

    private void Deepen()
    {
        if (++_depth > GrammarLimits.PatternDepthMax)
        {
            throw Unsupported(FormattableString.Invariant($"more than {GrammarLimits.PatternDepthMax} groups in one another"));
        }
    }

    private CharacterSet ParseClass()
    {
        bool isNegated = Take('^');
        var ranges = new List<(int, int)>();
        if (Has(PatternOptions.Python) && Take(']'))
        {
            ranges.Add((']', ']'));
        }

        while (!Take(']'))
        {
            CharacterSet first = ParseClassMember(out int character);
            if (Current != '-' || _at + 1 >= _text.Length || _text[_at + 1] == ']')
            {
                ranges.AddRange(first.Ranges);
                continue;
            }

            _at++;
            CharacterSet last = ParseClassMember(out int lastCharacter);
            if (character < 0 || lastCharacter < 0)
            {
                ranges.AddRange(first.Ranges.Concat(last.Ranges).Append(('-', '-')));
            }
            else if (lastCharacter < character)
            {
                throw Unsupported("a range out of order");
            }
            else
            {
                ranges.Add((character, lastCharacter));
            }
        }

        CharacterSet set = Fold(CharacterSet.Of(ranges));
        return isNegated ? set.Complement() : set;
    }

    private CharacterSet ParseClassMember(out int character)
    {
        character = Current;
        if (character < 0)
        {
            throw Unsupported("a class without an end");
        }

        _at++;
        if (character == '\\')
        {
            if (Take('b'))
            {
                character = '\b';
            }
            else
            {
                return ParseEscape(out character);
            }
        }

        return CharacterSet.Of((character, character));
    }

    // After the backslash. The character is -1 for a set of several.
    private CharacterSet ParseEscape(out int character)
    {
        int escape = Current;
        _at++;
        character = -1;
        switch (escape)
        {
            case 'd':
                return CharacterSet.Digit;
            case 'D':
                return CharacterSet.Digit.Complement();
            case 'w':
                return CharacterSet.Word;
            case 'W':
                return CharacterSet.Word.Complement();
            case 's':
                return CharacterSet.Space;
            case 'S':
                return CharacterSet.Space.Complement();
        }

        character = escape switch
        {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\f',
            'v' => '\v',
            '0' when Current is not (>= '0' and <= '9') => 0,
            'x' => ParseHex(2),
            'u' when Take('{') => ParseBracedHex(),
            'u' => ParseUnit(),
            >= 0 when escape < 128 && Specials.Contains((char)escape) => escape,
            '\n' or (>= ' ' and < 127) when Has(PatternOptions.Python) && !char.IsAsciiLetterOrDigit((char)escape) => escape,
            _ => throw Unsupported($"the escape '\\{Rune(escape)}'"),
        };
        return CharacterSet.Of((character, character));
    }

    private int ParseUnit()
    {
        int unit = ParseHex(4);
        if (unit is >= 0xD800 and <= 0xDBFF && _at + 1 < _text.Length && _text[_at] == '\\' && _text[_at + 1] == 'u')
        {
            _at += 2;
            int low = ParseHex(4);
            return low is >= 0xDC00 and <= 0xDFFF ? char.ConvertToUtf32((char)unit, (char)low) : throw Unsupported("half a surrogate pair");
        }

        return unit is >= 0xD800 and <= 0xDFFF ? throw Unsupported("half a surrogate pair") : unit;
    }

    private int ParseBracedHex()
    {
        int end = Array.IndexOf(_text, '}', _at);
        if (end < _at + 1 || end > _at + 6)
        {
            throw Unsupported("a character that can't be read");
        }

        int value = ParseHex(end - _at);
        _at++;
        return value <= CharacterSet.Last ? value : throw Unsupported("a character that can't be read");
    }

    private int ParseHex(int digits)
    {
        var text = new StringBuilder();
        for (int i = 0; i < digits && Current is >= 0 and < 128; i++)
        {
            text.Append((char)Current);
            _at++;
        }

        return text.Length == digits && int.TryParse(text.ToString(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            ? value
            : throw Unsupported("a character that can't be read");
    }
}
