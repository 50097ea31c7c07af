using System.Collections.Frozen;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Tokens of a model that was trained to fill a gap in a text: the prompt is <c>prefix text-before suffix text-behind middle</c>, or the
/// text behind the gap comes first, and what follows is the text of the gap.
/// </summary>
/// <param name="Prefix">Id of the token in front of the text before the gap.</param>
/// <param name="Suffix">Id of the token in front of the text behind it.</param>
/// <param name="Middle">Id of the token in front of the gap's text; null where none stands there.</param>
public sealed record FillInMiddle(int Prefix, int Suffix, int? Middle)
{
    // Codestral's, in the order of the record. It was trained without a token for the gap, and every model of its maker has these tokens:
    // only its name says that it was.
    private static readonly string[] s_codestral = ["[PREFIX]", "[SUFFIX]"];

    // Seed-Coder's.
    private static readonly string[] s_suffixFirst = ["<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"];

    // In the order of the record. Files that don't name the tokens by id have them by one of these texts.
    private static readonly string[][] s_texts =
    [
        ["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>", s_suffixFirst[0], s_codestral[0]],
        ["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>", s_suffixFirst[1], s_codestral[1]],
        ["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>", s_suffixFirst[2]],
    ];

    private static readonly FrozenDictionary<string, int> s_marks =
        s_texts.SelectMany((texts, mark) => texts.Select(text => KeyValuePair.Create(text, mark))).ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Whether the text behind the gap comes before the one in front of it.</summary>
    public bool IsSuffixFirst { get; init; }

    /// <summary>0 for a text of a prefix token, 1 for one of a suffix token, 2 for one of a middle token; null for any other text.</summary>
    /// <param name="text">Of a token.</param>
    /// <param name="model">What the file calls the model.</param>
    internal static int? FindMark(string text, string model) =>
        s_marks.TryGetValue(text, out var mark) && (!s_codestral.Contains(text) || IsCodestral(model)) ? mark : null;

    /// <summary>The tokens of a model; null where some are missing.</summary>
    /// <param name="marks">In the order of the record.</param>
    /// <param name="suffixText">Text of the suffix token.</param>
    /// <param name="model">What the file calls the model.</param>
    internal static FillInMiddle? Create(ReadOnlySpan<int?> marks, string suffixText, string model) => marks switch
    {
        [{ } prefix, { } suffix, null] when suffixText == s_codestral[1] && IsCodestral(model) => new FillInMiddle(prefix, suffix, null) { IsSuffixFirst = true },
        [{ } prefix, { } suffix, { } middle] => new FillInMiddle(prefix, suffix, middle) { IsSuffixFirst = suffixText == s_suffixFirst[1] },
        _ => null,
    };

    private static bool IsCodestral(string model) => model.Contains("codestral", StringComparison.OrdinalIgnoreCase);
}
