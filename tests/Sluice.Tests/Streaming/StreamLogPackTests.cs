using System.Buffers;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class StreamLogPackTests
{
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
        log.Pack();
        Assert.Equal(20 * 14, log.HeldBytes);
        log.Pack();
        Assert.Equal(20 * 14, log.HeldBytes);
    }

    [Fact]
    public void ALogWithoutEvents_TakesNothing()
    {
        using var log = Log(0);
        log.Cancel();
        log.Pack();
        Assert.Equal(0, log.HeldBytes);
        using var reader = log.TryOpenReader()!;
        Assert.Equal(ReadOutcome.Ended, reader.TryRead(new ArrayBufferWriter<byte>()));
    }

    // 8192 / 14 = 585 events fill a segment, which stays as it is; the 15 of the second one are packed.
    [Fact]
    public void FullSegmentsStay()
    {
        using var log = Log(600);
        log.Complete();
        log.Pack();
        Assert.Equal((8 << 10) + 15 * 14, log.HeldBytes);
        using var reader = log.TryOpenReader(580)!;
        Assert.Equal(string.Concat(Enumerable.Range(580, 20).Select(i => $"{i:D10}")), Read(reader));
    }

    // 100 bytes are kept: the last ten of them.
    [Fact]
    public void WhatWasDropped_IsNotPacked()
    {
        using var log = Log(20, hotBytes: 100);
        log.Complete();
        log.Pack();
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
        log.Pack();
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

    [Fact]
    public void ADisposedLogIsLeftAlone()
    {
        var log = Log(3);
        log.Complete();
        log.Dispose();
        log.Pack();
        Assert.Equal(0, log.HeldBytes);
    }

    // The log is packed and the pool's array overwritten between the moment that the reader has found its bytes and the one that it copies them.
    private sealed class PackingWriter(StreamLog log) : IBufferWriter<byte>
    {
        public ArrayBufferWriter<byte> Bytes { get; } = new();

        public void Advance(int count) => Bytes.Advance(count);

        public Memory<byte> GetMemory(int sizeHint = 0) => Bytes.GetMemory(sizeHint);

        public Span<byte> GetSpan(int sizeHint = 0)
        {
            log.Pack();
            var pooled = ArrayPool<byte>.Shared.Rent(8 << 10);
            pooled.AsSpan().Fill(0xEE);
            ArrayPool<byte>.Shared.Return(pooled);
            return Bytes.GetSpan(sizeHint);
        }
    }
}
