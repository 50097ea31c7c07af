using System.Collections.Frozen;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Tokens of a model that was trained to fill a gap in a text: the prompt is <c>prefix text-before suffix text-behind middle</c>, and what
/// follows is the text of the gap.
/// </summary>
/// <param name="Prefix">Id of the token in front of the text before the gap.</param>
/// <param name="Suffix">Id of the token in front of the text behind it.</param>
/// <param name="Middle">Id of the token in front of the gap's text.</param>
public sealed record FillInMiddle(int Prefix, int Suffix, int Middle)
{
    // In the order of the record. Files that don't name the tokens by id have them by one of these texts.
    private static readonly string[][] s_texts =
    [
        ["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"],
        ["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"],
        ["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"],
    ];

    private static readonly FrozenDictionary<string, int> s_marks =
        s_texts.SelectMany((texts, mark) => texts.Select(text => KeyValuePair.Create(text, mark))).ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>0 for a text of a prefix token, 1 for one of a suffix token, 2 for one of a middle token; null for any other text.</summary>
    internal static int? FindMark(string text) => s_marks.TryGetValue(text, out var mark) ? mark : null;
}
