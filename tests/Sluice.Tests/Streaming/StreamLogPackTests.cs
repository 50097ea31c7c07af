using System.Buffers;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class StreamLogPackTests
{
    private static readonly PackedBlocks s_blocks = new(new StreamLimits());

    private static string Read(StreamLogReader reader, int bytesMax = int.MaxValue)
    {
        var output = new ArrayBufferWriter<byte>();
        reader.TryRead(output, bytesMax);
        return System.Text.Encoding.ASCII.GetString(output.WrittenSpan);
    }

    private static StreamLog Log(int count, int hotBytes = 1 << 20)
    {
        var log = new StreamLog(new StreamLimits { HotBytes = hotBytes });
        for (var i = 0; i < count; i++) log.Append(System.Text.Encoding.ASCII.GetBytes($"{i:D10}"));
        return log;
    }

    // 20 events of 10 bytes, and 4 for the end of each.
    [Fact]
    public void AShortLog_TakesItsEventsAndTheirEnds()
    {
        using var log = Log(20);
        Assert.Equal(8 << 10, log.HeldBytes);
        log.Complete();
        log.Pack(s_blocks);
        Assert.Equal(20 * 14, log.HeldBytes);
        log.Pack(s_blocks);
        Assert.Equal(20 * 14, log.HeldBytes);
    }

    [Fact]
    public void ALogWithoutEvents_TakesNothing()
    {
        using var log = Log(0);
        log.Cancel();
        log.Pack(s_blocks);
        Assert.Equal(0, log.HeldBytes);
        using var reader = log.TryOpenReader()!;
        Assert.Equal(ReadOutcome.Ended, reader.TryRead(new ArrayBufferWriter<byte>()));
    }

    // 8192 / 14 = 585 events fill a segment, and there are 15 in the second one.
    [Fact]
    public void FullSegmentsAreMovedToo()
    {
        using var log = Log(600);
        log.Complete();
        log.Pack(s_blocks);
        Assert.Equal(600 * 14, log.HeldBytes);
        using var reader = log.TryOpenReader(580)!;
        Assert.Equal(string.Concat(Enumerable.Range(580, 20).Select(i => $"{i:D10}")), Read(reader));
    }

    // 100 bytes are kept: the last ten of them.
    [Fact]
    public void WhatWasDropped_IsNotPacked()
    {
        using var log = Log(20, hotBytes: 100);
        log.Complete();
        log.Pack(s_blocks);
        Assert.Equal(10 * 14, log.HeldBytes);
        using var late = log.TryOpenReader(9)!;
        using var reader = log.TryOpenReader(10)!;
        Assert.Equal(ReadOutcome.OffsetLost, late.TryRead(new ArrayBufferWriter<byte>()));
        Assert.Equal("00000000100000000011", Read(reader, 20));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(20)]
    public void AReaderGoesOnWhereItIs(int position)
    {
        using var log = Log(20);
        using var reader = log.TryOpenReader()!;
        if (position > 0) Read(reader, 10 * position);
        Assert.Equal(position, reader.Position);
        log.Complete();
        log.Pack(s_blocks);
        Assert.Equal(string.Concat(Enumerable.Range(position, 20 - position).Select(i => $"{i:D10}")), Read(reader));
        Assert.Equal(ReadOutcome.Ended, reader.TryRead(new ArrayBufferWriter<byte>()));
    }

    [Fact]
    public void WhatIsPackedWhileAReaderCopies_StaysForTheReader()
    {
        using var log = Log(20);
        using var reader = log.TryOpenReader()!;
        log.Complete();
        var output = new PackingWriter(log);
        Assert.Equal(ReadOutcome.Events, reader.TryRead(output));
        Assert.Equal(string.Concat(Enumerable.Range(0, 20).Select(i => $"{i:D10}")), System.Text.Encoding.ASCII.GetString(output.Bytes.WrittenSpan));
        Assert.Equal(20 * 14, log.HeldBytes);
    }

    // A block of 1,000 bytes has room for eight parts of 125: 8 events of 10 bytes and their ends are 112.
    [Fact]
    public void LogsShareABlock_ThatIsUsedAgainWhenTheLastIsGone()
    {
        var blocks = new PackedBlocks(new StreamLimits { PackedBlockBytes = 1000, FreeBlocksMax = 1 });
        var logs = Enumerable.Range(0, 17).Select(_ => Log(8)).ToList();
        foreach (var log in logs)
        {
            log.Complete();
            log.Pack(blocks);
        }
        // Eight logs are in each of the first two blocks, and one in the third.
        foreach (var log in logs[..7]) log.Dispose();
        Assert.Equal(0, blocks.FreeCount);
        using (var reader = logs[7].TryOpenReader()!) Assert.Equal(string.Concat(Enumerable.Range(0, 8).Select(i => $"{i:D10}")), Read(reader));
        logs[7].Dispose();
        Assert.Equal(1, blocks.FreeCount);
        // More than one doesn't wait.
        foreach (var log in logs[8..16]) log.Dispose();
        Assert.Equal(1, blocks.FreeCount);

        // What is written into a block that is used again touches nobody else.
        foreach (var _ in Enumerable.Range(0, 8))
        {
            using var other = Log(8, hotBytes: 20);
            other.Complete();
            other.Pack(blocks);
        }
        using (var reader = logs[16].TryOpenReader()!) Assert.Equal(string.Concat(Enumerable.Range(0, 8).Select(i => $"{i:D10}")), Read(reader));
        logs[16].Dispose();
    }

    [Fact]
    public void AnEventTooLargeForABlock_HasAnArrayOfItsOwn()
    {
        var blocks = new PackedBlocks(new StreamLimits { PackedBlockBytes = 1000 });
        using var log = new StreamLog();
        log.Append(new byte[126]);
        log.Complete();
        log.Pack(blocks);
        Assert.Equal(130, log.HeldBytes);
        Assert.Null(blocks.TryTake(126, out _));
        Assert.NotNull(blocks.TryTake(125, out _));
    }

    [Fact]
    public void ADisposedLogIsLeftAlone()
    {
        var log = Log(3);
        log.Complete();
        log.Dispose();
        log.Pack(s_blocks);
        Assert.Equal(0, log.HeldBytes);
    }

    // The log is packed and its slot, if it were free, overwritten between the moment that the reader has found its bytes and the one that it copies them.
    private sealed class PackingWriter(StreamLog log) : IBufferWriter<byte>
    {
        public ArrayBufferWriter<byte> Bytes { get; } = new();

        public void Advance(int count) => Bytes.Advance(count);

        public Memory<byte> GetMemory(int sizeHint = 0) => Bytes.GetMemory(sizeHint);

        public Span<byte> GetSpan(int sizeHint = 0)
        {
            log.Pack(s_blocks);
            foreach (var other in Enumerable.Range(0, 3).Select(static _ => new StreamLog()).ToList())
            {
                other.GetSpan(8000).Fill(0xEE);
                other.Cancel();
                other.Dispose();
            }
            return Bytes.GetSpan(sizeHint);
        }
    }
}
