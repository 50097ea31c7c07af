using System.Buffers;
using System.Text;
using Sluice.Protocol.Chat.Relay;
using Xunit;

namespace Sluice.Tests.Protocol.Chat.Relay;

public sealed class ContinuedRequestTests
{
    private static string? Write(string body, string beginning = "so \"far\"", int tokens = 3)
    {
        var output = new ArrayBufferWriter<byte>();
        return ContinuedRequest.TryWrite(Encoding.UTF8.GetBytes(body), beginning, tokens, output) ? Encoding.UTF8.GetString(output.WrittenSpan) : null;
    }

    [Fact]
    public void The_beginning_becomes_the_last_message_and_every_other_byte_stays() => Assert.Equal(
        """{"model":"m", "messages":[ {"role":"user","content":"Hi"},{"role":"assistant","content":"so \"far\""}],"x":[1.50],"max_tokens":7,"continue_final_message":true,"add_generation_prompt":false}""",
        Write("""{"model":"m", "messages":[ {"role":"user","content":"Hi"} ],"x":[1.50],"max_tokens":10}"""));

    [Theory]
    [InlineData("\"max_tokens\":3")]
    [InlineData("\"max_completion_tokens\":2")]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}")]
    [InlineData("\"guided_regex\":\"a+\"")]
    public void What_can_not_be_kept_in_the_middle_is_not_asked_for(string parameter) =>
        Assert.Null(Write($$"""{"messages":[{"role":"user","content":"Hi"}],{{parameter}}}"""));

    [Theory]
    [InlineData("\"max_completion_tokens\":4", "\"max_completion_tokens\":1")]
    [InlineData("\"max_tokens\":null", "\"max_tokens\":null")]
    [InlineData("\"response_format\":{\"type\":\"text\"}", "\"response_format\":{\"type\":\"text\"}")]
    public void The_rest_of_the_tokens_is_left(string parameter, string expected) =>
        Assert.Contains(expected, Write($$"""{"messages":[{"role":"user","content":"Hi"}],{{parameter}}}""")!, StringComparison.Ordinal);
}
