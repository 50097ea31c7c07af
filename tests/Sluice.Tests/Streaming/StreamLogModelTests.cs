using System.Buffers;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

/// <summary>Random operations on a log with many readers, each step compared with a list of byte arrays.</summary>
public sealed class StreamLogModelTests
{
    private static readonly PackedBlocks s_blocks = new(new StreamLimits());

    private sealed class ModelReader(StreamLogReader reader, int position)
    {
        public StreamLogReader Reader { get; } = reader;
        public int Position { get; set; } = position;
    }

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 60)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void EveryReadAgreesWithAListOfByteArrays(int seed)
    {
        var random = new Random(seed);
        var limits = new StreamLimits { HotBytes = random.Next(16, 2000), SegmentBytes = random.Next(16, 300), ReadersPerLogMax = 6 };
        using var log = new StreamLog(limits);
        var events = new List<byte[]>();
        var readers = new List<ModelReader>();
        var end = (StreamEndKind?)null;

        for (var step = 0; step < 2000; step++)
        {
            switch (random.Next(10))
            {
                case < 5 when end is null:
                    events.Add(Append(log, random));
                    break;
                case 5:
                    var position = random.Next(events.Count + 1);
                    var opened = log.TryOpenReader(position);
                    Assert.Equal(readers.Count < limits.ReadersPerLogMax, opened is not null);
                    if (opened is not null) readers.Add(new ModelReader(opened, position));
                    break;
                case 6 when readers.Count > 0 && random.Next(3) == 0:
                    var gone = readers[random.Next(readers.Count)];
                    gone.Reader.Dispose();
                    readers.Remove(gone);
                    break;
                case 7 when step > 1900 && end is null:
                    end = StreamEndKind.Completed;
                    Assert.True(log.Complete());
                    Assert.False(log.Cancel());
                    break;
                case 8 when end is not null:
                    log.Pack(s_blocks);
                    // An end of an event takes four bytes; an eighth of an array may be empty, and no array of the pool is smaller than 16.
                    Assert.InRange(log.HeldBytes, log.RetainedBytes, 16 + (log.RetainedBytes + 4 * (events.Count - log.FirstEvent)) * 8 / 7);
                    break;
                default:
                    if (readers.Count > 0) Read(readers[random.Next(readers.Count)], log, events, limits, end, random);
                    break;
            }
            Assert.Equal(events.Count, log.EventCount);
            Assert.Equal(FirstRetained(events, limits.HotBytes), log.FirstEvent);
            Assert.Equal(events.Skip((int)log.FirstEvent).Sum(e => e.Length), log.RetainedBytes);
        }
        log.Complete();
    }

    private static byte[] Append(StreamLog log, Random random)
    {
        var bytes = new byte[random.Next(20) == 0 ? random.Next(1, 1500) : random.Next(1, 60)];
        random.NextBytes(bytes);
        // In pieces, with hints smaller and larger than what is written.
        for (var written = 0; written < bytes.Length;)
        {
            var count = random.Next(1, bytes.Length - written + 1);
            bytes.AsSpan(written, count).CopyTo(log.GetSpan(count + random.Next(50)));
            log.Advance(count);
            written += count;
        }
        log.Commit();
        return bytes;
    }

    private static void Read(ModelReader reader, StreamLog log, List<byte[]> events, StreamLimits limits, StreamEndKind? end, Random random)
    {
        var bytesMax = random.Next(2) == 0 ? int.MaxValue : random.Next(1, 400);
        var output = new ArrayBufferWriter<byte>();
        var outcome = reader.Reader.TryRead(output, bytesMax);
        var first = FirstRetained(events, limits.HotBytes);
        if (reader.Position < first)
        {
            Assert.Equal(ReadOutcome.OffsetLost, outcome);
            // Nobody loses a place that is less than a whole bound behind.
            Assert.True(events.Skip(reader.Position).Sum(e => (long)e.Length) > limits.HotBytes);
        }
        else if (reader.Position == events.Count)
        {
            Assert.Equal(end is null ? ReadOutcome.NothingYet : ReadOutcome.Ended, outcome);
        }
        else
        {
            Assert.Equal(ReadOutcome.Events, outcome);
            var expected = new List<byte>(events[reader.Position++]);
            while (reader.Position < events.Count && expected.Count + events[reader.Position].Length <= bytesMax)
                expected.AddRange(events[reader.Position++]);
            Assert.Equal(expected, output.WrittenSpan.ToArray());
        }
        Assert.Equal(reader.Position, reader.Reader.Position);
        Assert.Equal(log.End?.Kind, end);
    }

    private static int FirstRetained(List<byte[]> events, int hotBytes)
    {
        long sum = 0;
        var first = events.Count;
        while (first > 0 && (sum + events[first - 1].Length <= hotBytes || first == events.Count)) sum += events[--first].Length;
        return first;
    }
}
