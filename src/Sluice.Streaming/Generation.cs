namespace Sluice.Streaming;

/// <summary>Why a generation was told to stop.</summary>
public enum CancellationCause
{
    /// <summary>Nobody reads it any more.</summary>
    ClientLeft,

    /// <summary>Its time is up.</summary>
    Deadline,

    /// <summary>The hub is stopping.</summary>
    Shutdown,

    /// <summary>Somebody asked for it to stop, and wants a regular end of what there is.</summary>
    Requested,

    /// <summary>A budget has nothing left for it; what there is gets a regular end.</summary>
    Exhausted,
}

/// <summary>What whoever makes an answer needs of it: its id, its log, and when to stop. Thread-safe.</summary>
public sealed class Generation : IDisposable
{
    private readonly CancellationTokenSource _cancellation = new();
    private readonly Lock _lock = new();
    private bool _retired;

    /// <summary>A running generation with a log of its own.</summary>
    /// <param name="id">Unique.</param>
    /// <param name="limits">Of the log.</param>
    /// <param name="eventCount">Events of an earlier life, which a store has.</param>
    public Generation(string id, StreamLimits? limits = null, long eventCount = 0)
    {
        Id = id;
        Log = new StreamLog(limits, eventCount);
        Cancellation = _cancellation.Token;
    }

    /// <summary>Unique; what the client sees.</summary>
    public string Id { get; }

    /// <summary>What has been generated.</summary>
    public StreamLog Log { get; }

    /// <summary>Cancelled by the first <see cref="Cancel"/>. Whoever produces ends the log then.</summary>
    public CancellationToken Cancellation { get; }

    /// <summary>The cause given to the first <see cref="Cancel"/>; null before.</summary>
    public CancellationCause? CancellationCause { get; private set; }

    /// <summary>
    /// Asks the producer to stop; what is registered with <see cref="Cancellation"/> runs before it returns, and must not block.
    /// </summary>
    /// <remarks>Does nothing when the stream has ended or was cancelled before.</remarks>
    public void Cancel(CancellationCause cause)
    {
        lock (_lock)
        {
            if (_retired || CancellationCause is not null || Log.End is not null) return;
            CancellationCause = cause;
            // Inside the lock, for a source must not be disposed while it cancels.
            _cancellation.Cancel();
        }
    }

    /// <summary>
    /// Lets go of everything but the log, which must have ended: what was registered with <see cref="Cancellation"/> keeps a whole request
    /// alive.
    /// </summary>
    public void Retire()
    {
        lock (_lock)
        {
            if (_retired) return;
            _retired = true;
            _cancellation.Dispose();
        }
    }

    /// <summary>Gives the memory back; the log must have ended.</summary>
    public void Dispose()
    {
        Retire();
        Log.Dispose();
    }
}
