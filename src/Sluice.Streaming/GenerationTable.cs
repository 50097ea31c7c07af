using System.Collections.Concurrent;

namespace Sluice.Streaming;

/// <summary>The generations that the hub knows, by id; at most <see cref="StreamLimits.GenerationsMax"/>. Thread-safe.</summary>
public sealed class GenerationTable(StreamLimits limits)
{
    private readonly ConcurrentDictionary<string, Generation> _generations = new(StringComparer.Ordinal);
    private int _count;

    /// <summary>Generations in the table.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Starts a generation.</summary>
    /// <param name="id">Unique.</param>
    /// <param name="hotBytes">What its log keeps, in place of <see cref="StreamLimits.HotBytes"/>.</param>
    /// <returns>Null when the table is full.</returns>
    /// <exception cref="ArgumentException">The id is taken.</exception>
    public Generation? TryCreate(string id, int? hotBytes = null)
    {
        if (Interlocked.Increment(ref _count) > limits.GenerationsMax)
        {
            Interlocked.Decrement(ref _count);
            return null;
        }
        var generation = new Generation(id, hotBytes is { } bytes ? limits with { HotBytes = bytes } : limits);
        if (_generations.TryAdd(id, generation)) return generation;
        Interlocked.Decrement(ref _count);
        throw new ArgumentException($"There is a generation '{id}' already.", nameof(id));
    }

    /// <summary>Forgets a generation that has ended, and gives its memory back.</summary>
    public void Remove(Generation generation)
    {
        if (!_generations.TryRemove(new KeyValuePair<string, Generation>(generation.Id, generation))) return;
        Interlocked.Decrement(ref _count);
        generation.Dispose();
    }

    /// <summary>Cancels everything that runs.</summary>
    public void CancelAll(CancellationCause cause)
    {
        foreach (var (_, generation) in _generations) generation.Cancel(cause);
    }
}
