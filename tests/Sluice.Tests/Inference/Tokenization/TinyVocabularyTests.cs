using Sluice.Inference.Gguf;
using Sluice.Testing;
using Xunit;
using static Sluice.Tests.Inference.Tokenization.TinyVocabulary;

namespace Sluice.Tests.Inference.Tokenization;

public sealed class TinyVocabularyTests
{
    [Fact]
    public void BytePair_MissingBytes_AreTheUnknownToken()
    {
        GgufWriter Writer() => BytePair(
            "gpt-2", ["a b"], ("<unk>", Unknown), ("a", Normal), ("b", Normal), ("ab", Normal), ("</s>", Control));
        var tokenizer = Load(Writer().Add("tokenizer.ggml.unknown_token_id", 0u));
        Assert.Equal([3, 0, 1, 0, 0], tokenizer.Encode("abcaé"));
        Assert.Equal([3, 1], Load(Writer()).Encode("abcaé"));
        Assert.Equal([3], Load(Writer().Add("tokenizer.ggml.unknown_token_id", 4u)).Encode("abc"));
    }

    [Fact]
    public void BytePair_MergesThroughSymbolsThatAreNoTokens()
    {
        // "ab" is no token: alone it falls apart, but "abc" is reached through it.
        var tokenizer = Load(BytePair("gpt-2", ["a b", "ab c"], ("a", Normal), ("b", Normal), ("c", Normal), ("abc", Normal)));
        Assert.Equal([3, 0, 1], tokenizer.Encode("abcab"));
    }

    [Fact]
    public void BytePair_IgnoringMerges_TakesWholePieces()
    {
        (string, int)[] tokens = [("a", Normal), ("b", Normal), ("c", Normal), ("ab", Normal), ("abc", Normal)];
        Assert.Equal([3, 2], Load(BytePair("gpt-2", ["a b"], tokens)).Encode("abc"));
        Assert.Equal([4], Load(BytePair("llama-bpe", ["a b"], tokens)).Encode("abc"));
    }

    [Fact]
    public void BytePair_ControlTokens_AreNeverMerged()
    {
        var tokenizer = Load(BytePair("gpt-2", ["a b"], ("a", Normal), ("b", Normal), ("ab", Control), ("b", UserDefined)));
        Assert.Equal([0, 3], tokenizer.Encode("ab"));
        Assert.Equal([2], tokenizer.Encode("ab", parseSpecial: true));
    }

    [Fact]
    public void EndOfGeneration_IsWide()
    {
        var tokenizer = Load(BytePair(
                "qwen2", [], ("a", Normal), ("<|im_end|>", Normal), ("</s>", Normal), ("<|eot_id|>", UserDefined),
                ("x", Control), ("y", Control))
            .Add("tokenizer.ggml.eos_token_id", 4u).Add("tokenizer.ggml.eot_token_id", 5).Add("tokenizer.ggml.bos_token_id", -1));
        Assert.Equal([1, 3, 4, 5], Enumerable.Range(0, 6).Where(tokenizer.IsEndOfGeneration));
        Assert.Null(tokenizer.BeginOfSequenceToken);
        Assert.Equal(4, tokenizer.EndOfSequenceToken);
        Assert.Equal([1, 0], tokenizer.Encode("<|im_end|>a", parseSpecial: true));
        Assert.True(tokenizer.IsControl(1));
    }

    [Fact]
    public void EndOfGeneration_InHarmony_LeavesOutTheEndOfAMessage()
    {
        var tokenizer = Load(BytePair("qwen2", [], ("<|end|>", Control), ("<|return|>", Control), ("<|call|>", Control)));
        Assert.Equal([1, 2], Enumerable.Range(0, 3).Where(tokenizer.IsEndOfGeneration));
    }

    [Fact]
    public void BeginOfSequence_FollowsTheFamilyAndTheFile()
    {
        bool Adds(string pre, bool? flag)
        {
            var writer = BytePair(pre, [], ("a", Normal)).Add("tokenizer.ggml.bos_token_id", 0u);
            return Load(flag is { } value ? writer.Add("tokenizer.ggml.add_bos_token", value) : writer).AddsBeginOfSequence;
        }

        Assert.Equal([false, true], [Adds("qwen2", null), Adds("llama-bpe", null)]);
        Assert.Equal([true, false], [Adds("qwen2", true), Adds("llama-bpe", false)]);
    }

    [Fact]
    public void SentencePiece_HighestScoreFirst_ThenBytes()
    {
        (string, float, int)[] tokens =
        [
            ("<unk>", 0, Unknown), ("<s>", 0, Control), ("</s>", 0, Control), ("▁", -1, Normal), ("a", -1, Normal), ("b", -1, Normal),
            ("ab", -9, Normal), ("ba", -8, Normal), ("▁a", -7, Normal),
            ("<0xC3>", 0, ByteToken), ("<0xA9>", 0, ByteToken), ("[X]", 0, UserDefined),
        ];
        var tokenizer = Load(SentencePiece(tokens));
        Assert.Equal((1, 2, true), (tokenizer.BeginOfSequenceToken, tokenizer.EndOfSequenceToken, tokenizer.AddsBeginOfSequence));
        Assert.Equal([8, 7], tokenizer.Encode("aba"));
        Assert.Equal([3, 9, 10, 0, 4], tokenizer.Encode("é!a"));
        Assert.Equal([8, 11, 8, 3, 3], tokenizer.Encode("a[X]a  "));
        Assert.Equal([8, 1, 3, 5, 2], tokenizer.Encode("a<s>b</s>", parseSpecial: true));
        Assert.Equal(" é"u8.ToArray(), tokenizer.Decode([3, 9, 10]));
        Assert.Equal("[X]"u8.ToArray(), tokenizer.Decode([11, 1, 0]));
        Assert.Equal([7, 5], Load(SentencePiece(tokens).Add("tokenizer.ggml.add_space_prefix", false)).Encode("bab"));
    }

    [Fact]
    public void SentencePiece_Phi3_DropsWhiteSpaceAfterSpecialTokens()
    {
        var tokenizer = Load(SentencePiece(
                ("<unk>", 0, Unknown), ("<s>", 0, Control), ("</s>", 0, UserDefined), ("<|user|>", 0, Control),
                ("▁", 0, Normal), ("a", 0, Normal), ("\n", 0, Normal))
            .Add("general.name", "Phi3"));
        Assert.Equal([3, 4, 5, 1, 4, 4, 5, 2, 4, 5], tokenizer.Encode("<|user|>\n a<s> a</s>\n\na", parseSpecial: true));
    }

    [Fact]
    public void SentencePiece_LongRuns_StayCheap()
    {
        var tokens = new List<(string, float, int)> { ("<unk>", 0, Unknown), ("▁", 0, Normal), ("a", 0, Normal) };
        for (var length = 2; length <= 64; length *= 2)
        {
            tokens.Add((new string('a', length), length, Normal));
        }

        var tokenizer = Load(SentencePiece([.. tokens]).Add("tokenizer.ggml.add_space_prefix", false));
        var text = new string('a', 200_000) + new string(' ', 100_000);
        Assert.Equal(System.Text.Encoding.UTF8.GetBytes(text), tokenizer.Decode(tokenizer.Encode(text)));
    }

    public static TheoryData<string, GgufWriter> Refusals() => new()
    {
        { "key 'tokenizer.ggml.model': expected a string, found no such key.", new GgufWriter() },
        { "key 'tokenizer.ggml.model': expected gpt2, llama, gemma4, bert or t5, found 'rwkv'.", new GgufWriter().Add("tokenizer.ggml.model", "rwkv") },
        { "key 'tokenizer.ggml.pre': expected a string, found no such key.", new GgufWriter().Add("tokenizer.ggml.model", "gpt2") },
        { "found 'viking'.", BytePair("viking", [], ("a", Normal)) },
        { "key 'tokenizer.ggml.tokens': expected 1 to 4194304 tokens, found 0.", BytePair("gpt-2", []) },
        { "key 'tokenizer.ggml.token_type': expected types from 0 to 6, found 7 for token 0.", BytePair("gpt-2", [], ("a", 7)) },
        {
            "key 'tokenizer.ggml.bos_token_id': expected a token from 0 to 0, found 1.",
            BytePair("gpt-2", [], ("a", Normal)).Add("tokenizer.ggml.bos_token_id", 1u)
        },
        {
            "key 'tokenizer.ggml.merges': expected two texts separated by a space, found 'ab' as merge 1.",
            BytePair("gpt-2", ["a b", "ab"], ("a", Normal))
        },
        {
            "key 'tokenizer.ggml.merges': expected two texts separated by a space, found 'a ' as merge 0.",
            BytePair("gpt-2", ["a "], ("a", Normal))
        },
        {
            "key 'tokenizer.ggml.scores': expected an array of numbers, found no such key.",
            new GgufWriter().Add("tokenizer.ggml.model", "llama").AddArray("tokenizer.ggml.tokens", ["a"])
        },
        {
            "key 'tokenizer.ggml.scores': expected one score for each of 1 tokens, found 2.",
            new GgufWriter().Add("tokenizer.ggml.model", "llama").AddArray("tokenizer.ggml.tokens", ["a"])
                .AddArray("tokenizer.ggml.scores", new[] { 0f, 1f })
        },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void Load_WrongTokenizer_SaysWhatIsWrong(string expected, GgufWriter writer) =>
        Assert.EndsWith(expected, Assert.Throws<GgufException>(() => Load(writer)).Message, StringComparison.Ordinal);
}
