namespace Sluice.Inference.Tokenization;

/// <summary>How a family of models splits text before merging; the file's <c>tokenizer.ggml.pre</c> names one.</summary>
internal sealed record PreTokenizer
{
    private enum Pattern
    {
        Gpt2,
        Llama3,
        Cased,
        DeepSeek,
    }

    private static readonly (string[] Names, PreTokenizer PreTokenizer)[] Known =
    [
        (["gpt-2", "phi-2", "mpt", "olmo", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "exaone4"], new PreTokenizer(Pattern.Gpt2, int.MaxValue)),
        (["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"], new PreTokenizer(Pattern.Gpt2, 1) { HasDigitsFirst = true }),
        (["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "lfm2", "pixtral"],
            new PreTokenizer(Pattern.Llama3, 3) { AddsBeginOfSequence = true, IgnoresMerges = true }),
        (["glm4"], new PreTokenizer(Pattern.Llama3, 3) { IgnoresMerges = true }),
        (["minicpm5"], new PreTokenizer(Pattern.Llama3, 3) { IgnoresMerges = true, HasDigitsFirst = true }),
        (["dbrx", "smaug-bpe", "chatglm-bpe"], new PreTokenizer(Pattern.Llama3, 3)),
        (["qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "solar-open"], new PreTokenizer(Pattern.Llama3, 1)),
        (["qwen35"], new PreTokenizer(Pattern.Llama3, 1) { HasMarksInWords = true }),
        (["seed-coder"], new PreTokenizer(Pattern.Llama3, 1) { EndsBeforeNewLines = true }),
        (["gpt-4o", "llama4", "kanana2", "minimax-m2"], new PreTokenizer(Pattern.Cased, 3) { HasContractions = true }),
        (["tekken"], new PreTokenizer(Pattern.Cased, 1) { AddsBeginOfSequence = true, IgnoresMerges = true }),
        (["deepseek-v3", "hunyuan-dense"], new PreTokenizer(Pattern.DeepSeek, 3) { HasDigitsFirst = true, HasMarksInWords = true }),
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

    /// <summary>Combining marks count as letters; the text is scanned so.</summary>
    public bool HasMarksInWords { get; private init; }

    // Digits are split off first, and what is between them is looked at as if there were nothing else: white space before a digit is at an end.
    private bool HasDigitsFirst { get; init; }

    private bool HasContractions { get; init; }

    private bool EndsBeforeNewLines { get; init; }

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
        if (!HasDigitsFirst)
        {
            limit = text.Count;
        }
        else if (start >= limit)
        {
            var rest = text.Classes[start..];
            var digit = rest.IndexOf(CharacterClass.Number);
            limit = digit switch
            {
                < 0 => text.Count,
                0 => start + PatternRuns.RunEnd(rest[..Math.Min(rest.Length, _digitsMax)], 1, CharacterClass.Number),
                _ => start + digit,
            };
            if (digit == 0)
            {
                return limit;
            }
        }

        return _pattern switch
        {
            Pattern.Gpt2 => Gpt2Pattern.End(text, start, limit),
            Pattern.Llama3 => Llama3Pattern.End(text, start, limit, _digitsMax, !EndsBeforeNewLines),
            Pattern.Cased => CasedPattern.End(text, start, _digitsMax, HasContractions),
            _ => DeepSeekPattern.End(text, start, limit),
        };
    }
}
