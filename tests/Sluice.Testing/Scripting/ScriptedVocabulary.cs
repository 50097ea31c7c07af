using System.Text;
using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;

namespace Sluice.Testing.Scripting;

/// <summary>
/// A byte-level vocabulary: token b is the byte b, then the two marks of ChatML and one of Mistral, all three without text, then some words, then
/// the marks around a gap in a text.
/// </summary>
internal static class ScriptedVocabulary
{
    public const int TurnStart = 256;
    public const int TurnEnd = 257;
    public const int ToolCalls = 258;
    private const int FirstWord = 259;

    // Words of one token; the longest make an event of 200 KB and, 256 times, an answer of 1 MB.
    private static readonly string[] s_words =
    [
        " one", " two", " three", " four", " five", " red", " green", " blue", "Hello", " world", "D tail", "\n\n", "   ", " ",
        new string('x', 4096), new string('y', 200_000),
    ];

    private static readonly string[] s_gap = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"];

    private static readonly byte[][] s_wordBytes = [.. s_words.Select(Encoding.UTF8.GetBytes)];

    public static Tokenizer CreateTokenizer()
    {
        string[] tokens = [.. Enumerable.Range(0, 256).Select(value => Spell([(byte)value])), "<|im_start|>", "<|im_end|>", "[TOOL_CALLS]", .. s_wordBytes.Select(Spell), .. s_gap];
        var path = Path.GetTempFileName();
        try
        {
            new GgufWriter()
                .Add("tokenizer.ggml.model", "gpt2")
                .Add("tokenizer.ggml.pre", "gpt-2")
                .AddArray("tokenizer.ggml.tokens", tokens)
                .AddArray("tokenizer.ggml.token_type", tokens.Select((_, id) => id is TurnStart or TurnEnd or ToolCalls || id >= FirstWord + s_words.Length ? 3 : 1).ToArray())
                .AddArray("tokenizer.ggml.merges", Array.Empty<string>())
                .Add("tokenizer.ggml.bos_token_id", (uint)TurnStart)
                .Add("tokenizer.ggml.eos_token_id", (uint)TurnEnd)
                .Add("tokenizer.ggml.add_bos_token", false)
                .Save(path);
            using var file = GgufFile.Open(path);
            return Tokenizer.Load(file.Metadata);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>The longest word that the bytes begin with, or their first byte.</summary>
    public static int FindLongest(ReadOnlySpan<byte> bytes, out int length)
    {
        var token = bytes[0];
        var found = (Token: (int)token, Length: 1);
        for (var i = 0; i < s_wordBytes.Length; i++)
        {
            if (s_wordBytes[i].Length > found.Length && bytes.StartsWith(s_wordBytes[i])) found = (FirstWord + i, s_wordBytes[i].Length);
        }

        length = found.Length;
        return found.Token;
    }

    /// <summary>The token of a word or byte; the end of the answer for an empty text.</summary>
    public static int Find(string text)
    {
        if (text.Length == 0) return TurnEnd;
        var bytes = Encoding.UTF8.GetBytes(text);
        var token = FindLongest(bytes, out var length);
        return length == bytes.Length ? token : throw new ArgumentException($"'{text}' is no single token.", nameof(text));
    }

    // The printable characters in which GPT-2's vocabularies spell bytes.
    private static string Spell(byte[] bytes)
    {
        var text = new StringBuilder();
        foreach (var value in bytes)
        {
            text.Append(value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : Stranger(value));
        }

        return text.ToString();
    }

    private static char Stranger(byte value) => (char)(0x100 + value switch
    {
        <= 0x20 => value,
        <= 0xA0 => value - 0x7F + 0x21,
        _ => 67,
    });
}
