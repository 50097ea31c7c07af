using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.Chat.Relay;

/// <summary>A second answer in the place of one that broke off: nothing twice, nothing lost, and nothing of an answer that says something else.</summary>
public sealed class AnswerSplicerTests
{
    private static readonly ChatChunkWriter s_writer = new("chatcmpl-1", 1700000000, "m", includeUsage: false, serviceTier: null);

    private static byte[] Role(int choice = 0) => Event(output => s_writer.WriteRole(output, choice, logprobs: false));

    private static byte[] Text(string text, int choice = 0) => Event(output => s_writer.WriteContent(output, choice, Encoding.UTF8.GetBytes(text)));

    private static byte[] Finish(int choice = 0) => Event(output => s_writer.WriteFinish(output, choice, "stop"u8));

    private static byte[] Frame(string choice) =>
        Encoding.UTF8.GetBytes($$"""data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{{choice}}]}""" + "\n\n");

    private static byte[] Event(Action<IEventOutput> write)
    {
        var output = new EventBuffer();
        write(output);
        return output.WrittenSpan.ToArray();
    }

    private static (SpliceState State, string Output) Splice(IEnumerable<byte[]> delivered, IEnumerable<byte[]> repetition, int choiceCount = 1, int continuedTokens = 0)
    {
        var splicer = new AnswerSplicer(new DeliveredAnswer(choiceCount, Events.Of(delivered)), continuedTokens);
        var output = new EventBuffer();
        foreach (var sseEvent in repetition) splicer.Add(sseEvent, output);
        return (splicer.State, Encoding.UTF8.GetString(output.WrittenSpan));
    }

    private static string ContentOf(IEnumerable<byte[]> events)
    {
        var content = new StringBuilder();
        foreach (var sseEvent in events)
        {
            using var chunk = JsonDocument.Parse(sseEvent.AsMemory("data: ".Length));
            if (chunk.RootElement.GetProperty("choices")[0].GetProperty("delta").TryGetProperty("content", out var text)) content.Append(text.GetString());
        }
        return content.ToString();
    }

    private static byte[][] Split(string events) =>
        [.. events.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(text => Encoding.UTF8.GetBytes(text + "\n\n"))];

    // Pieces between whole characters.
    private static IEnumerable<string> Cut(string text, Random random)
    {
        var piece = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            piece.Append(rune.ToString());
            if (random.Next(3) > 0) continue;
            yield return piece.ToString();
            piece.Clear();
        }
        if (piece.Length > 0) yield return piece.ToString();
    }

    [Fact]
    public void Any_text_in_any_pieces_cut_anywhere_is_whole_after_the_seam()
    {
        var random = new Random(1);
        for (var round = 0; round < 2_000; round++)
        {
            var text = ArbitraryText.Next(random);
            var all = Cut(text, random).Select(piece => Text(piece)).ToArray();
            var delivered = all.Take(random.Next(all.Length + 1)).Prepend(Role()).ToArray();
            var (state, output) = Splice(delivered, [Role(), .. Cut(text, random).Select(piece => Text(piece)), Finish()]);
            Assert.Equal(SpliceState.Beyond, state);
            var rest = Split(output);
            Assert.Equal(Encoding.UTF8.GetString(Finish()), Encoding.UTF8.GetString(rest[^1]));
            Assert.Equal(text, ContentOf(delivered) + ContentOf(rest));
            Assert.DoesNotContain("\"role\"", output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void One_character_that_differs_anywhere_in_what_was_delivered_ends_it()
    {
        const string Delivered = "The quick brown fox";
        for (var i = 0; i < Delivered.Length; i++)
        {
            var other = Delivered[..i] + "_" + Delivered[(i + 1)..] + " jumps";
            var (state, output) = Splice([Role(), Text(Delivered)], [Role(), .. Cut(other, new Random(i)).Select(piece => Text(piece)), Finish()]);
            Assert.Equal(SpliceState.Different, state);
            Assert.Equal("", output);
        }
    }

    [Fact]
    public void Frames_beyond_the_seam_keep_every_byte()
    {
        var beyond = Frame("""{"index":0, "delta":{"content":"\u00fc"},"x":[ 1 ],"finish_reason":null}""");
        var (_, output) = Splice([Role(), Text("ab")], [Role(), Text("a"), Text("b"), beyond, Finish()]);
        Assert.Equal(Encoding.UTF8.GetString([.. beyond, .. Finish()]), output);
    }

    [Theory]
    [InlineData("""{"index":0,"delta":{},"finish_reason":"stop"}""")] // shorter than what was delivered
    [InlineData("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}""")]
    [InlineData("""{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}""")]
    [InlineData("""{"index":0,"delta":{"content":"bcd"},"logprobs":{"content":[{"token":"bcd","logprob":0,"bytes":[98,99,100],"top_logprobs":[]}]},"finish_reason":null}""")] // half of a token
    [InlineData("""{"index":0,"delta":{"content":"b\ud83d"},"finish_reason":null}""")] // half of a character
    public void What_is_no_repetition_is_not_taken_for_one(string choice)
    {
        var (state, output) = Splice([Role(), Text("a"), Text("bc")], [Role(), Text("a"), Frame(choice)]);
        Assert.Equal((SpliceState.Different, ""), (state, output));
    }

    [Fact]
    public void Reasoning_and_content_are_repeated_each_by_itself()
    {
        byte[][] delivered = [Role(), Frame("""{"index":0,"delta":{"reasoning_content":"hm, so"},"finish_reason":null}"""), Text("It")];
        byte[][] again = [Role(), Frame("""{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}"""), Frame("""{"index":0,"delta":{"reasoning_content":", so"},"finish_reason":null}"""), Text("It is")];
        Assert.Equal((SpliceState.Beyond, " is"), (Splice(delivered, again).State, ContentOf(Split(Splice(delivered, again).Output))));
        // More reasoning than before would come after the content.
        again[2] = Frame("""{"index":0,"delta":{"reasoning_content":", so what"},"finish_reason":null}""");
        Assert.Equal(SpliceState.Different, Splice(delivered, again).State);
    }

    [Fact]
    public void Of_several_choices_each_has_its_own_seam_and_a_finished_one_stays()
    {
        byte[][] delivered = [Role(0), Role(1), Role(2), Text("done", 0), Finish(0), Text("one t", 1), Text("tw", 2)];
        var splicer = new AnswerSplicer(new DeliveredAnswer(3, Events.Of(delivered)), 0);
        var output = new EventBuffer();
        foreach (var sseEvent in (byte[][])[Role(0), Role(1), Role(2), Text("other", 0), Text("one two", 1)]) splicer.Add(sseEvent, output);
        Assert.Equal(SpliceState.Repeating, splicer.State);
        foreach (var sseEvent in (byte[][])[Text("two", 2), Finish(0), Finish(1), Finish(2)]) splicer.Add(sseEvent, output);
        Assert.Equal(SpliceState.Beyond, splicer.State);
        Assert.Equal(
            Encoding.UTF8.GetString([.. Text("wo", 1), .. Text("o", 2), .. Finish(1), .. Finish(2)]).Replace(",\"logprobs\"", "", StringComparison.Ordinal),
            Encoding.UTF8.GetString(output.WrittenSpan).Replace(",\"logprobs\"", "", StringComparison.Ordinal));
    }

    [Fact]
    public void A_call_of_a_tool_that_has_begun_is_nothing_to_go_on_with()
    {
        var call = Frame("""{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]},"finish_reason":null}""");
        Assert.False(new DeliveredAnswer(1, Events.Of([Role(), Text("a"), call])).IsRepeatable);
        Assert.True(new DeliveredAnswer(1, Events.Of([Role(), Text("a"), call, Finish()])).IsRepeatable);
        Assert.True(new DeliveredAnswer(1, Events.Of([[.. ": rescued by rerun\n\n"u8, .. Role()], Text("a")])).IsRepeatable);
    }

    [Theory]
    [InlineData("The quick brown fo", "The quick brown", " fo")]
    [InlineData("word", "word", "")]
    [InlineData(" word", " word", "")]
    [InlineData("two words ", "two words", " ")]
    public void The_beginning_ends_before_the_last_word(string content, string beginning, string tail)
    {
        var delivered = new DeliveredAnswer(1, Events.Of([Role(), Text(content)]));
        Assert.True(delivered.IsContinuable);
        Assert.Equal(content, delivered.TakePrefill(wholeWords: false));
        Assert.Equal(beginning, delivered.TakePrefill(wholeWords: true));
        var output = new EventBuffer();
        new AnswerSplicer(delivered, 1).Add(Text(tail + "x"), output);
        Assert.Equal("x", ContentOf(Split(Encoding.UTF8.GetString(output.WrittenSpan))));
    }

    [Fact]
    public void The_usage_of_a_continued_answer_counts_both_parts_and_says_that_it_is_estimated()
    {
        var usage = Event(output => s_writer.WriteUsage(output, new AnswerUsage(17, 0, 5)));
        var (_, output) = Splice([Role(), Text("a"), Text("b")], [Text("ab"), Text("c"), Finish(), usage], continuedTokens: 2);
        Assert.Contains("""[],"usage":{"prompt_tokens":15,"completion_tokens":7,"total_tokens":22},"sluice":{"usage_estimated":true}}""", output, StringComparison.Ordinal);
    }
}
