using System.Net.ServerSentEvents;
using System.Text;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Protocol.ServerSentEvents;

/// <summary>Reading event streams: every framing that is legal, cut in every way.</summary>
public sealed class ServerSentEventReaderTests
{
    // Expected: type, then data, of each event, joined by |; a line feed in the data as ¶.
    [Theory]
    [InlineData("data: a\n\n", "message=a")]
    [InlineData("data:a\n\n", "message=a")]
    [InlineData("data:  a\n\n", "message= a")]
    [InlineData("data: a\ndata: b\n\n", "message=a¶b")]
    [InlineData("data\n\n", "message=")]
    [InlineData("data:\n\n", "message=")]
    [InlineData("data: a", "")]
    [InlineData("data: a\n", "")]
    [InlineData("data: a\n\ndata: b\n", "message=a")]
    [InlineData(": hi\n\ndata: a\n\n", "message=a")]
    [InlineData(":\n:\n\n\n\ndata: a\n\n", "message=a")]
    [InlineData("event: ping\n\ndata: a\n\n", "message=a")]
    [InlineData("event: e\ndata: a\n\ndata: b\n\n", "e=a|message=b")]
    [InlineData("retry: 3000\n\ndata: a\n\n", "message=a")]
    [InlineData("foo: x\ndata: a\nfoo\n\n", "message=a")]
    [InlineData("\uFEFFdata: a\n\n", "message=a")]
    [InlineData("data: é漢😀\n\n", "message=é漢😀")]
    [InlineData("\ndata: a\n\n", "message=a")]
    [InlineData("data: a:b: c\n\n", "message=a:b: c")]
    public async Task Every_framing_is_read_however_it_is_cut(string text, string expected)
    {
        foreach (var variant in Fragmenter.LineEndings(text))
        {
            foreach (var fragments in Fragmenter.Fragment(Encoding.UTF8.GetBytes(variant))) Assert.Equal(expected, await ReadAsync(fragments));
        }
    }

    // The four examples of the HTML standard's section 9.2.
    [Theory]
    [InlineData("data: YHOO\ndata: +2\ndata: 10\n\n", "message=YHOO¶+2¶10")]
    [InlineData(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n", "message=first event|message=second event")]
    [InlineData("data\n\ndata\ndata\n\ndata:\n", "message=|message=¶")]
    [InlineData("data:test\n\ndata: test\n\n", "message=test|message=test")]
    public async Task The_standards_examples_are_read_as_it_says(string text, string expected)
    {
        foreach (var variant in Fragmenter.LineEndings(text))
        {
            foreach (var fragments in Fragmenter.Fragment(Encoding.UTF8.GetBytes(variant))) Assert.Equal(expected, await ReadAsync(fragments));
        }
    }

    [Fact]
    public async Task Line_ends_may_be_mixed() =>
        Assert.Equal("message=a¶b|message=c", await ReadAsync([Encoding.UTF8.GetBytes("data: a\r\ndata: b\n\rdata: c\r\r\n")]));

    [Fact]
    public async Task An_event_is_returned_before_anything_follows_it()
    {
        foreach (var text in Fragmenter.LineEndings("data: a\n\n"))
        {
            // The second read fails: the event has to come from the first.
            var events = ServerSentEventReader.ReadAsync(new BrokenStream(Encoding.UTF8.GetBytes(text)), cancellationToken: TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
            Assert.True(await events.MoveNextAsync());
            Assert.Equal("a"u8, events.Current.Data.Span);
            await Assert.ThrowsAsync<IOException>(async () => await events.MoveNextAsync());
            await events.DisposeAsync();
        }
    }

    [Fact]
    public async Task The_id_holds_until_another_comes()
    {
        var ids = new List<string?>();
        await foreach (var item in ServerSentEventReader.ReadAsync(
            new MemoryStream(Encoding.UTF8.GetBytes("data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid\ndata: d\n\n")), cancellationToken: TestContext.Current.CancellationToken))
        {
            ids.Add(item.Id);
        }

        Assert.Equal([null, "1", "1", null], ids);
    }

    [Theory]
    [InlineData("data: 1\n\ndata: 2345\n\n", 10, 100, "message=1|message=2345")]
    [InlineData("data: 1\n\ndata: 23456\n\ndata: 7\n\n", 10, 100, "message=1|InvalidDataException")]
    [InlineData("data: 1\n\n: 345678901\n\n", 10, 100, "message=1|InvalidDataException")]
    [InlineData("data: 1\n\ndata: 2\ndata: 3\n\n", 10, 14, "message=1|message=2¶3")]
    [InlineData("data: 1\n\ndata: 2\ndata: 3\n\n", 10, 13, "message=1|InvalidDataException")]
    [InlineData("0123456789", 9, 100, "InvalidDataException")]
    public async Task Lines_and_events_are_bounded(string text, int lineBytesMax, int eventBytesMax, string expected)
    {
        foreach (var variant in Fragmenter.LineEndings(text))
        {
            foreach (var fragments in Fragmenter.Fragment(Encoding.UTF8.GetBytes(variant)))
            {
                Assert.Equal(expected, await ReadAsync(fragments, lineBytesMax, eventBytesMax));
            }
        }
    }

    [Fact]
    public async Task A_line_without_end_is_not_gathered()
    {
        // 1 GiB of one line, of which no more than the bound and a buffer may be read.
        var endless = new EndlessLine(1L << 30);
        await Assert.ThrowsAsync<InvalidDataException>(async () =>
        {
            await foreach (var _ in ServerSentEventReader.ReadAsync(endless, lineBytesMax: 100_000, cancellationToken: TestContext.Current.CancellationToken))
            {
            }
        });
        Assert.InRange(endless.BytesRead, 100_001, 500_000);
    }

    [Fact]
    public async Task Arbitrary_bytes_never_do_anything_but_read()
    {
        var random = new Random(20265);
        string[] pieces = ["data", ":", " ", "\n", "\r", "\r\n", "\n\n", "event", "id", "retry", "\0", "\uFEFF", "é", "x", "12"];
        for (var run = 0; run < 3000; run++)
        {
            var bytes = new List<byte>();
            for (var i = random.Next(40); i > 0; i--)
            {
                if (random.Next(10) == 0) bytes.Add((byte)random.Next(256));
                else bytes.AddRange(Encoding.UTF8.GetBytes(pieces[random.Next(pieces.Length)]));
            }

            var whole = await ReadAsync([bytes.ToArray()]);
            var bytewise = await ReadAsync([.. bytes.Select(value => new ReadOnlyMemory<byte>([value]))]);
            Assert.Equal(whole, bytewise);
        }
    }

    // Without type fields, which that parser lets stand for a later event; and it waits for more after a last carriage return.
    [Fact]
    public async Task The_platforms_parser_finds_the_same_data()
    {
        var random = new Random(20266);
        string[] pieces = ["data", "data:", "data: ", ":", " ", "\n", "\r", "\r\n", "\n\n", "id", "retry", "\uFEFF", "é", "x"];
        for (var run = 0; run < 3000; run++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => pieces[random.Next(pieces.Length)]));
            var bytes = Encoding.UTF8.GetBytes(text);
            var theirs = SseParser.Create(new MemoryStream(bytes)).Enumerate().Select(item => $"message={item.Data.Replace('\n', '¶')}");
            Assert.Equal(string.Join('|', theirs), await ReadAsync([bytes]));
        }
    }

    private static async Task<string> ReadAsync(
        IReadOnlyList<ReadOnlyMemory<byte>> fragments, int lineBytesMax = int.MaxValue, int eventBytesMax = int.MaxValue)
    {
        var events = new List<string>();
        try
        {
            await foreach (var item in ServerSentEventReader.ReadAsync(
                Fragmenter.ToStream(fragments), lineBytesMax, eventBytesMax, TestContext.Current.CancellationToken))
            {
                events.Add($"{item.Type}={Encoding.UTF8.GetString(item.Data.Span).Replace('\n', '¶')}");
            }
        }
        catch (InvalidDataException exception)
        {
            events.Add(exception.GetType().Name);
        }

        return string.Join('|', events);
    }

    private sealed class EndlessLine(long length) : ReadOnlyStream
    {
        public long BytesRead { get; private set; }

        public override int Read(byte[] buffer, int offset, int count)
        {
            count = (int)Math.Min(count, length - BytesRead);
            buffer.AsSpan(offset, count).Fill((byte)'x');
            BytesRead += count;
            return count;
        }
    }

    // The bytes, and then a lost connection.
    private sealed class BrokenStream(byte[] bytes) : ReadOnlyStream
    {
        private bool _isRead;

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (_isRead) throw new IOException("The connection was lost.");
            _isRead = true;
            bytes.CopyTo(buffer, offset);
            return bytes.Length;
        }
    }
}
