namespace Sluice.Server.Answers;

// How much of the store is in use.
internal sealed partial class AnswerRecorder
{
    // Ended answers give way before the file is full, for a full one takes nothing at all.
    private const double CrowdedShare = 0.875;

    // Guarded by the lock, as all below.
    private readonly Dictionary<string, long> _bytesById = new(StringComparer.Ordinal);
    private long _storedBytes;

    // Of what has left, and the store has still.
    private long _goingBytes;

    // Bytes that the store takes for each one that is counted: what surrounds events and requests counts as if it were spread over them.
    private double _usedShare = 1;

    /// <summary>Whether ended answers have to go before the store is full.</summary>
    public bool IsCrowded
    {
        get { lock (_lock) return _storedBytes * _usedShare > _bytesMax * CrowdedShare; }
    }

    /// <summary>Events and requests in the store, in bytes.</summary>
    public long StoredBytes
    {
        get { lock (_lock) return _storedBytes; }
    }

    // Under the lock, as all below.
    private void Leave(string id)
    {
        if (_entries.Remove(id, out var entry)) entry.HasLeft = true;
        if (!_bytesById.Remove(id, out var bytes)) return;
        _storedBytes -= bytes;
        _goingBytes += bytes;
    }

    private void Measure(long usedBytes)
    {
        if (_storedBytes + _goingBytes is > 0 and var bytes) _usedShare = (double)usedBytes / bytes;
    }

    private void Count(string id, long bytes)
    {
        _bytesById[id] = _bytesById.GetValueOrDefault(id) + bytes;
        _storedBytes += bytes;
    }
}
