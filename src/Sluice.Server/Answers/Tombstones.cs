using System.Diagnostics.CodeAnalysis;

namespace Sluice.Server.Answers;

/// <summary>
/// What is remembered of things that are gone, for a time and up to a number; the oldest goes first. For one thread at a time.
/// </summary>
internal sealed class Tombstones<TKey, TValue>(int countMax, TimeSpan lifetime, TimeProvider time)
    where TKey : notnull
{
    private readonly OrderedDictionary<TKey, (TValue Value, long Added)> _traces = [];

    public void Add(TKey key, TValue value) => Add(key, value, TimeSpan.Zero);

    /// <param name="key">What is gone.</param>
    /// <param name="value">What is remembered of it.</param>
    /// <param name="age">How long it has been gone; not less than that of any added later.</param>
    public void Add(TKey key, TValue value, TimeSpan age)
    {
        _traces.Remove(key);
        _traces.Add(key, (value, time.GetTimestamp() - (long)(age.TotalSeconds * time.TimestampFrequency)));
        if (_traces.Count > countMax) Shrink();
    }

    public bool TryFind(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        value = default;
        if (!_traces.TryGetValue(key, out var trace) || time.GetElapsedTime(trace.Added) >= lifetime) return false;
        value = trace.Value;
        return true;
    }

    // A quarter at a time: taking one from the front moves all the others.
    private void Shrink()
    {
        var rest = _traces.Skip((countMax / 4) + 1).ToArray();
        _traces.Clear();
        foreach (var (key, trace) in rest) _traces.Add(key, trace);
    }
}
