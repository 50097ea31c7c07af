using System.Buffers;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class StreamLogAllocationTests
{
    [Fact]
    public void AppendAndRead_InTheSteadyState_AllocateNothing()
    {
        using var log = new StreamLog(new StreamLimits { HotBytes = 64 << 10 });
        using var reader = log.TryOpenReader()!;
        var output = new ArrayBufferWriter<byte>(1 << 16);
        var text = new byte[280];
        AppendAndRead(log, reader, output, text, 1000);

        Assert.Equal(0, AllocatedBytes.Least(() => AppendAndRead(log, reader, output, text, 10_000)));
        log.Complete();
    }

    [Fact]
    public void Append_BelowTheBound_AllocatesOnlySegments()
    {
        using var log = new StreamLog();
        var text = new byte[280];
        for (var i = 0; i < 100; i++) log.Append(text);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 3000; i++) log.Append(text);
        // At worst every array is new: event bytes, slots, and what a segment leaves unused.
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / 3000.0, 0, 310);
        log.Complete();
    }

    [Fact]
    public async Task WaitAsync_WokenByAnAppend_AllocatesNothingOnTheProducersThread()
    {
        using var log = new StreamLog(new StreamLimits { HotBytes = 64 << 10 });
        using var reader = log.TryOpenReader()!;
        using var passed = new SemaphoreSlim(0);
        var consumer = Task.Run(async () =>
        {
            var output = new ArrayBufferWriter<byte>(1 << 16);
            while (true)
            {
                await reader.WaitAsync();
                if (reader.TryRead(output) == ReadOutcome.Ended) return;
                output.ResetWrittenCount();
                passed.Release();
            }
        });
        var allocated = await Task.Factory.StartNew(() => Produce(log, passed), TaskCreationOptions.LongRunning);
        log.Complete();
        await consumer;
        // 5,000 wake-ups; the thread pool's own queue may grow by a segment.
        Assert.InRange(allocated / 5000.0, 0, 4);
    }

    private static long Produce(StreamLog log, SemaphoreSlim passed)
    {
        var text = new byte[280];
        var before = 0L;
        for (var i = 0; i < 6000; i++)
        {
            if (i == 1000) before = GC.GetAllocatedBytesForCurrentThread();
            log.Append(text);
            passed.Wait();
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static void AppendAndRead(StreamLog log, StreamLogReader reader, ArrayBufferWriter<byte> output, byte[] text, int count)
    {
        for (var i = 0; i < count; i++)
        {
            log.Append(text);
            if (i % 3 != 0) continue;
            reader.TryRead(output);
            output.ResetWrittenCount();
        }
    }
}
