using System.Collections.Frozen;

namespace Sluice.Inference.Tokenization;

/// <summary>
/// Texts of tokens that end an answer. Files name one or two such tokens by id, but models also end with others, and the same families use
/// the same texts.
/// </summary>
internal static class EndOfGeneration
{
    /// <summary>A file that has all three is of the harmony format, in which <see cref="HarmonyEnd"/> only separates messages.</summary>
    public static readonly string[] HarmonyTexts = [HarmonyEnd, "<|return|>", "<|call|>"];

    public const string HarmonyEnd = "<|end|>";

    /// <summary>Where a model asks for the result of a call. A file that has it does not end answers with <see cref="SentenceEnd"/>.</summary>
    public const string ToolResponse = "<|tool_response>";

    public const string SentenceEnd = "</s>";

    /// <summary>Texts that only a control token has; some files give them another type by mistake.</summary>
    private static readonly FrozenSet<string> Unmistakable = FrozenSet.Create(
        StringComparer.Ordinal,
        "<|eot_id|>", "<|im_end|>", HarmonyEnd, "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<|endoftext|>", "<|eom_id|>",
        "<|end_of_text|>", "<|EOT|>", "<|END_OF_TURN_TOKEN|>", "<|end_of_turn|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
        "<｜end▁of▁sentence｜>", ToolResponse, "<start_function_response>", "[e~[");

    /// <summary>Texts that also occur as ordinary words of a vocabulary, such as the HTML tag.</summary>
    private static readonly FrozenSet<string> UnlessNormal = FrozenSet.Create(
        StringComparer.Ordinal,
        SentenceEnd, "<eos>", "<EOT>", "_<EOT>", "▁<EOT>", "[EOT]", "[EOS]", "<end_of_turn>", "<turn|>", "<end_of_utterance>", "<PAD>", "<fim-pad>", "<fim_pad>",
        "<REPO>", "<fim-repo>", "<reponame>");

    public static bool Contains(string text, TokenType type) =>
        Unmistakable.Contains(text) || (type is not (TokenType.Normal or TokenType.Undefined) && UnlessNormal.Contains(text));
}
