namespace Sluice.Server.Runtime;

/// <summary>
/// Waits for several things at once, and goes on where the caller's synchronization context says. <see cref="Task.WhenAny(Task[])"/> and
/// <see cref="Task.WaitAsync(TimeSpan)"/> pass through the thread pool, where a simulation of the hub on one thread would lose its order.
/// </summary>
internal static class Waits
{
    /// <summary>For an await that does not tell how the task ended.</summary>
    public const ConfigureAwaitOptions Quietly = ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext;

    /// <summary>Waits for a task, however it ends, a time or a cancellation; never throws.</summary>
    /// <param name="task">Goes on by itself when the wait is over.</param>
    /// <param name="timeMax">Or <see cref="Timeout.InfiniteTimeSpan"/>.</param>
    /// <param name="time">Clock of it.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public static async Task WaitAsync(Task task, TimeSpan timeMax, TimeProvider time, CancellationToken cancellation)
    {
        if (task.IsCompleted) return;
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var timer = time.CreateTimer(static state => ((TaskCompletionSource)state!).TrySetResult(), over, timeMax, Timeout.InfiniteTimeSpan);
        await using var left = cancellation.UnsafeRegister(static state => ((TaskCompletionSource)state!).TrySetResult(), over);
        _ = TellAsync(task, over);
        await over.Task;
    }

    /// <summary>Waits for the first of several tasks, however it ends; never throws. The others go on.</summary>
    public static async Task FirstAsync(params Task[] tasks)
    {
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var task in tasks) _ = TellAsync(task, over);
        await over.Task;
    }

    private static async Task TellAsync(Task task, TaskCompletionSource over)
    {
        await task.ConfigureAwait(Quietly);
        over.TrySetResult();
    }
}
