using System.Text;
using Sluice.Inference.Scheduling;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>Bytes of tokens in, deliverable text out: whole code points, no part of a stop sequence, nothing lost.</summary>
public sealed class TextAssemblerTests
{
    [Fact]
    public void A_code_point_split_over_tokens_comes_out_once_and_whole()
    {
        var assembler = new TextAssembler([], keepsTokensWhole: false);
        byte[] smile = Encoding.UTF8.GetBytes("😀");
        Assert.Equal("", Feed(assembler, smile.AsSpan(0, 1)));
        Assert.Equal("", Feed(assembler, smile.AsSpan(1, 2)));
        Assert.Equal("😀", Feed(assembler, smile.AsSpan(3, 1)));
    }

    [Fact]
    public void Bytes_that_are_not_text_become_replacement_characters_and_a_broken_tail_too()
    {
        var assembler = new TextAssembler([], keepsTokensWhole: false);
        Assert.Equal("\uFFFDa", Feed(assembler, [0xFF, (byte)'a']));
        Assert.Equal("", Feed(assembler, [0xF0, 0x9F]));
        Assert.False(assembler.Finish());
        Assert.Equal("\uFFFD", Text(assembler.Take(isLast: true)));
    }

    [Fact]
    public void A_stop_sequence_over_three_tokens_is_cut_and_never_shown()
    {
        var assembler = new TextAssembler(["END"], keepsTokensWhole: false);
        Assert.Equal("x", Feed(assembler, "xE"u8));
        Assert.Equal("", Feed(assembler, "N"u8));
        Assert.True(assembler.Append("D tail"u8, null));
        Assert.Equal("", Text(assembler.Take(isLast: true)));
    }

    [Fact]
    public void A_stop_sequence_that_is_never_completed_is_delivered()
    {
        var assembler = new TextAssembler(["END"], keepsTokensWhole: false);
        Assert.Equal("", Feed(assembler, "EN"u8));
        Assert.False(assembler.Finish());
        Assert.Equal("EN", Text(assembler.Take(isLast: true)));
    }

    [Fact]
    public void The_earliest_of_several_stop_sequences_wins()
    {
        var assembler = new TextAssembler(["cd", "b"], keepsTokensWhole: false);
        Assert.True(assembler.Append("abcd"u8, null));
        Assert.Equal("a", Text(assembler.Take(isLast: true)));
    }

    [Fact]
    public void A_self_overlapping_stop_sequence_is_found_behind_a_false_start()
    {
        var assembler = new TextAssembler(["aab"], keepsTokensWhole: false);
        Assert.Equal("", Feed(assembler, "a"u8));
        Assert.Equal("", Feed(assembler, "a"u8));
        Assert.Equal("a", Feed(assembler, "a"u8));
        Assert.True(assembler.Append("b"u8, null));
        Assert.Equal("", Text(assembler.Take(isLast: true)));
    }

    [Fact]
    public void Any_cut_into_tokens_gives_the_text_up_to_the_first_stop_sequence()
    {
        string[] alphabet = ["a", "b", "ab", "é", "😀", "\n", "漢"];
        for (int seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            string Word(int length) => string.Concat(Enumerable.Range(0, length).Select(_ => alphabet[random.Next(alphabet.Length)]));
            string text = Word(random.Next(1, 20));
            string[] stops = [.. Enumerable.Range(0, random.Next(0, 4)).Select(_ => Word(random.Next(1, 4)))];
            bool whole = random.Next(2) == 0;
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            var assembler = new TextAssembler(stops, whole);
            var output = new StringBuilder();
            var tokens = new List<byte>();
            bool stopped = false;
            for (int at = 0; at < bytes.Length && !stopped;)
            {
                int length = Math.Min(random.Next(1, 6), bytes.Length - at);
                var logprob = whole ? new TokenLogprob(0, bytes.AsMemory(at, length), 0, []) : null;
                stopped = assembler.Append(bytes.AsSpan(at, length), logprob);
                if (!stopped)
                {
                    string delta = Text(assembler.Take(isLast: false));
                    output.Append(delta);
                    AssertTokensMatch(assembler, delta, whole, tokens);
                }

                at += length;
            }

            assembler.Finish();
            output.Append(Text(assembler.Take(isLast: true)));

            int cut = stops.Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(i => i >= 0).DefaultIfEmpty(-1).Min();
            Assert.True(stopped == (cut >= 0), $"seed {seed}");

            // A token may complete several stop sequences, and one that began earlier may still be open: any of their first places will do.
            string[] expected = cut < 0 ? [text] : [.. stops.Select(stop => text.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).Select(at => text[..at])];
            Assert.True(expected.Contains(output.ToString()), $"seed {seed}: '{text}' with [{string.Join('|', stops)}] gave '{output}'");
            Assert.DoesNotContain(stops, stop => output.ToString().Contains(stop, StringComparison.Ordinal));
        }
    }

    private static void AssertTokensMatch(TextAssembler assembler, string delta, bool whole, List<byte> tokens)
    {
        if (whole)
        {
            tokens.AddRange(assembler.DeliveredTokens.SelectMany(token => token.Bytes.ToArray()));
            Assert.Equal(delta, Encoding.UTF8.GetString(assembler.DeliveredTokens.SelectMany(token => token.Bytes.ToArray()).ToArray()));
        }
    }

    private static string Feed(TextAssembler assembler, ReadOnlySpan<byte> bytes)
    {
        Assert.False(assembler.Append(bytes, null));
        return Text(assembler.Take(isLast: false));
    }

    private static string Text(ReadOnlySpan<byte> utf8) => Encoding.UTF8.GetString(utf8);
}
