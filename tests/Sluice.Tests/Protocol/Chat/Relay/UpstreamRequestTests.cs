using System.Buffers;
using System.Text;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Chat.Relay;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.Chat.Relay;

public sealed class UpstreamRequestTests
{
    [Fact]
    public void A_long_prompt_costs_a_few_bytes_for_each_of_its_own()
    {
        const int PromptBytes = 200_000;
        var body = Encoding.UTF8.GetBytes($$"""{"model":"a","stream":true,"messages":[{"role":"user","content":"{{new string('x', PromptBytes)}}"}]}""");
        var sequence = new ReadOnlySequence<byte>(body);
        var output = new ArrayBufferWriter<byte>(body.Length + 128);
        var allocated = AllocatedBytes.Least(() =>
        {
            Assert.True(ChatCompletionRequestReader.TryRead(sequence, out _, out _));
            output.ResetWrittenCount();
            UpstreamRequest.Write(body, "b", asksForUsage: true, dropsStream: false, output);
        });
        // Two for each character of the text that was read, and little else.
        Assert.InRange(allocated, 0, 3 * PromptBytes);
    }

    [Theory]
    [InlineData(
        """{ "model" : "a", "messages":[{"role":"user","content":"Gr\u00fc\u00dfe \ud83d\ude42"}],"new_field":{"x":[1e3, 2.50]} }""",
        """{ "model" : "b/\"c", "messages":[{"role":"user","content":"Gr\u00fc\u00dfe \ud83d\ude42"}],"new_field":{"x":[1e3, 2.50]} }""", false)]
    [InlineData("""{"stream":false,"model":"b\/\"c","stream_options":null}""", """{"stream":false,"model":"b\/\"c","stream_options":null}""", false)]
    [InlineData("""{"stream":true,"model":"a"}""", """{"stream":true,"model":"b/\"c","stream_options":{"include_usage":true}}""", true)]
    [InlineData(
        """{"stream":true,"model":"a","stream_options":{"include_usage":false,"x":1}}""",
        """{"stream":true,"model":"b/\"c","stream_options":{"include_usage":true,"x":1}}""", true)]
    [InlineData(
        """{"model":"x","mod\u0065l":"y","stream":false,"seed":1,"stream":true}""",
        """{"mod\u0065l":"b/\"c","seed":1,"stream":true,"stream_options":{"include_usage":true}}""", true)]
    public void Only_the_model_and_usage_of_a_stream_change(string body, string expected, bool asksForUsage)
    {
        var output = new ArrayBufferWriter<byte>();
        UpstreamRequest.Write(Encoding.UTF8.GetBytes(body), "b/\"c", asksForUsage, dropsStream: false, output);
        Assert.Equal(expected, Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Fact]
    public void What_an_upstream_has_refused_of_streams_is_left_out()
    {
        var output = new ArrayBufferWriter<byte>();
        UpstreamRequest.Write("""{"stream":true,"model":"a","stream_options":{"x":1},"y":2}"""u8, "a", asksForUsage: false, dropsStream: true, output);
        Assert.Equal("""{"model":"a","y":2}""", Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Theory]
    [InlineData("max_completion_tokens", """{"max_tokens":7,"x":1}""", """{"x":1,"max_completion_tokens":7}""")]
    [InlineData("max_tokens", """{"max_completion_tokens":7,"x":1}""", """{"x":1,"max_tokens":7}""")]
    [InlineData("max_tokens", """{"max_tokens": 7,"x":1}""", """{"max_tokens": 7,"x":1}""")]
    [InlineData("max_tokens", """{"max_tokens":5,"max_completion_tokens":7}""", """{"max_tokens":7}""")]
    [InlineData("max_completion_tokens", """{"max_tokens":5,"max_completion_tokens":7}""", """{"max_completion_tokens":7}""")]
    [InlineData("max_completion_tokens", """{"max_tokens":5,"max_completion_tokens":null}""", """{"max_completion_tokens":5}""")]
    [InlineData("max_completion_tokens", """{"max_tokens":null}""", """{"max_tokens":null}""")]
    [InlineData("max_tokens", """{"max_tokens":3,"max_tokens":4}""", """{"max_tokens":4}""")]
    [InlineData("max_completion_tokens", """{"x":1}""", """{"x":1}""")]
    public void A_limit_of_tokens_gets_the_name_that_the_upstream_knows(string name, string body, string expected)
    {
        var output = new ArrayBufferWriter<byte>();
        UpstreamRequest.Write(Encoding.UTF8.GetBytes($"{{\"model\":\"a\",\"stream\":true,\"stream_options\":{{\"include_usage\":true}},{body[1..]}"), "a", asksForUsage: true, dropsStream: false, output, name);
        Assert.Equal($"{{\"model\":\"a\",\"stream\":true,\"stream_options\":{{\"include_usage\":true}},{expected[1..]}", Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Fact]
    public void A_byte_order_mark_stays_behind()
    {
        var output = new ArrayBufferWriter<byte>();
        UpstreamRequest.Write(Encoding.UTF8.GetBytes("\uFEFF{\"model\":\"a\"}"), "b", asksForUsage: false, dropsStream: false, output);
        Assert.Equal("""{"model":"b"}""", Encoding.UTF8.GetString(output.WrittenSpan));
    }
}
