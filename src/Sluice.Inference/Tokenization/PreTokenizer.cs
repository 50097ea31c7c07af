namespace Sluice.Inference.Tokenization;

/// <summary>How a family of models splits text before merging; the file's <c>tokenizer.ggml.pre</c> names one.</summary>
internal sealed record PreTokenizer
{
    private enum Pattern
    {
        /// <summary>Words with a space before them; contractions in lower case.</summary>
        Gpt2,

        /// <summary>Words with any one sign before them; contractions in any case; line breaks end a piece.</summary>
        Llama3,
    }

    private static readonly (string[] Names, PreTokenizer PreTokenizer)[] Known =
    [
        (["gpt-2", "phi-2", "mpt", "olmo", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de"], new PreTokenizer(Pattern.Gpt2, int.MaxValue)),
        (["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"], new PreTokenizer(Pattern.Gpt2, 1)),
        (["llama-bpe", "llama3", "llama-v3", "falcon3", "lfm2", "pixtral"],
            new PreTokenizer(Pattern.Llama3, 3) { AddsBeginOfSequence = true, IgnoresMerges = true }),
        (["qwen2", "deepseek-r1-qwen", "stablelm2"], new PreTokenizer(Pattern.Llama3, 1)),
    ];

    private readonly Pattern _pattern;
    private readonly int _digitsMax;

    private PreTokenizer(Pattern pattern, int digitsMax)
    {
        _pattern = pattern;
        _digitsMax = digitsMax;
    }

    /// <summary>Names that <see cref="Find"/> knows, for messages.</summary>
    public static string KnownNames => string.Join(", ", Known.SelectMany(family => family.Names));

    /// <summary>Prompts start with the begin-of-sequence token unless the file says otherwise.</summary>
    public bool AddsBeginOfSequence { get; private init; }

    /// <summary>A piece that is a token as a whole is taken whole, whatever the merges would make of it.</summary>
    public bool IgnoresMerges { get; private init; }

    public static PreTokenizer? Find(string name)
    {
        foreach (var (names, preTokenizer) in Known)
        {
            if (names.Contains(name, StringComparer.Ordinal))
            {
                return preTokenizer;
            }
        }

        return null;
    }

    /// <summary>End of the piece that starts at a code point; pieces follow one another without gaps.</summary>
    /// <param name="text">The text.</param>
    /// <param name="start">Less than <see cref="ScannedText.Count"/>.</param>
    /// <param name="limit">
    /// 0 at the first call, then what the call before left: the end of the run that the patterns look at.
    /// </param>
    public int NextEnd(in ScannedText text, int start, ref int limit)
    {
        if (_pattern == Pattern.Llama3)
        {
            return Llama3End(text, start);
        }

        if (_digitsMax > 1)
        {
            return Gpt2End(text, start, text.Count);
        }

        // Digits are split off first, and what is between them is looked at as if there were nothing else: white space before a digit is
        // at an end.
        if (start >= limit)
        {
            var digit = text.Classes[start..].IndexOf(CharacterClass.Number);
            limit = digit == 0 ? start + 1 : digit > 0 ? start + digit : text.Count;
        }

        return Gpt2End(text, start, limit);
    }

    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S), the rest as pieces
    private static int Gpt2End(in ScannedText text, int start, int limit)
    {
        var classes = text.Classes[..limit];
        var contraction = ContractionEnd(text, start, limit, ignoreCase: false);
        if (contraction > 0)
        {
            return contraction;
        }

        var first = text.Ascii(start) == ' ' && start + 1 < limit ? start + 1 : start;
        return (classes[first] & CharacterClass.WhiteSpace) == 0
            ? RunEnd(classes, first + 1, classes[first])
            : WhiteSpaceEnd(classes, start);
    }

    // (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    private int Llama3End(in ScannedText text, int start)
    {
        var classes = text.Classes;
        var contraction = ContractionEnd(text, start, text.Count, ignoreCase: true);
        if (contraction > 0)
        {
            return contraction;
        }

        if (classes[start] == CharacterClass.Letter)
        {
            return RunEnd(classes, start + 1, CharacterClass.Letter);
        }

        if (classes[start] == CharacterClass.Number)
        {
            var end = Math.Min(classes.Length, start + _digitsMax);
            return RunEnd(classes[..end], start + 1, CharacterClass.Number);
        }

        if ((classes[start] & CharacterClass.NewLine) == 0 && start + 1 < classes.Length && classes[start + 1] == CharacterClass.Letter)
        {
            return RunEnd(classes, start + 2, CharacterClass.Letter);
        }

        var first = text.Ascii(start) == ' ' && start + 1 < classes.Length ? start + 1 : start;
        if (classes[first] == CharacterClass.None)
        {
            var end = RunEnd(classes, first + 1, CharacterClass.None);
            while (end < classes.Length && (classes[end] & CharacterClass.NewLine) != 0)
            {
                end++;
            }

            return end;
        }

        var whiteSpaceEnd = WhiteSpaceRunEnd(classes, start);
        for (var end = whiteSpaceEnd; end > start; end--)
        {
            if ((classes[end - 1] & CharacterClass.NewLine) != 0)
            {
                return end;
            }
        }

        return WhiteSpaceEnd(classes, start);
    }

    /// <summary>End of a contraction such as <c>'re</c>, or 0.</summary>
    private static int ContractionEnd(in ScannedText text, int start, int limit, bool ignoreCase)
    {
        if (text.Ascii(start) != '\'' || start + 1 >= limit)
        {
            return 0;
        }

        var fold = ignoreCase ? 0x20 : 0;
        var first = FoldCase(text.Ascii(start + 1), fold);
        if (first is 's' or 't' or 'm' or 'd')
        {
            return start + 2;
        }

        if (start + 2 >= limit)
        {
            return 0;
        }

        var second = FoldCase(text.Ascii(start + 2), fold);
        return (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? start + 3 : 0;
    }

    private static char FoldCase(byte ascii, int fold) => (char)(ascii is >= (byte)'A' and <= (byte)'Z' ? ascii | fold : ascii);

    private static int RunEnd(ReadOnlySpan<CharacterClass> classes, int start, CharacterClass kind)
    {
        var length = classes[start..].IndexOfAnyExcept(kind);
        return length < 0 ? classes.Length : start + length;
    }

    private static int WhiteSpaceRunEnd(ReadOnlySpan<CharacterClass> classes, int start)
    {
        var length = classes[start..].IndexOfAnyExcept(CharacterClass.WhiteSpace, CharacterClass.WhiteSpace | CharacterClass.NewLine);
        return length < 0 ? classes.Length : start + length;
    }

    // \s+(?!\S)|\s+: the last white space before something else goes with that.
    private static int WhiteSpaceEnd(ReadOnlySpan<CharacterClass> classes, int start)
    {
        var end = WhiteSpaceRunEnd(classes, start);
        return end < classes.Length && end > start + 1 ? end - 1 : end;
    }
}
