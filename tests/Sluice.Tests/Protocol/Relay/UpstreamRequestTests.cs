using System.Buffers;
using System.Text;
using Sluice.Protocol.Chat.Relay;
using Xunit;

namespace Sluice.Tests.Protocol.Relay;

public sealed class UpstreamRequestTests
{
    [Theory]
    [InlineData(
        """{ "model" : "a", "messages":[{"role":"user","content":"Gr\u00fc\u00dfe \ud83d\ude42"}],"new_field":{"x":[1e3, 2.50]} }""",
        """{ "model" : "b/\"c", "messages":[{"role":"user","content":"Gr\u00fc\u00dfe \ud83d\ude42"}],"new_field":{"x":[1e3, 2.50]},"stream":true,"stream_options":{"include_usage":true}}""")]
    [InlineData(
        """{"stream":false,"model":"a","stream_options":null}""",
        """{"stream":true,"model":"b/\"c","stream_options":{"include_usage":true}}""")]
    [InlineData(
        """{"stream":true,"model":"a","stream_options":{"include_usage":false,"x":1}}""",
        """{"stream":true,"model":"b/\"c","stream_options":{"include_usage":true,"x":1}}""")]
    [InlineData(
        """{"model":"x","mod\u0065l":"y","stream":false,"seed":1,"stream":true}""",
        """{"mod\u0065l":"b/\"c","seed":1,"stream":true,"stream_options":{"include_usage":true}}""")]
    public void Only_model_and_stream_change(string body, string expected)
    {
        var output = new ArrayBufferWriter<byte>();
        UpstreamRequest.Write(Encoding.UTF8.GetBytes(body), "b/\"c", output);
        Assert.Equal(expected, Encoding.UTF8.GetString(output.WrittenSpan));
    }
}
