namespace Sluice.Server.Console;

/// <summary>How often one upstream was asked for one model in the last hour, and how often that failed, by the minute. Thread-safe.</summary>
internal sealed class UpstreamMinutes
{
    // Guards all below.
    private readonly Lock _lock = new();
    private readonly long[] _minutes = [.. Enumerable.Repeat(-1L, ConsoleLimits.Minutes)];
    private readonly int[] _attempts = new int[ConsoleLimits.Minutes];
    private readonly int[] _faults = new int[ConsoleLimits.Minutes];

    /// <summary>An attempt has ended.</summary>
    public void Add(long minute, bool isFault)
    {
        var index = minute % ConsoleLimits.Minutes;
        lock (_lock)
        {
            if (_minutes[index] != minute) (_minutes[index], _attempts[index], _faults[index]) = (minute, 0, 0);
            _attempts[index]++;
            if (isFault) _faults[index]++;
        }
    }

    /// <summary>The minutes up to one, the oldest first.</summary>
    public List<(int Attempts, int Faults)> Read(long now)
    {
        var read = new List<(int, int)>(ConsoleLimits.Minutes);
        lock (_lock)
        {
            for (var minute = now - ConsoleLimits.Minutes + 1; minute <= now; minute++)
            {
                var index = minute % ConsoleLimits.Minutes;
                read.Add(_minutes[index] == minute ? (_attempts[index], _faults[index]) : default);
            }
        }
        return read;
    }
}
