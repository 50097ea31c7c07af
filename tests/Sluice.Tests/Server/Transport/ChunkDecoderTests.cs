using System.Text;
using Sluice.Server.Transport;
using Xunit;

namespace Sluice.Tests.Server.Transport;

public sealed class ChunkDecoderTests
{
    // As in RFC 9112, 7.1, with an extension, a quoted one among them, and a trailer.
    private const string Coded = "4\r\nWiki\r\n7;name=\"a;b\"\r\npedia i\r\nB \r\nn \r\nchunks.\r\n0\r\nExpires: Wed, 21 Oct 2015\r\n\r\n";
    private const string Content = "Wikipedia in \r\nchunks.";

    [Fact]
    public void A_body_is_the_same_wherever_it_is_cut()
    {
        var bytes = Encoding.ASCII.GetBytes(Coded);
        for (var first = 0; first <= bytes.Length; first++)
        {
            for (var second = first; second <= bytes.Length; second++)
            {
                var decoder = new ChunkDecoder();
                var content = new StringBuilder();
                foreach (var range in new Range[] { Range.EndAt(first), new(first, second), Range.StartAt(second) })
                {
                    var piece = bytes[range];
                    var count = decoder.Decode(piece, out var used);
                    Assert.Equal(piece.Length, used);
                    content.Append(Encoding.ASCII.GetString(piece, 0, count));
                }
                Assert.Equal(Content, content.ToString());
                Assert.True(decoder.HasEnded);
            }
        }
    }

    [Fact]
    public void What_follows_the_end_is_not_of_the_body()
    {
        var decoder = new ChunkDecoder();
        var bytes = "1\r\na\r\n0\r\n\r\nHTTP/1.1"u8.ToArray();
        Assert.Equal(1, decoder.Decode(bytes, out var used));
        Assert.Equal(bytes.Length - "HTTP/1.1".Length, used);
    }

    [Theory]
    [InlineData("4\nWiki\n0\n\n")]
    [InlineData("4\r\nWiki\n0\r\n\r\n")]
    public void Ends_of_lines_may_lack_their_carriage_return(string coded)
    {
        var decoder = new ChunkDecoder();
        var bytes = Encoding.ASCII.GetBytes(coded);
        Assert.Equal("Wiki", Encoding.ASCII.GetString(bytes, 0, decoder.Decode(bytes, out _)));
        Assert.True(decoder.HasEnded);
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("data: {}\r\n")]
    [InlineData("-1\r\n")]
    [InlineData("4\r\nWikip")]
    [InlineData("4\rWiki")]
    [InlineData("1234567890abcdef\r\n")]
    public void What_is_no_chunk_is_an_error(string coded) =>
        Assert.Throws<IOException>(() => new ChunkDecoder().Decode(Encoding.ASCII.GetBytes(coded), out _));
}
