namespace Sluice.Server.Routing;

/// <summary>
/// When a second upstream is asked because the first is late with its first token: later than 19 of 20 answers of the same model were,
/// and only for a share of the requests, so that a bad hour can't double the load. Thread-safe.
/// </summary>
/// <param name="share">The share of requests that may be asked twice, above 0 and at most 1.</param>
internal sealed class Hedging(double share)
{
    // Fewer tell nothing of the slowest twentieth.
    private const int SampleCountMin = 20;
    private const int SampleCountMax = 200;
    private const double Quantile = 0.95;

    // What quiet times may save up.
    private const double CreditMax = 10;

    private readonly Lock _lock = new();
    private readonly TimeSpan[] _samples = new TimeSpan[SampleCountMax];
    private int _sampleCount;
    private int _next;
    private double _credit;

    /// <summary>Counts a request.</summary>
    /// <returns>How long its first token is waited for before another upstream is asked; null while too little is known to say.</returns>
    public TimeSpan? Begin()
    {
        lock (_lock)
        {
            _credit = double.Min(CreditMax, _credit + share);
            if (_sampleCount < SampleCountMin) return null;
            var sorted = _samples.AsSpan(0, _sampleCount).ToArray();
            Array.Sort(sorted);
            return sorted[(int)(Quantile * (_sampleCount - 1))];
        }
    }

    /// <summary>Takes a hedge from the budget; false when that is spent.</summary>
    public bool TrySpend()
    {
        lock (_lock)
        {
            if (_credit < 1) return false;
            _credit--;
            return true;
        }
    }

    /// <summary>A first token has come after that time.</summary>
    public void Add(TimeSpan timeToFirstToken)
    {
        lock (_lock)
        {
            _samples[_next] = timeToFirstToken;
            _next = (_next + 1) % SampleCountMax;
            _sampleCount = int.Min(SampleCountMax, _sampleCount + 1);
        }
    }
}
