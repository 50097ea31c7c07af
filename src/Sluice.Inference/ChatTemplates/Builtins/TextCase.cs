using System.Text;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>
/// Upper and lower case by Unicode's simple mappings, one code point to one, so that marks stay in place. (Python also knows
/// mappings to several, such as ß to SS; of these none is used by a chat template.)
/// </summary>
internal static class TextCase
{
    public static TextValue Upper(TextValue text) => text.WithText(text.Text.ToUpperInvariant());

    public static TextValue Lower(TextValue text) => text.WithText(text.Text.ToLowerInvariant());

    public static TextValue Swap(TextValue text) =>
        Map(text, (rune, _) => Rune.IsUpper(rune) ? Rune.ToLowerInvariant(rune) : Rune.ToUpperInvariant(rune));

    /// <summary>The first character in upper case, the others in lower case.</summary>
    public static TextValue Capitalize(TextValue text)
    {
        bool isFirst = true;
        return Map(text, (rune, _) =>
        {
            var mapped = isFirst ? Rune.ToUpperInvariant(rune) : Rune.ToLowerInvariant(rune);
            isFirst = false;
            return mapped;
        });
    }

    /// <summary>Python's <c>str.title</c>: a letter after a letter in lower case, any other letter in upper case.</summary>
    public static TextValue Title(TextValue text) => Map(text, (rune, previous) =>
        previous is { } before && HasCase(before) ? Rune.ToLowerInvariant(rune) : Rune.ToUpperInvariant(rune));

    /// <summary>Jinja's <c>title</c> filter: words begin after blanks, hyphens and opening brackets only.</summary>
    public static TextValue TitleWords(TextValue text) => Map(text, (rune, previous) =>
        previous is not { } before || IsWordBreak(before) ? Rune.ToUpperInvariant(rune) : Rune.ToLowerInvariant(rune));

    /// <summary>True when there is a letter with case and none of the other case.</summary>
    public static bool IsAll(string text, bool isUpper)
    {
        bool hasCase = false;
        foreach (var rune in text.EnumerateRunes())
        {
            if (isUpper ? Rune.IsLower(rune) : Rune.IsUpper(rune)) return false;
            hasCase |= isUpper ? Rune.IsUpper(rune) : Rune.IsLower(rune);
        }

        return hasCase;
    }

    private static bool HasCase(Rune rune) => Rune.IsUpper(rune) || Rune.IsLower(rune);

    private static bool IsWordBreak(Rune rune) =>
        rune.Value is '-' or '(' or '{' or '[' or '<' || (rune.IsBmp && PythonCharacters.IsSpace((char)rune.Value));

    private static TextValue Map(TextValue text, Func<Rune, Rune?, Rune> map)
    {
        var result = new StringBuilder(text.Length);
        Rune? previous = null;
        int position = 0;
        while (position < text.Length)
        {
            if (!Rune.TryGetRuneAt(text.Text, position, out var rune))
            {
                result.Append(text.Text[position++]);
                previous = null;
                continue;
            }

            var mapped = map(rune, previous);
            result.Append(mapped.Utf16SequenceLength == rune.Utf16SequenceLength ? mapped.ToString() : rune.ToString());
            previous = rune;
            position += rune.Utf16SequenceLength;
        }

        return text.WithText(result.ToString());
    }
}
