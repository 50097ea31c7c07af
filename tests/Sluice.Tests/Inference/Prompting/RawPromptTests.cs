using System.Text;
using Sluice.Inference.Gguf;
using Sluice.Inference.Prompting;
using Sluice.Inference.Tokenization;
using Sluice.Testing;
using Sluice.Tests.Inference.Tokenization;
using Xunit;

namespace Sluice.Tests.Inference.Prompting;

/// <summary>Prompts without a template: where they begin, what is a special token in them, and where each token is in the text.</summary>
public sealed class RawPromptTests
{
    private static readonly (string Piece, int Type)[] s_bytes =
        [.. Enumerable.Range('!', 94).Select(letter => (((char)letter).ToString(), TinyVocabulary.Normal)), ("Ġ", TinyVocabulary.Normal), ("Ã", TinyVocabulary.Normal), ("¤", TinyVocabulary.Normal)];

    private static Tokenizer Load(bool addsBegin, params (string Piece, int Type)[] specials) => TinyVocabulary.Load(
        TinyVocabulary.BytePair("gpt-2", [], [.. s_bytes, ("<s>", TinyVocabulary.Control), .. specials])
            .Add("tokenizer.ggml.bos_token_id", (uint)s_bytes.Length)
            .Add("tokenizer.ggml.eos_token_id", (uint)s_bytes.Length)
            .Add("tokenizer.ggml.add_bos_token", addsBegin));

    private static string[] Pieces(Tokenizer tokenizer, RawPrompt prompt) => [.. prompt.Tokens.Select(tokenizer.GetPiece)];

    private static string[] Texts(RawPrompt prompt) =>
        [.. Enumerable.Range(0, prompt.Tokens.Count).Select(i => Encoding.UTF8.GetString(prompt.Text.BytesOf(i).Span))];

    [Theory]
    [InlineData(true, "ab", "<s>,a,b", ",a,b")]
    [InlineData(false, "ab", "a,b", "a,b")]
    [InlineData(true, "<s>ab", "<s>,a,b", "<s>,a,b")]
    [InlineData(true, "a<s>b", "<s>,a,<s>,b", ",a,<s>,b")]
    [InlineData(true, "", "<s>", "")]
    [InlineData(false, "", "<s>", "")]
    public void A_text_begins_as_the_file_says_and_has_its_special_tokens_read(bool addsBegin, string text, string pieces, string texts)
    {
        Tokenizer tokenizer = Load(addsBegin);
        RawPrompt prompt = new RawPromptEncoder(tokenizer).Encode(text);
        Assert.Equal(pieces.Split(','), Pieces(tokenizer, prompt));
        Assert.Equal(texts.Split(','), Texts(prompt));
        Assert.Equal(text, Encoding.UTF8.GetString(prompt.Text.Utf8.Span));
    }

    [Fact]
    public void Token_ids_stay_as_they_are_and_must_be_in_the_vocabulary()
    {
        Tokenizer tokenizer = Load(addsBegin: true);
        var encoder = new RawPromptEncoder(tokenizer);
        RawPrompt prompt = encoder.Encode([s_bytes.Length, 'a' - '!', 'b' - '!']);
        Assert.Equal(["<s>", "a", "b"], Texts(prompt));
        Assert.Contains("Token 98 ", Assert.Throws<ArgumentException>(() => encoder.Encode([98])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => encoder.Encode([-1]));
    }

    [Fact]
    public void A_character_of_several_tokens_is_delivered_with_the_last_of_them()
    {
        RawPrompt prompt = new RawPromptEncoder(Load(addsBegin: false)).Encode("aäb");
        Assert.Equal([0, 1, 1, 3, 4], Enumerable.Range(0, 5).Select(prompt.Text.LengthOf));
    }

    [Theory]
    [InlineData("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", TinyVocabulary.Control)]
    [InlineData("<fim-prefix>", "<fim-suffix>", "<fim-middle>", TinyVocabulary.UserDefined)]
    [InlineData("<PRE>", "<SUF>", "<MID>", TinyVocabulary.Normal)]
    [InlineData("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", TinyVocabulary.Control)]
    public void A_gap_is_asked_for_in_the_words_of_the_model_which_the_texts_around_it_may_name(string prefix, string suffix, string middle, int type)
    {
        Tokenizer tokenizer = Load(addsBegin: true, (prefix, type), (suffix, type), (middle, type));
        string before = "x" + middle.Replace("｜", "", StringComparison.Ordinal).Replace("▁", "", StringComparison.Ordinal);
        before = middle.All(char.IsAscii) ? "x" + middle : "x" + before;
        RawPrompt prompt = new RawPromptEncoder(tokenizer).EncodeGap(new PromptInput(before), "y", tokenizer.FillInMiddle!);
        string[] pieces = Pieces(tokenizer, prompt);
        Assert.Equal(["<s>", prefix], pieces[..2]);
        Assert.Equal([suffix, "y", middle], pieces[^3..]);
        Assert.Equal(before, string.Concat(pieces[2..^3]));
        Assert.Equal(before.Length, prompt.Tokens.Count - 5);
        Assert.Equal(before, Encoding.UTF8.GetString(prompt.Text.Utf8.Span));
        Assert.Equal(before, string.Concat(Texts(prompt)));
    }

    // As mistral-common and the model card of Seed-Coder write it.
    [Theory]
    [InlineData("Codestral-22B-v0.1", "<s>,[SUFFIX],y,[PREFIX],x", "[PREFIX]", "[SUFFIX]")]
    [InlineData("Seed-Coder-8B-Base", "<s>,<[fim-suffix]>,y,<[fim-prefix]>,x,<[fim-middle]>", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>")]
    public void Some_models_read_the_text_behind_a_gap_first(string name, string pieces, params string[] marks)
    {
        Tokenizer tokenizer = Named(name, marks);
        RawPrompt prompt = new RawPromptEncoder(tokenizer).EncodeGap(new PromptInput("x"), "y", tokenizer.FillInMiddle!);
        Assert.Equal(pieces.Split(','), Pieces(tokenizer, prompt));
        Assert.Equal("x", string.Concat(Texts(prompt)));
    }

    [Fact]
    public void A_model_that_has_Codestrals_tokens_by_inheritance_alone_was_not_trained_on_gaps() =>
        Assert.Null(Named("Mistral-Nemo-Instruct-2407", "[PREFIX]", "[MIDDLE]", "[SUFFIX]").FillInMiddle);

    private static Tokenizer Named(string model, params string[] marks) => TinyVocabulary.Load(
        TinyVocabulary.BytePair("gpt-2", [], [.. s_bytes, ("<s>", TinyVocabulary.Control), .. marks.Select(mark => (mark, TinyVocabulary.Control))])
            .Add("general.name", model)
            .Add("tokenizer.ggml.bos_token_id", (uint)s_bytes.Length)
            .Add("tokenizer.ggml.add_bos_token", true));

    [Theory]
    [InlineData("fim_pre", "fim_suf", "fim_mid")]
    [InlineData("prefix", "suffix", "middle")]
    public void A_file_may_name_the_tokens_of_a_gap_by_their_ids(string prefix, string suffix, string middle)
    {
        Tokenizer tokenizer = TinyVocabulary.Load(TinyVocabulary.BytePair("gpt-2", [], [.. s_bytes])
            .Add($"tokenizer.ggml.{prefix}_token_id", 3u).Add($"tokenizer.ggml.{suffix}_token_id", 4u).Add($"tokenizer.ggml.{middle}_token_id", 5u));
        Assert.Equal(new FillInMiddle(3, 4, 5), tokenizer.FillInMiddle);
        Assert.True(tokenizer.IsControl(5));
    }

    [Fact]
    public void Two_of_the_three_tokens_are_not_enough_for_a_gap() =>
        Assert.Null(Load(addsBegin: false, ("<|fim_prefix|>", TinyVocabulary.Control), ("<|fim_middle|>", TinyVocabulary.Control)).FillInMiddle);

    [Theory]
    [InlineData("gpt-2")]
    [InlineData("llama-bpe")]
    [InlineData("llama-spm")]
    [InlineData("phi-3")]
    [InlineData("qwen2")]
    public void The_tokens_of_any_text_add_up_to_it(string family)
    {
        if (TestFiles.FindShared("data", "vocab", $"ggml-vocab-{family}.gguf") is not { } path)
        {
            Assert.Skip(TestFiles.NoShared);
            return;
        }

        using var file = GgufFile.Open(path);
        var tokenizer = Tokenizer.Load(file.Metadata);
        var encoder = new RawPromptEncoder(tokenizer);
        string specials = string.Concat(Enumerable.Range(0, tokenizer.VocabularySize).Where(tokenizer.IsControl).Take(40).Select(token => tokenizer.GetPiece(token) + "  a\n"));
        foreach (string text in File.ReadAllText(path + ".inp").Split("\n__ggml_vocab_test__\n").Append(specials))
        {
            RawPrompt prompt = encoder.Encode(text);
            Assert.Equal(text, Encoding.UTF8.GetString(prompt.Text.Utf8.Span));
            Assert.Equal(text.Length == 0 ? 0 : Encoding.UTF8.GetByteCount(text), prompt.Text.LengthOf(prompt.Tokens.Count));
            int aligned = Enumerable.Range(0, prompt.Tokens.Count).Count(i => prompt.Text.BytesOf(i).Span.EndsWith(Print(tokenizer, prompt.Tokens[i]).Span[Skip(tokenizer, prompt, i)..]));
            Assert.True(aligned >= prompt.Tokens.Count - 1, $"{text}: {aligned} of {prompt.Tokens.Count} tokens are at their place.");
        }
    }

    private static ReadOnlyMemory<byte> Print(Tokenizer tokenizer, int token) =>
        tokenizer.IsControl(token) ? Encoding.UTF8.GetBytes(tokenizer.GetPiece(token)) : tokenizer.GetBytes(token);

    // What is not in the text, and the space that a tokenizer adds in front.
    private static int Skip(Tokenizer tokenizer, RawPrompt prompt, int index)
    {
        int printed = Print(tokenizer, prompt.Tokens[index]).Length;
        int there = prompt.Text.BytesOf(index).Length;
        return there == 0 ? printed : there == printed - 1 ? 1 : 0;
    }
}
