using System.Threading.Tasks.Sources;

namespace Sluice.Server.Transport;

/// <summary>
/// Whether one direction of a socket is worth a system call, by edges of epoll. One may wait at a time, and goes on on the thread that
/// signals.
/// </summary>
internal sealed class Readiness(bool isReady) : IValueTaskSource
{
    private const int Unready = 0;
    private const int Ready = 1;
    private const int Awaited = 2;

    private ManualResetValueTaskSourceCore<bool> _source;
    private int _state = isReady ? Ready : Unready;

    public bool IsReady => Volatile.Read(ref _state) == Ready;

    /// <summary>To be called before the system call: an edge that comes while it runs must not be forgotten behind it.</summary>
    public void Clear() => Interlocked.CompareExchange(ref _state, Unready, Ready);

    /// <summary>The system call has left something behind, of which no edge will tell.</summary>
    public void Keep() => Interlocked.CompareExchange(ref _state, Ready, Unready);

    /// <summary>Completes with the next edge; at once where there was one since <see cref="Clear"/>.</summary>
    public ValueTask WaitAsync()
    {
        _source.Reset();
        return Interlocked.CompareExchange(ref _state, Awaited, Unready) == Unready ? new ValueTask(this, _source.Version) : default;
    }

    /// <summary>Completes when it is signalled, though there is something to do: others have their turn before.</summary>
    public ValueTask WaitTurnAsync()
    {
        _source.Reset();
        Volatile.Write(ref _state, Awaited);
        return new ValueTask(this, _source.Version);
    }

    /// <summary>An edge. From any thread.</summary>
    public void Signal()
    {
        if (Interlocked.Exchange(ref _state, Ready) == Awaited) _source.SetResult(true);
    }

    void IValueTaskSource.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
