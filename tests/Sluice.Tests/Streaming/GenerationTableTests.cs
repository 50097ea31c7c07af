using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Streaming;

public sealed class GenerationTableTests
{
    [Fact]
    public void TryCreate_AtTheBound_IsNull_UntilOneIsRemoved()
    {
        var table = new GenerationTable(new StreamLimits { GenerationsMax = 2 });
        var first = table.TryCreate("a")!;
        Assert.NotNull(table.TryCreate("b"));
        Assert.Null(table.TryCreate("c"));

        first.Log.Complete();
        table.Remove(first);
        table.Remove(first);
        Assert.Equal(1, table.Count);
        Assert.NotNull(table.TryCreate("c"));
    }

    [Fact]
    public void TryCreate_WithABoundOfItsOwn_KeepsThatMuch()
    {
        var table = new GenerationTable(new StreamLimits { HotBytes = 10 });
        var usual = table.TryCreate("usual")!;
        var larger = table.TryCreate("larger", hotBytes: 100)!;
        for (var i = 0; i < 5; i++)
        {
            usual.Log.Append("12345"u8);
            larger.Log.Append("12345"u8);
        }
        Assert.Equal((10, 25), (usual.Log.RetainedBytes, larger.Log.RetainedBytes));
    }

    [Fact]
    public void TryCreate_WithATakenId_Throws_AndKeepsTheCount()
    {
        var table = new GenerationTable(new StreamLimits());
        table.TryCreate("a");
        Assert.Throws<ArgumentException>(() => table.TryCreate("a"));
        Assert.Equal(1, table.Count);
    }

    [Fact]
    public void Cancel_KeepsTheFirstCause_AndDoesNothingAfterTheEnd()
    {
        var table = new GenerationTable(new StreamLimits());
        var running = table.TryCreate("a")!;
        var ended = table.TryCreate("b")!;
        ended.Log.Complete();
        running.Cancel(CancellationCause.ClientLeft);
        table.CancelAll(CancellationCause.Shutdown);

        Assert.Equal(CancellationCause.ClientLeft, running.CancellationCause);
        Assert.True(running.Cancellation.IsCancellationRequested);
        Assert.Null(ended.CancellationCause);
        Assert.False(ended.Cancellation.IsCancellationRequested);
        Assert.Equal(GenerationState.Completed, ended.State);

        running.Log.Cancel();
        Assert.Equal(GenerationState.Cancelled, running.State);
        running.Dispose();
        running.Cancel(CancellationCause.Deadline);
    }
}
