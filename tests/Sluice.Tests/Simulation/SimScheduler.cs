namespace Sluice.Tests.Simulation;

/// <summary>
/// Everything that waits to run on the one thread of a simulation; what runs next is drawn from a seed. Whatever another thread posts has
/// escaped:
/// its time would be the machine's and not the seed's.
/// </summary>
internal sealed class SimScheduler(Random random) : SynchronizationContext
{
    private const ulong HashPrime = 1099511628211;
    private readonly List<(SendOrPostCallback Callback, object? State)> _ready = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private volatile string? _escape;

    /// <summary>Where something left the thread; null as long as nothing has.</summary>
    public string? Escape => _escape;

    public long StepCount { get; private set; }

    /// <summary>Of all that has happened, in order: two runs of one seed have the same.</summary>
    public ulong Trace { get; private set; } = 14695981039346656037;

    public bool IsIdle => _ready.Count == 0;

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (Environment.CurrentManagedThreadId == _thread) _ready.Add((d, state));
        else _escape ??= Environment.StackTrace;
    }

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    public override SynchronizationContext CreateCopy() => this;

    public void Post(Action action) => Post(static state => ((Action)state!)(), action);

    /// <summary>Runs one of what is ready.</summary>
    public void RunOne()
    {
        var index = random.Next(_ready.Count);
        var (callback, state) = _ready[index];
        _ready[index] = _ready[^1];
        _ready.RemoveAt(_ready.Count - 1);
        StepCount++;
        Note(index);
        callback(state);
    }

    public void Note(long value) => Trace = (Trace ^ (ulong)value) * HashPrime;

    public void Note(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes) Note(value);
    }

    public void CheckThread()
    {
        if (Environment.CurrentManagedThreadId != _thread) _escape ??= Environment.StackTrace;
    }
}
