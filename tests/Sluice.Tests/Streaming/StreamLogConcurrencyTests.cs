using System.Buffers;
using System.Buffers.Binary;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class StreamLogConcurrencyTests
{
    private static readonly PackedBlocks s_blocks = new(new StreamLimits());

    [Theory]
    [InlineData(1 << 20, 4096)]
    [InlineData(2000, 64)]
    public async Task ReadersBesideAProducer_SeeEveryEventWholeAndInOrder_OrLearnThatTheyAreLost(int hotBytes, int segmentBytes)
    {
        const int EventCount = 30_000;
        using var log = new StreamLog(new StreamLimits { HotBytes = hotBytes, SegmentBytes = segmentBytes });
        var readers = Enumerable.Range(0, 6).Select(i => Task.Run(() => FollowAsync(log, slow: i % 3 == 2))).ToArray();
        var producer = Task.Run(() =>
        {
            for (var n = 0; n < EventCount; n++)
            {
                WriteEvent(log, n);
                log.Commit();
                if (n % 64 == 0) Thread.Yield();
            }
            log.Complete();
            // Those that are behind read on while what they read moves.
            log.Pack(s_blocks);
            for (var i = 0; i < 20; i++)
            {
                Scribble();
                Thread.Yield();
            }
        });
        await producer;
        foreach (var (count, lost) in await Task.WhenAll(readers)) Assert.True(lost ? hotBytes < 1 << 20 || count < EventCount : count == EventCount);
    }

    // Whoever still read from an array that the pool has back would read this.
    private static void Scribble()
    {
        var arrays = Enumerable.Range(0, 8).Select(_ => ArrayPool<byte>.Shared.Rent(4096)).ToArray();
        foreach (var array in arrays) array.AsSpan().Fill(0xEE);
        foreach (var array in arrays) ArrayPool<byte>.Shared.Return(array);
    }

    // Event n: its length, n, then n's low byte repeated.
    private static void WriteEvent(StreamLog log, int n)
    {
        var length = 8 + n % 41;
        var span = log.GetSpan(length)[..length];
        BinaryPrimitives.WriteInt32LittleEndian(span, length);
        BinaryPrimitives.WriteInt32LittleEndian(span[4..], n);
        span[8..].Fill((byte)n);
        log.Advance(length);
    }

    private static async Task<(int Count, bool Lost)> FollowAsync(StreamLog log, bool slow)
    {
        using var reader = log.TryOpenReader()!;
        var output = new ArrayBufferWriter<byte>();
        var count = (int)reader.Position;
        while (true)
        {
            switch (reader.TryRead(output, slow ? 100 : int.MaxValue))
            {
                case ReadOutcome.NothingYet: await reader.WaitAsync(); continue;
                case ReadOutcome.Ended: return (count, false);
                case ReadOutcome.OffsetLost: return (count, true);
            }
            Check(output.WrittenSpan, ref count);
            output.ResetWrittenCount();
            if (slow) await Task.Yield();
        }
    }

    private static void Check(ReadOnlySpan<byte> bytes, ref int count)
    {
        while (bytes.Length > 0)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(bytes);
            Assert.Equal(count, BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]));
            Assert.Equal(8 + count % 41, length);
            Assert.False(bytes[8..length].ContainsAnyExcept((byte)count));
            bytes = bytes[length..];
            count++;
        }
    }

    [Fact]
    public async Task Wake_BesideAppends_NeverLosesAWakeUp()
    {
        using var log = new StreamLog();
        using var reader = log.TryOpenReader()!;
        var producer = Task.Run(() =>
        {
            for (var n = 0; n < 20_000; n++)
            {
                if (n % 3 == 0) reader.Wake();
                else log.Append("event"u8);
            }
            log.Complete();
        });
        var output = new ArrayBufferWriter<byte>();
        var outcome = ReadOutcome.NothingYet;
        while (outcome is not (ReadOutcome.Ended or ReadOutcome.OffsetLost))
        {
            await reader.WaitAsync();
            outcome = reader.TryRead(output);
            output.ResetWrittenCount();
        }
        await producer;
        Assert.Equal(ReadOutcome.Ended, outcome);
    }
}
