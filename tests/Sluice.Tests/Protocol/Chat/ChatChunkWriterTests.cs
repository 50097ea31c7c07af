using System.Text;
using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.Chat;

/// <summary>The bytes of a stream: S-01 to S-11, U-04, U-05, C-01, C-02, R-14.</summary>
public sealed class ChatChunkWriterTests
{
    private const string Start = """data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[""";

    private readonly EventBuffer _output = new();
    private readonly ChatChunkWriter _plain = new("chatcmpl-1", 1_700_000_000, "m", includeUsage: false, serviceTier: null);
    private readonly ChatChunkWriter _full = new("chatcmpl-1", 1_700_000_000, "m", includeUsage: true, serviceTier: "default", "fp_1");

    [Fact]
    public void The_role_chunk_has_the_recorded_shape()
    {
        _plain.WriteRole(_output, 0, logprobs: false);
        AssertWritten(Start + """{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}""");
    }

    [Fact]
    public void With_log_probabilities_the_role_chunk_has_an_empty_list()
    {
        _plain.WriteRole(_output, 2, logprobs: true);
        AssertWritten(Start + """{"index":2,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":{"content":[],"refusal":null},"finish_reason":null}]}""");
    }

    [Fact]
    public void A_content_chunk_has_content_only()
    {
        _plain.WriteContent(_output, 127, "Hi"u8);
        AssertWritten(Start + """{"index":127,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]}""");
    }

    [Fact]
    public void The_finish_chunk_has_an_empty_delta()
    {
        _plain.WriteFinish(_output, 0, "stop"u8);
        AssertWritten(Start + """{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}""");
    }

    [Fact]
    public void Tier_fingerprint_and_null_usage_stand_where_the_API_has_them()
    {
        _full.WriteContent(_output, 0, "Hi"u8);
        AssertWritten(
            """data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],"usage":null}""");
    }

    [Fact]
    public void The_usage_chunk_has_no_choices_and_sums()
    {
        _plain.WriteUsage(_output, new AnswerUsage(int.MaxValue, 3, 7, 2));
        AssertWritten(
            Start + """],"usage":{"prompt_tokens":2147483647,"completion_tokens":7,"total_tokens":2147483654,"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":2,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}""");
    }

    [Fact]
    public void The_ends_are_exact()
    {
        ChatChunkWriter.WriteDone(_output);
        ChatChunkWriter.WriteHeartbeat(_output);
        Assert.Equal("data: [DONE]\n\n: keep-alive\n\n", Encoding.UTF8.GetString(_output.WrittenSpan));
    }

    [Fact]
    public void An_error_event_begins_with_the_error_and_stays_on_one_line()
    {
        ChatChunkWriter.WriteError(_output, ApiErrors.ServerError("two\nlines\r\n\"quoted\" \u0001 \ud83d"));
        AssertWritten("""data: {"error":{"message":"two\nlines\r\n\"quoted\" \u0001 """ + "\uFFFD\"" + ""","type":"server_error","param":null,"code":null}}""");
    }

    [Fact]
    public void Only_what_JSON_demands_is_escaped()
    {
        _plain.WriteContent(_output, 0, "a\"\\/\b\f\n\r\t\0\u001f\u007f<>&'+é\u2028😀"u8);
        AssertWritten(Start + "{\"index\":0,\"delta\":{\"content\":\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u007f<>&'+é\u2028😀\"},\"logprobs\":null,\"finish_reason\":null}]}");
    }

    [Fact]
    public void Log_probabilities_have_token_bytes_and_always_a_list_of_alternatives()
    {
        // The emoji's four bytes, split over two tokens as byte-level vocabularies do.
        DeltaLogprob[] tokens =
        [
            new(" a\n"u8.ToArray(), -0.25f, [new(" a\n"u8.ToArray(), -0.25f), new(" b"u8.ToArray(), -1.5e-7f)]),
            new((byte[])[0xF0, 0x9F], -0f),
            new((byte[])[0x98, 0x80], float.NegativeInfinity),
            new(ReadOnlyMemory<byte>.Empty, float.NaN),
        ];
        _plain.WriteContent(_output, 0, " a\n😀"u8, tokens, hasLogprobs: true);
        AssertWritten(
            Start + """{"index":0,"delta":{"content":" a\n😀"},"logprobs":{"content":[{"token":" a\n","logprob":-0.25,"bytes":[32,97,10],"top_logprobs":[{"token":" a\n","logprob":-0.25,"bytes":[32,97,10]},{"token":" b","logprob":-1.5E-07,"bytes":[32,98]}]},{"token":"""
            + "\"\uFFFD\"" + ""","logprob":0.0,"bytes":[240,159],"top_logprobs":[]},{"token":""" + "\"\uFFFD\uFFFD\""
            + ""","logprob":-9999.0,"bytes":[152,128],"top_logprobs":[]},{"token":"","logprob":-9999.0,"bytes":[],"top_logprobs":[]}],"refusal":null},"finish_reason":null}]}""");
    }

    [Fact]
    public void Asked_for_log_probabilities_are_a_list_even_when_there_are_none()
    {
        _plain.WriteContent(_output, 0, "a"u8, [], hasLogprobs: true);
        AssertWritten(Start + """{"index":0,"delta":{"content":"a"},"logprobs":{"content":[],"refusal":null},"finish_reason":null}]}""");
    }

    [Fact]
    public void Every_text_reads_back_as_it_was_written()
    {
        var random = new Random(20261);
        for (var i = 0; i < 2000; i++)
        {
            var text = ArbitraryText.Next(random, i % 100 == 0 ? 5000 : 40);
            _output.Clear();
            (i % 2 == 0 ? _plain : _full).WriteContent(_output, 0, Encoding.UTF8.GetBytes(text));
            using var chunk = ParseSingleEvent();
            Assert.Equal(text, chunk.RootElement.GetProperty("choices")[0].GetProperty("delta").GetProperty("content").GetString());
            Assert.False(chunk.RootElement.TryGetProperty("error", out _));
        }
    }

    [Fact]
    public void Arbitrary_bytes_still_give_valid_JSON()
    {
        var random = new Random(20262);
        for (var i = 0; i < 2000; i++)
        {
            var bytes = new byte[random.Next(40)];
            random.NextBytes(bytes);
            _output.Clear();
            _plain.WriteContent(_output, 0, bytes, [new(bytes, -1)], hasLogprobs: true);
            using var chunk = ParseSingleEvent();
            var choice = chunk.RootElement.GetProperty("choices")[0];

            // The decoder of the platform replaces in the same way.
            Assert.Equal(Encoding.UTF8.GetString(bytes), choice.GetProperty("delta").GetProperty("content").GetString());
            var token = choice.GetProperty("logprobs").GetProperty("content")[0];
            Assert.Equal(bytes, token.GetProperty("bytes").EnumerateArray().Select(value => value.GetByte()));
        }
    }

    [Fact]
    public void Every_log_probability_is_a_JSON_number_that_reads_back()
    {
        var random = new Random(20263);
        for (var i = 0; i < 5000; i++)
        {
            var value = -BitConverter.Int32BitsToSingle(random.Next(0x461C3C00)); // 0 to 9999
            _output.Clear();
            _plain.WriteContent(_output, 0, "a"u8, [new("a"u8.ToArray(), value)], hasLogprobs: true);
            using var chunk = ParseSingleEvent();
            var number = chunk.RootElement.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content")[0].GetProperty("logprob");
            Assert.Equal(value == 0 ? 0 : value, number.GetSingle());
            Assert.True(number.GetRawText().AsSpan().IndexOfAny('.', 'E') >= 0);
        }
    }

    [Fact]
    public void A_content_chunk_allocates_nothing()
    {
        var text = "Hello, \"wörld\"\n"u8.ToArray();
        var output = new EventBuffer(1 << 16);
        for (var i = 0; i < 1000; i++) WriteOne();
        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 10_000; i++) WriteOne();
        }));

        void WriteOne()
        {
            output.Clear();
            _full.WriteContent(output, 3, text);
        }
    }

    private JsonDocument ParseSingleEvent()
    {
        var written = _output.WrittenSpan;
        Assert.True(written.StartsWith("data: {"u8));
        Assert.True(written.EndsWith("}\n\n"u8));
        Assert.Equal(written.Length - 2, written.IndexOf((byte)'\n'));
        Assert.Equal(-1, written.IndexOf((byte)'\r'));
        return JsonDocument.Parse(_output.WrittenMemory["data: ".Length..^2]);
    }

    private void AssertWritten(string expected)
    {
        Assert.Equal(expected + "\n\n", Encoding.UTF8.GetString(_output.WrittenSpan));
        using var _ = ParseSingleEvent();
    }
}
