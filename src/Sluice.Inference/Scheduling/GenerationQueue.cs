using System.Runtime.InteropServices;

namespace Sluice.Inference.Scheduling;

/// <summary>
/// Bounds the generations that have no slot yet. A caller alone can fill the queue. When it is full, a caller with fewer of its own in it
/// displaces the latest generation of the caller with the most, so nobody is refused because of somebody else's flood. Safe to use from any
/// thread.
/// </summary>
/// <param name="capacity">Most generations that wait, at least 1.</param>
internal sealed class GenerationQueue(int capacity)
{
    private readonly Lock _gate = new();
    private readonly List<EngineGeneration> _waiting = [];
    private volatile int _count;

    public int Count => _count;

    /// <summary>Adds a generation. The one that it displaces, if any, is refused: the engine's thread tells its sink.</summary>
    /// <returns>False when the queue is full and nobody has to make room.</returns>
    public bool TryAdd(EngineGeneration generation)
    {
        lock (_gate)
        {
            if (_waiting.Count >= capacity)
            {
                if (FindDisplaced(generation.Request.Scope) is not { } displaced)
                {
                    return false;
                }

                displaced.IsRefused = true;
                _waiting.Remove(displaced);
            }

            _waiting.Add(generation);
            _count = _waiting.Count;
            return true;
        }
    }

    /// <summary>Takes out a generation that gets its first slot.</summary>
    /// <returns>False when it has been refused, and must not start.</returns>
    public bool TryStart(EngineGeneration generation)
    {
        Remove(generation);
        return !generation.IsRefused;
    }

    /// <summary>Takes out a generation that ends without a slot; nothing happens when it is not in the queue.</summary>
    public void Remove(EngineGeneration generation)
    {
        lock (_gate)
        {
            _waiting.Remove(generation);
            _count = _waiting.Count;
        }
    }

    // A difference of two: otherwise two callers would displace each other in turn.
    // What resumes an earlier answer stays: a failure would end that answer.
    private EngineGeneration? FindDisplaced(string scope)
    {
        var counts = new Dictionary<string, int>();
        foreach (EngineGeneration waiting in _waiting)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(counts, waiting.Request.Scope, out _)++;
        }

        int most = counts.GetValueOrDefault(scope) + 2;
        EngineGeneration? displaced = null;
        foreach (EngineGeneration waiting in _waiting)
        {
            int count = counts[waiting.Request.Scope];
            if (count >= most && waiting is { Request.From: null, IsStopped: false })
            {
                (displaced, most) = (waiting, count);
            }
        }

        return displaced;
    }
}

/// <summary>The engine's queue is full, and a caller with fewer generations in it took the place of this one.</summary>
/// <param name="retryAfter">When there is likely to be room.</param>
public sealed class GenerationDisplacedException(TimeSpan retryAfter)
    : Exception("Too many generations of this caller wait for the engine.")
{
    /// <summary>When there is likely to be room.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;
}
