namespace Sluice.Testing.Scripting;

/// <summary>A place where a script waits until the test opens it. Once open it stays open. Thread-safe.</summary>
public sealed class Gate
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isOpen;

    /// <summary>Completes when a sequence has come to the gate.</summary>
    public Task Reached => _reached.Task;

    internal bool IsOpen => _isOpen;

    /// <summary>Lets every sequence through.</summary>
    public void Open() => _isOpen = true;

    internal void Reach() => _reached.TrySetResult();
}
