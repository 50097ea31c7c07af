using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class GenerationTests
{
    [Fact]
    public void Cancel_KeepsTheFirstCause_AndDoesNothingAfterTheEnd()
    {
        var running = new Generation("a");
        var ended = new Generation("b");
        ended.Log.Complete();
        running.Cancel(CancellationCause.ClientLeft);
        running.Cancel(CancellationCause.Shutdown);
        ended.Cancel(CancellationCause.Shutdown);

        Assert.Equal(CancellationCause.ClientLeft, running.CancellationCause);
        Assert.True(running.Cancellation.IsCancellationRequested);
        Assert.Null(ended.CancellationCause);
        Assert.False(ended.Cancellation.IsCancellationRequested);

        running.Log.Cancel();
        running.Dispose();
        running.Cancel(CancellationCause.Deadline);
    }

    [Fact]
    public void Retire_KeepsTheLog_AndLetsGoOfWhatWasRegistered()
    {
        using var generation = new Generation("a");
        var registered = Register(generation);
        generation.Log.Append("data: 1\n\n"u8);
        generation.Log.Stop();
        generation.Retire();
        GC.Collect();
        Assert.False(registered.TryGetTarget(out _));
        Assert.Equal(StreamEndKind.Stopped, generation.Log.End!.Kind);
        Assert.Equal(1, generation.Log.EventCount);
        Assert.True(generation.Log.HeldBytes > 0);
        generation.Dispose();
        Assert.Equal(0, generation.Log.HeldBytes);
    }

    // A method of its own, so that the stack holds nothing.
    private static WeakReference<object> Register(Generation generation)
    {
        var request = new object();
        generation.Cancellation.UnsafeRegister(static _ => { }, request);
        return new WeakReference<object>(request);
    }
}
