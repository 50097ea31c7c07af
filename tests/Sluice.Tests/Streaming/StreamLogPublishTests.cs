using System.Buffers;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

/// <summary>Events that come together: readers learn of them at once, and on the producer's own thread.</summary>
public sealed class StreamLogPublishTests
{
    [Fact]
    public void What_waits_runs_in_Publish_and_not_before()
    {
        using var log = new StreamLog();
        using var reader = log.TryOpenReader()!;
        var (thread, read) = (0, 0);
        _ = FollowAsync();
        log.AppendQuietly("a\n\n"u8);
        log.AppendQuietly("b\n\n"u8);
        Assert.Equal(0, read);
        log.Publish();
        Assert.Equal((Environment.CurrentManagedThreadId, 6), (thread, read));
        // Nothing new: nobody runs.
        thread = 0;
        log.Publish();
        Assert.Equal(0, thread);
        log.Complete();

        async Task FollowAsync()
        {
            var output = new ArrayBufferWriter<byte>();
            while (reader.TryRead(output) is var outcome && outcome != ReadOutcome.Ended)
            {
                read = output.WrittenCount;
                if (outcome != ReadOutcome.NothingYet) continue;
                await reader.WaitAsync();
                thread = Environment.CurrentManagedThreadId;
            }
        }
    }

    [Fact]
    public async Task Every_reader_is_told_and_one_that_comes_later_sees_the_events_too()
    {
        using var log = new StreamLog();
        using var first = log.TryOpenReader()!;
        using var second = log.TryOpenReader()!;
        var waits = new[] { first.WaitAsync().AsTask(), second.WaitAsync().AsTask() };
        log.AppendQuietly("a\n\n"u8);
        using var late = log.TryOpenReader()!;
        Assert.True(late.WaitAsync().AsTask().IsCompleted);
        log.Publish();
        await Task.WhenAll(waits).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        log.Complete();
    }
}
