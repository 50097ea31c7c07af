using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Xunit;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>A stream folded: N-01, U-02, U-06, S-12, S-13.</summary>
public sealed class ChatCompletionFoldTests
{
    private const string Usage =
        """{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}""";

    private readonly EventBuffer _stream = new();
    private readonly ChatCompletionFold _fold = new();
    private readonly ChatChunkWriter _writer = new("chatcmpl-1", 1_700_000_000, "m", includeUsage: true, serviceTier: "default", "fp_1");

    [Fact]
    public void A_stream_becomes_the_documented_object()
    {
        _writer.WriteRole(_stream, 0, logprobs: false);
        ChatChunkWriter.WriteHeartbeat(_stream);
        _writer.WriteContent(_stream, 0, "He\n"u8);
        _writer.WriteContent(_stream, 0, "\"llo\" 😀"u8);
        _writer.WriteFinish(_stream, 0, "stop"u8);
        _writer.WriteUsage(_stream, new AnswerUsage(9, 0, 2));
        ChatChunkWriter.WriteDone(_stream);
        AssertFolded(
            """{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"He\n\"llo\" 😀","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":"""
            + Usage + ""","service_tier":"default","system_fingerprint":"fp_1"}""");
    }

    [Fact]
    public void Choices_are_in_order_whatever_the_order_of_their_chunks()
    {
        var writer = new ChatChunkWriter("i", 1, "m", includeUsage: false, serviceTier: null);
        foreach (var index in (int[])[0, 1, 2]) writer.WriteRole(_stream, index, logprobs: false);
        foreach (var index in (int[])[2, 0, 1, 0, 2]) writer.WriteContent(_stream, index, [(byte)('a' + index)]);
        foreach (var index in (int[])[1, 2, 0]) writer.WriteFinish(_stream, index, index == 1 ? "length"u8 : "stop"u8);
        ChatChunkWriter.WriteDone(_stream);
        AssertFolded(
            """{"id":"i","object":"chat.completion","created":1,"model":"m","choices":["""
            + """{"index":0,"message":{"role":"assistant","content":"aa","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"},"""
            + """{"index":1,"message":{"role":"assistant","content":"b","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"length"},"""
            + """{"index":2,"message":{"role":"assistant","content":"cc","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}]}""");
    }

    [Fact]
    public void An_empty_answer_is_an_empty_string()
    {
        _writer.WriteRole(_stream, 0, logprobs: false);
        _writer.WriteFinish(_stream, 0, "stop"u8);
        ChatChunkWriter.WriteDone(_stream);
        Assert.Contains("\"content\":\"\",", Fold(), StringComparison.Ordinal);
    }

    [Fact]
    public void Log_probabilities_are_merged_into_one_list()
    {
        _writer.WriteRole(_stream, 0, logprobs: true);
        _writer.WriteContent(_stream, 0, "a"u8, [new("a"u8.ToArray(), -0.5f)], hasLogprobs: true);
        _writer.WriteContent(_stream, 0, "b"u8, [], hasLogprobs: true);
        _writer.WriteContent(_stream, 0, "cé"u8, [new("c"u8.ToArray(), -1), new("é"u8.ToArray(), -2, [new("é"u8.ToArray(), -2)])], hasLogprobs: true);
        _writer.WriteFinish(_stream, 0, "stop"u8);
        ChatChunkWriter.WriteDone(_stream);
        Assert.Contains(
            "\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[]},{\"token\":\"c\",\"logprob\":-1.0,\"bytes\":[99],\"top_logprobs\":[]},"
            + "{\"token\":\"é\",\"logprob\":-2.0,\"bytes\":[195,169],\"top_logprobs\":[{\"token\":\"é\",\"logprob\":-2.0,\"bytes\":[195,169]}]}],\"refusal\":null},\"finish_reason\":\"stop\"",
            Fold(),
            StringComparison.Ordinal);
    }

    // The shape that was recorded for refusals: content null, then pieces of refusal.
    [Fact]
    public void A_refusal_has_no_content()
    {
        Write("""{"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":""},"logprobs":null,"finish_reason":null}]}""");
        Write("""{"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"refusal":"I'm"},"logprobs":{"content":null,"refusal":[1]},"finish_reason":null}]}""");
        Write("""{"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}""");
        ChatChunkWriter.WriteDone(_stream);
        Assert.Contains(
            "\"content\":null,\"refusal\":\"I'm\",\"annotations\":[]},\"logprobs\":{\"content\":null,\"refusal\":[1]},\"finish_reason\":\"stop\"", Fold(), StringComparison.Ordinal);
    }

    [Fact]
    public void Any_stream_folds_to_its_joined_texts_however_it_is_handed_over()
    {
        var random = new Random(20264);
        for (var run = 0; run < 200; run++)
        {
            var output = new EventBuffer();
            var choices = Enumerable.Range(0, random.Next(1, 4)).Select(_ => new StringBuilder()).ToArray();
            var borders = new List<int>();
            for (var i = 0; i < choices.Length; i++) _writer.WriteRole(output, i, logprobs: false);
            for (var piece = random.Next(20); piece > 0; piece--)
            {
                var index = random.Next(choices.Length);
                var text = ArbitraryText.Next(random, 8);
                choices[index].Append(text);
                _writer.WriteContent(output, index, Encoding.UTF8.GetBytes(text));
                if (random.Next(3) == 0) borders.Add(output.WrittenCount);
            }

            for (var i = 0; i < choices.Length; i++) _writer.WriteFinish(output, i, "stop"u8);
            ChatChunkWriter.WriteDone(output);

            var fold = new ChatCompletionFold();
            var start = 0;
            foreach (var border in borders.Append(output.WrittenCount))
            {
                fold.Add(output.WrittenSpan[start..border]);
                start = border;
            }

            var folded = new EventBuffer();
            fold.WriteTo(folded);
            using var document = JsonDocument.Parse(folded.WrittenMemory);
            Assert.Equal(
                choices.Select(text => text.ToString()),
                document.RootElement.GetProperty("choices").EnumerateArray().Select(choice => choice.GetProperty("message").GetProperty("content").GetString()));
        }
    }

    [Fact]
    public void An_error_event_ends_the_fold_with_its_error()
    {
        _writer.WriteRole(_stream, 0, logprobs: false);
        ChatChunkWriter.WriteError(_stream, ApiErrors.ServerError("broken"));
        ChatChunkWriter.WriteDone(_stream);
        _fold.Add(_stream.WrittenSpan);
        Assert.False(_fold.IsDone);
        Assert.Equal(ApiErrors.ServerError("broken"), _fold.Error);
        Assert.Throws<InvalidOperationException>(() => _fold.WriteTo(new EventBuffer()));
    }

    [Theory]
    [InlineData("data: nonsense\n\n")]
    [InlineData("data: {\n\n")]
    [InlineData("data: 42\n\n")]
    [InlineData("data: {}\n\n")]
    [InlineData("data: {\"error\":null}\n\n")]
    [InlineData("data: {\"id\":\"i\",\"created\":\"x\",\"model\":\"m\",\"choices\":[]}\n\n")]
    [InlineData("data: {\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[7]}\n\n")]
    [InlineData("data: {\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":-1,\"delta\":{}}]}\n\n")]
    [InlineData("data: {\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":128,\"delta\":{}}]}\n\n")]
    [InlineData("data: {\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":7}}]}\n\n")]
    [InlineData("data: {\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{}}]}\n\ndata: [DONE]\n\n")]
    [InlineData("data: [DONE]\n\n")]
    public void A_stream_that_is_none_or_unfinished_is_a_server_error(string events)
    {
        _fold.Add(Encoding.UTF8.GetBytes(events));
        Assert.False(_fold.IsDone);
        Assert.Equal((500, "server_error"), (_fold.Error?.Status, _fold.Error?.Type));
    }

    [Fact]
    public void A_completion_is_bounded()
    {
        _writer.WriteContent(_stream, 0, new byte[ProtocolLimits.CompletionBytesMax / 16 / 6]); // six bytes each, once escaped
        for (var i = 0; i < 15; i++) _fold.Add(_stream.WrittenSpan);
        Assert.Null(_fold.Error);
        for (var i = 0; i < 2; i++) _fold.Add(_stream.WrittenSpan);
        Assert.Equal("server_error", _fold.Error?.Type);
    }

    [Fact]
    public void Part_of_an_event_is_the_callers_mistake()
    {
        Assert.Throws<ArgumentException>(() => _fold.Add("data: {}\n"u8));
        Assert.Throws<InvalidOperationException>(() => _fold.WriteTo(_stream));
    }

    private void Write(string payload) => _stream.Write(Encoding.UTF8.GetBytes($"data: {payload}\n\n"));

    private string Fold()
    {
        _fold.Add(_stream.WrittenSpan);
        Assert.Null(_fold.Error);
        Assert.True(_fold.IsDone);
        var output = new EventBuffer();
        _fold.WriteTo(output);
        using var _ = JsonDocument.Parse(output.WrittenMemory);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private void AssertFolded(string expected) => Assert.Equal(expected, Fold());
}
