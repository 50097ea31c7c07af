namespace Sluice.Server.Runtime;

/// <summary>What the bodies of all requests in work may take together. Thread-safe.</summary>
internal sealed class BodyBudget
{
    // Beside its bytes a request has its texts as UTF-16, and a copy on its way to an upstream.
    private const int MemoryShare = 8;

    private readonly long _bytesMax;
    private long _bytes;

    public BodyBudget(Limits limits) =>
        _bytesMax = long.Max(limits.RequestBodyBytes, long.Min(limits.RequestBodiesBytes, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / MemoryShare));

    /// <summary>What they take now.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Whether that many more would fit now.</summary>
    public bool HasRoom(long bytes) => Bytes + bytes <= _bytesMax;

    /// <summary>For one request, to be disposed at its end.</summary>
    public Share Open() => new(this);

    private bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _bytes, bytes) <= _bytesMax) return true;
        Interlocked.Add(ref _bytes, -bytes);
        return false;
    }

    /// <summary>What one request has of it. Not thread-safe.</summary>
    internal sealed class Share(BodyBudget budget) : IDisposable
    {
        private long _taken;

        /// <summary>False where the budget is spent; then nothing more is taken.</summary>
        public bool TryGrow(long bytes)
        {
            if (!budget.TryTake(bytes)) return false;
            _taken += bytes;
            return true;
        }

        public void Dispose() => Interlocked.Add(ref budget._bytes, -Interlocked.Exchange(ref _taken, 0));
    }
}
