using System.Buffers;
using System.Text;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Completions;
using Sluice.Protocol.ServerSentEvents;
using Xunit;

namespace Sluice.Tests.Protocol.Completions;

/// <summary>The events of a text completion and the object that they fold to, written out by hand from the API's types.</summary>
public sealed class CompletionEventsTests
{
    private const string Prefix = "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\",\"choices\":[";

    private static readonly AnswerHead s_head = new("cmpl-1", 7, "m");

    private static string Write(AnswerHead head, Action<DeltaWriter, EventBuffer> write)
    {
        var events = new EventBuffer();
        write(CompletionDialect.Instance.CreateWriter(head), events);
        return Encoding.UTF8.GetString(events.WrittenSpan);
    }

    private static string Fold(string events)
    {
        var fold = CompletionDialect.Instance.CreateFold();
        fold.Add(Encoding.UTF8.GetBytes(events));
        fold.End();
        Assert.Null(fold.Error);
        var output = new ArrayBufferWriter<byte>();
        fold.WriteTo(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static DeltaLogprob Token(string text, float logprob, params DeltaLogprob[] top) => new(Encoding.UTF8.GetBytes(text), logprob, top);

    [Fact]
    public void Text_finish_and_usage()
    {
        var events = Write(s_head with { IncludesUsage = true, ChoiceCount = 2 }, static (writer, output) =>
        {
            writer.Begin(output, isText: true);
            writer.Text(output, 1, "a\"b"u8, []);
            writer.Finish(output, 1, AnswerEnd.Length);
            writer.Finish(output, 0, AnswerEnd.Stop);
            writer.Usage(output, new AnswerUsage(3, 1, 2), isEstimated: false);
        });
        const string Usage = "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":1}}}";
        Assert.Equal(
            $"data: {Prefix}{{\"index\":1,\"text\":\"a\\\"b\",\"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n"
            + $"data: {Prefix}{{\"index\":1,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"length\"}}],\"usage\":null}}\n\n"
            + $"data: {Prefix}{{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}}],\"usage\":null}}\n\n"
            + $"data: {Prefix}],{Usage}\n\n",
            events);
        Assert.Equal(
            $"{Prefix}{{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}},"
            + $"{{\"index\":1,\"text\":\"a\\\"b\",\"logprobs\":null,\"finish_reason\":\"length\"}}],{Usage}",
            Fold(events));
    }

    [Fact]
    public void Log_probabilities_with_offsets_that_continue_over_chunks_and_count_characters()
    {
        var events = Write(s_head with { HasLogprobs = true }, static (writer, output) =>
        {
            writer.Pass(0, "ä😀"u8);
            writer.Text(output, 0, "xé"u8, [Token("x", -0.5f, Token("x", -0.5f), Token("y", -1)), new DeltaLogprob(new byte[] { 0xC3 }, -2), new DeltaLogprob(new byte[] { 0xA9 }, 0)]);
            writer.Text(output, 0, "z"u8, [Token("z", float.NegativeInfinity, Token("q", -1), new DeltaLogprob(default, -3) { Name = "<s>" })]);
            writer.Finish(output, 0, AnswerEnd.Stop);
        });
        Assert.Contains(
            """{"tokens":["x","bytes:\\xc3","bytes:\\xa9"],"token_logprobs":[-0.5,-2.0,0.0]"""
            + ""","top_logprobs":[{"x":-0.5,"y":-1.0},{"bytes:\\xc3":-2.0},{"bytes:\\xa9":0.0}],"text_offset":[2,3,3]}""",
            events,
            StringComparison.Ordinal);
        Assert.Contains("""{"tokens":["z"],"token_logprobs":[-9999.0],"top_logprobs":[{"q":-1.0,"<s>":-3.0,"z":-9999.0}],"text_offset":[4]}""", events, StringComparison.Ordinal);
        Assert.Contains("\"token_logprobs\":[-0.5,-2.0,0.0,-9999.0]", Fold(events), StringComparison.Ordinal);
        Assert.Contains("\"text_offset\":[2,3,3,4]", Fold(events), StringComparison.Ordinal);
    }

    [Fact]
    public void The_first_token_of_a_prompt_has_no_log_probability()
    {
        var events = Write(s_head with { HasLogprobs = true }, static (writer, output) =>
        {
            writer.Text(output, 0, "ab"u8, [new DeltaLogprob(default, 0) { IsFirst = true, Name = "<s>" }, Token("ab", -1)]);
            writer.Finish(output, 0, AnswerEnd.Length);
        });
        const string Logprobs = """{"tokens":["<s>","ab"],"token_logprobs":[null,-1.0],"top_logprobs":[null,{"ab":-1.0}],"text_offset":[0,0]}""";
        Assert.Contains(Logprobs, events, StringComparison.Ordinal);
        Assert.Contains(Logprobs, Fold(events), StringComparison.Ordinal);
    }

    [Fact]
    public void A_cancelled_answer_ends_as_others_do_and_says_so()
    {
        var delivered = new EventBuffer();
        var writer = CompletionDialect.Instance.CreateWriter(s_head with { ChoiceCount = 3, Created = 5 });
        writer.Text(delivered, 0, "a"u8, []);
        writer.Finish(delivered, 1, AnswerEnd.Stop);
        var output = new EventBuffer();
        Assert.True(CompletionDialect.Instance.TryWriteStop(
            s_head with { ChoiceCount = 3, IncludesUsage = true }, delivered, isWhole: true, [false, false, true], new AnswerUsage(1, 0, 1), isEstimated: true, output));
        var text = Encoding.UTF8.GetString(output.WrittenSpan);
        Assert.Equal(2, output.Count);
        Assert.Contains("\"created\":5", text, StringComparison.Ordinal);
        Assert.Contains("{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null,\"sluice\":{\"cancelled\":true}}", text, StringComparison.Ordinal);
        Assert.Contains("\"total_tokens\":2},\"sluice\":{\"usage_estimated\":true}}", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stream_that_ends_without_all_its_finishes_folds_to_an_error()
    {
        var fold = CompletionDialect.Instance.CreateFold();
        fold.Add(Encoding.UTF8.GetBytes($"data: {Prefix}{{\"index\":0,\"text\":\"a\",\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"));
        fold.End();
        Assert.Equal(500, fold.Error!.Status);
    }

    [Fact]
    public void Members_that_nobody_knows_and_other_log_probabilities_stay()
    {
        var folded = Fold(
            $"data: {Prefix}{{\"index\":0,\"text\":\"a\",\"logprobs\":{{\"content\":[{{\"token\":\"a\"}}]}},\"finish_reason\":null,\"token_ids\":[1]}}],\"system_fingerprint\":\"f\"}}\n\n"
            + $"data: {Prefix}{{\"index\":0,\"text\":\"b\",\"logprobs\":{{\"content\":[{{\"token\":\"b\"}}]}},\"finish_reason\":\"stop\",\"token_ids\":[2]}}]}}\n\ndata: [DONE]\n\n");
        Assert.Contains("\"logprobs\":{\"content\":[{\"token\":\"a\"},{\"token\":\"b\"}]}", folded, StringComparison.Ordinal);
        Assert.Contains("\"token_ids\":[1,2]", folded, StringComparison.Ordinal);
        Assert.Contains("\"system_fingerprint\":\"f\"", folded, StringComparison.Ordinal);
    }

    [Fact]
    public void A_whole_answer_of_an_upstream_is_one_chunk_of_a_stream()
    {
        var events = new EventBuffer();
        CompletionDialect.Instance.WriteStreamed("{\n\"choices\":[]\r\n}"u8, events);
        Assert.Equal("data: {\"choices\":[]}\n\n", Encoding.UTF8.GetString(events[0]));
    }
}
