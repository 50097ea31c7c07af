using System.Buffers;
using System.Text;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class StreamLogTests
{
    // Found by simulation: whoever only waits for a number of events must not come to stand before one that is gone, for it has news for ever.
    [Fact]
    public void AReaderThatSkips_HasNoNews_AlsoWhereEventsWereDropped()
    {
        using var log = new StreamLog(new StreamLimits { HotBytes = 4 });
        using var reader = log.TryOpenReader()!;
        for (var i = 0; i < 5; i++) log.Append([1, 2]);
        Assert.True(reader.WaitAsync().AsTask().IsCompleted);
        reader.SkipToEnd();
        Assert.Equal(5, reader.Position);
        var waiting = reader.WaitAsync().AsTask();
        Assert.False(waiting.IsCompleted);
        log.Complete();
    }

    private static readonly StreamLimits s_small = new() { HotBytes = 10, SegmentBytes = 32, ReadersPerLogMax = 2 };

    private static (ReadOutcome Outcome, string Text) Read(StreamLogReader reader, int bytesMax = int.MaxValue)
    {
        var output = new ArrayBufferWriter<byte>();
        var outcome = reader.TryRead(output, bytesMax);
        return (outcome, Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Fact]
    public void Commit_AtTheBoundExactly_DropsNothing()
    {
        using var log = new StreamLog(s_small);
        using var reader = log.TryOpenReader()!;
        log.Append("12345"u8);
        log.Append("67890"u8);
        Assert.Equal(0, log.FirstEvent);
        Assert.Equal((ReadOutcome.Events, "1234567890"), Read(reader));
        log.Complete();
    }

    [Fact]
    public void Commit_OneByteOverTheBound_DropsTheOldestEvent_AndTheReaderThatWantedIt()
    {
        using var log = new StreamLog(s_small);
        using var late = log.TryOpenReader()!;
        log.Append("12345"u8);
        using var inTime = log.TryOpenReader(1)!;
        log.Append("67890"u8);
        log.Append("x"u8);
        Assert.Equal(1, log.FirstEvent);
        Assert.Equal(6, log.RetainedBytes);
        Assert.Equal((ReadOutcome.OffsetLost, ""), Read(late));
        Assert.Equal((ReadOutcome.Events, "67890x"), Read(inTime));
        log.Complete();
        Assert.Equal(ReadOutcome.OffsetLost, Read(late).Outcome);
        Assert.Equal(ReadOutcome.Ended, Read(inTime).Outcome);
    }

    [Fact]
    public void FindLag_NamesTheAppendThatWouldTakeAnEventFromAReader_UntilThatHasMovedOn()
    {
        using var log = new StreamLog(s_small);
        using var reader = log.TryOpenReader()!;
        log.Append("12345"u8);
        Assert.Null(log.FindLag(5));
        var moved = log.FindLag(6);
        Assert.False(moved!.IsCompleted);
        Read(reader);
        Assert.True(moved.IsCompletedSuccessfully);
        Assert.Null(log.FindLag(6));
        Assert.Null(log.FindLag(1_000));
        log.Append("a"u8);
        moved = log.FindLag(1_000);
        reader.Dispose();
        Assert.True(moved!.IsCompletedSuccessfully);
        Assert.Null(log.FindLag(1_000));
        log.Complete();
    }

    [Fact]
    public void FindLag_DoesNotWaitForAReaderThatHasLostItsPlace()
    {
        using var log = new StreamLog(s_small);
        using var reader = log.TryOpenReader()!;
        for (var i = 0; i < 3; i++) log.Append("12345"u8);
        Assert.Null(log.FindLag(100));
        log.Complete();
    }

    [Fact]
    public void Commit_AnEventLargerThanTheBound_StaysUntilTheNext()
    {
        using var log = new StreamLog(s_small);
        using var reader = log.TryOpenReader()!;
        var large = new string('y', 1000);
        log.Append("x"u8);
        Read(reader);
        log.Append(Encoding.UTF8.GetBytes(large));
        Assert.Equal(large, Read(reader).Text);
        log.Append("z"u8);
        Assert.Equal(1, log.RetainedBytes);
        log.Complete();
    }

    [Fact]
    public void TryRead_WithABound_CopiesWholeEventsOnly()
    {
        using var log = new StreamLog();
        using var reader = log.TryOpenReader()!;
        foreach (var text in (string[])["aaaa", "bbb", "cccc"]) log.Append(Encoding.UTF8.GetBytes(text));
        Assert.Equal("aaaa", Read(reader, 1).Text);
        Assert.Equal("bbbcccc", Read(reader, 7).Text);
        log.Complete();
    }

    [Fact]
    public void AnUncommittedEvent_IsSeenByNobody_AndDroppedAtTheEnd()
    {
        using var log = new StreamLog();
        using var reader = log.TryOpenReader()!;
        log.Write("half"u8);
        Assert.Equal(ReadOutcome.NothingYet, Read(reader).Outcome);
        log.Fail("reason");
        Assert.Equal((ReadOutcome.Ended, ""), Read(reader));
        Assert.Equal(new StreamEnd(StreamEndKind.Failed, "reason"), log.End);
        log.Commit();
        Assert.Equal(0, log.EventCount);
        Assert.Throws<InvalidOperationException>(() => log.Append("more"u8));
    }

    [Fact]
    public void TryOpenReader_BeyondTheEvents_Throws_AndBeyondTheBound_IsNull()
    {
        using var log = new StreamLog(s_small);
        Assert.Throws<ArgumentOutOfRangeException>(() => log.TryOpenReader(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => log.TryOpenReader(-1));
        using var first = log.TryOpenReader();
        var second = log.TryOpenReader();
        Assert.Null(log.TryOpenReader());
        second!.Dispose();
        using var third = log.TryOpenReader();
        Assert.NotNull(third);
        log.Cancel();
    }

    [Fact]
    public async Task WaitAsync_CompletesOnAppend_OnTheEnd_AndOnWake()
    {
        using var log = new StreamLog();
        using var reader = log.TryOpenReader()!;

        var append = reader.WaitAsync().AsTask();
        Assert.False(append.IsCompleted);
        log.Append("a"u8);
        await append;
        Assert.Equal("a", Read(reader).Text);

        var wake = reader.WaitAsync().AsTask();
        Assert.False(wake.IsCompleted);
        reader.Wake();
        await wake;
        Assert.Equal(ReadOutcome.NothingYet, Read(reader).Outcome);

        reader.Wake();
        Assert.True(reader.WaitAsync().AsTask().IsCompletedSuccessfully);

        var end = reader.WaitAsync().AsTask();
        Assert.False(end.IsCompleted);
        log.Complete();
        await end;
        Assert.Equal(ReadOutcome.Ended, Read(reader).Outcome);
    }

    [Fact]
    public void Dispose_TakesTheEventsAway()
    {
        var log = new StreamLog();
        using var behind = log.TryOpenReader()!;
        log.Append("a"u8);
        using var atEnd = log.TryOpenReader(1)!;
        log.Complete();
        log.Dispose();
        Assert.Equal(ReadOutcome.OffsetLost, Read(behind).Outcome);
        Assert.Equal(ReadOutcome.Ended, Read(atEnd).Outcome);
        Assert.Equal(0, log.RetainedBytes);
    }

    [Fact]
    public async Task AppendQuietly_MoreThanTheBoundInOnePiece_LosesNoReaderThatWaits()
    {
        using var log = new StreamLog(new StreamLimits { HotBytes = 100, SegmentBytes = 64 });
        using var reader = log.TryOpenReader()!;
        var reading = ReadToEndAsync(reader);
        for (var i = 0; i < 100; i++) log.AppendQuietly("0123456789"u8);
        log.Publish();
        log.Complete();
        Assert.Equal((ReadOutcome.Ended, 1000), await reading);
    }

    private static async Task<(ReadOutcome Last, int Bytes)> ReadToEndAsync(StreamLogReader reader)
    {
        var bytes = 0;
        while (true)
        {
            var (outcome, text) = Read(reader);
            bytes += text.Length;
            if (outcome is ReadOutcome.Ended or ReadOutcome.OffsetLost) return (outcome, bytes);
            if (outcome == ReadOutcome.NothingYet) await reader.WaitAsync();
        }
    }
}
