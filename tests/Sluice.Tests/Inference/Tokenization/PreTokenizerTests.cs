using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sluice.Inference.Tokenization;
using Xunit;

namespace Sluice.Tests.Inference.Tokenization;

/// <summary>
/// Data/pre-tokenization.json: what llama.cpp makes of texts under each name of <c>tokenizer.ggml.pre</c>, with one vocabulary whose merges
/// were learnt across all borders, so that each border of a split shows.
/// </summary>
public sealed class PreTokenizerTests
{
    private static readonly JsonObject s_truth = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "pre-tokenization.json")))!.AsObject();

    public static TheoryData<string> Names => [.. s_truth["names"]!.AsObject().Select(static name => name.Key)];

    // A word of gpt-4o and tekken is capitals and then small letters, by Unicode's categories. llama.cpp takes all letters that are not a to z,
    // or not A to Z, and no marks; so what it says counts only where that makes no difference.
    private const string Contraction = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?";
    private const string Rest = @"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Sign = @"[^\r\n\p{L}\p{N}]?";
    private const string Capitals = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    private const string Small = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    private const string NotSmall = @"(?:(?=\p{L})[^a-z])";
    private const string NotCapitals = @"(?:(?=\p{L})[^A-Z])";

    [Theory]
    [InlineData("gpt-4o")]
    [InlineData("tekken")]
    public void Words_with_cases_are_those_of_the_published_pattern(string name)
    {
        var tokenizer = Load(name);
        foreach (var text in Strings("texts").Where(static text => !text.Any(char.IsSurrogate)))
        {
            var pieces = Split(name, text, Capitals, Small);
            Assert.Equal(text, string.Concat(pieces));
            Assert.Equal(pieces.SelectMany(piece => Encode(tokenizer, piece)), Encode(tokenizer, text));
        }
    }

    private static bool IsTruth(string name, string text) =>
        name is not ("gpt-4o" or "llama4" or "kanana2" or "minimax-m2" or "tekken")
        || (!text.Any(char.IsSurrogate) && Split(name, text, Capitals, Small).SequenceEqual(Split(name, text, NotSmall, NotCapitals)));

    private static string[] Split(string name, string text, string capitals, string small)
    {
        var (contraction, digits) = name == "tekken" ? ("", @"\p{N}") : (Contraction, @"\p{N}{1,3}");
        var pattern = $"{Sign}{capitals}*{small}+{contraction}|{Sign}{capitals}+{small}*{contraction}|{digits}{Rest}";
        return [.. Regex.Matches(text, pattern, RegexOptions.CultureInvariant).Select(static match => match.Value)];
    }

    private static List<int> Encode(Tokenizer tokenizer, string text)
    {
        var tokens = new List<int>();
        tokenizer.Encode(text, parseSpecial: false, default, tokens);
        return tokens;
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Texts_are_split_as_llama_cpp_splits_them(string name)
    {
        var entry = s_truth["names"]![name]!;
        var tokenizer = Load(name);
        var texts = Strings("texts");
        var different = new List<string>();
        for (var i = 0; i < texts.Length; i++)
        {
            var expected = (entry["ids"]![$"{i}"] ?? s_truth["base"]![i])!.AsArray().Select(static id => id!.GetValue<int>()).ToArray();
            var actual = Encode(tokenizer, texts[i]);
            if (IsTruth(name, texts[i]) && !expected.SequenceEqual(actual)) different.Add($"{texts[i].Replace("\n", "\\n", StringComparison.Ordinal)}: {Pieces(tokenizer, expected)} became {Pieces(tokenizer, actual)}");
        }

        Assert.Equal(entry["begin"]!.GetValue<bool>(), tokenizer.AddsBeginOfSequence);
        Assert.True(different.Count == 0, string.Join("\n", different));
    }

    private static string Pieces(Tokenizer tokenizer, IEnumerable<int> ids) => string.Join('|', ids.Select(tokenizer.GetPiece));

    private static string[] Strings(string key) => [.. s_truth[key]!.AsArray().Select(static text => text!.GetValue<string>())];

    private static Tokenizer Load(string name)
    {
        var merges = Strings("merges");
        string[] tokens =
        [
            .. Enumerable.Range(0, 256).Select(Spell).Concat(merges.Select(static merge => merge.Replace(" ", "", StringComparison.Ordinal)))
                .Concat(Strings("whole")).Distinct(), "<s>", "</s>",
        ];
        return TinyVocabulary.Load(TinyVocabulary.BytePair(
                name, merges, [.. tokens.Select(static text => (text, text is "<s>" or "</s>" ? TinyVocabulary.Control : TinyVocabulary.Normal))])
            .Add("tokenizer.ggml.bos_token_id", (uint)(tokens.Length - 2))
            .Add("tokenizer.ggml.eos_token_id", (uint)(tokens.Length - 1)));
    }

    // Printable bytes are characters of their own, the others follow from U+0100 on.
    private static string Spell(int value) => IsPrintable(value)
        ? $"{(char)value}"
        : $"{(char)(0x100 + Enumerable.Range(0, value).Count(static b => !IsPrintable(b)))}";

    private static bool IsPrintable(int value) => value is (>= 33 and < 127) or (>= 161 and < 173) or (>= 174 and < 256);
}
