using System.Globalization;
using System.Text;

namespace Sluice.Inference.Tokenization;

/// <summary>What pre-tokenizers want to know of a code point.</summary>
[Flags]
internal enum CharacterClass : byte
{
    None = 0,

    /// <summary>Categories L*.</summary>
    Letter = 1,

    /// <summary>Categories N*: also fractions and Roman numerals.</summary>
    Number = 2,

    /// <summary>The Unicode property White_Space.</summary>
    WhiteSpace = 4,

    /// <summary>Carriage return or line feed; white space too.</summary>
    NewLine = 8,
}

/// <summary>Classes of all code points, in pages of 256 that are made when first asked for.</summary>
internal static class CharacterClasses
{
    private static readonly CharacterClass[]?[] Pages = new CharacterClass[]?[0x110000 >> 8];

    public static CharacterClass Of(Rune rune) => (Pages[rune.Value >> 8] ?? CreatePage(rune.Value >> 8))[rune.Value & 0xFF];

    private static CharacterClass[] CreatePage(int index)
    {
        var page = new CharacterClass[0x100];
        for (var i = 0; i < page.Length; i++)
        {
            // Surrogates are no runes and are never asked for.
            page[i] = Rune.TryCreate((index << 8) | i, out var rune) ? Classify(rune) : CharacterClass.None;
        }

        return Pages[index] = page;
    }

    private static CharacterClass Classify(Rune rune)
    {
        if (rune.Value is '\r' or '\n')
        {
            return CharacterClass.WhiteSpace | CharacterClass.NewLine;
        }

        if (Rune.IsWhiteSpace(rune))
        {
            return CharacterClass.WhiteSpace;
        }

        return Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => CharacterClass.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterClass.Number,
            _ => CharacterClass.None,
        };
    }
}
