using System.Text;
using Sluice.Server.Transport;
using Xunit;

namespace Sluice.Tests.Server.Transport;

public sealed class ReplyHeadTests
{
    private static ReplyHead Read(string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        Assert.Equal(bytes.Length, ReplyHead.FindEnd(bytes));
        return ReplyHead.Read(bytes);
    }

    [Fact]
    public void Fields_are_found_in_any_case_and_several_are_joined()
    {
        var head = Read("HTTP/1.1 200 OK\r\ncontent-TYPE:  text/event-stream ; charset=utf-8 \r\nVary: a\r\nno field\r\nvary: b\r\nConnection: Keep-Alive, CLOSE\r\n\r\n");
        Assert.Equal(200, head.Status);
        Assert.Equal("text/event-stream ; charset=utf-8", head.Find("Content-Type"));
        Assert.Equal("a, b", head.Find("Vary"));
        Assert.True(head.Has("connection"u8, "close"u8));
        Assert.Null(head.Find("Location"));
    }

    [Theory]
    [InlineData("HTTP/1.1 204 No Content\n\n", 204)]
    [InlineData("HTTP/1.1 429\r\n\r\n", 429)]
    [InlineData("HTTP/1.0 503 Out\r\nA: b\n\r\n", 503)]
    public void Reasons_and_carriage_returns_may_be_missing(string text, int status) => Assert.Equal(status, Read(text).Status);

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n")]
    [InlineData("HTTP/2 200\r\n\r\n")]
    [InlineData("HTTP/1.1 20 OK\r\n\r\n")]
    [InlineData("HTTP/1.1 2000 OK\r\n\r\n")]
    public void Other_protocols_are_an_error(string text) => Assert.Throws<IOException>(() => Read(text));

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n")]
    public void Lengths_that_are_none_are_an_error(string text) => Assert.Throws<IOException>(() => Read(text).ReadLength());

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK")]
    [InlineData("HTTP/1.1 200 OK\r\nA: b\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nA: b\r\n\r")]
    public void A_head_ends_with_a_blank_line(string text) => Assert.Equal(-1, ReplyHead.FindEnd(Encoding.ASCII.GetBytes(text)));
}
