namespace Sluice.Server.Console;

/// <summary>What was measured of one model in the last hour, by the minute. Thread-safe; a measurement allocates nothing.</summary>
internal sealed class ModelMinutes
{
    private sealed class Cell
    {
        public readonly int[] First = new int[TimeBuckets.Count];
        public readonly int[] Gaps = new int[TimeBuckets.Count];
        public long Minute = -1;
        public int Requests;
        public int Errors;
        public long InputTokens;
        public long OutputTokens;
    }

    // Guards the cells.
    private readonly Lock _lock = new();
    private readonly Cell[] _cells = [.. Enumerable.Range(0, ConsoleLimits.Minutes).Select(static _ => new Cell())];

    /// <summary>The first content of an answer has come.</summary>
    public void AddFirst(long minute, double seconds)
    {
        lock (_lock) CellOf(minute).First[TimeBuckets.IndexOf(seconds)]++;
    }

    /// <summary>Another piece of content has come.</summary>
    public void AddGap(long minute, double seconds)
    {
        lock (_lock) CellOf(minute).Gaps[TimeBuckets.IndexOf(seconds)]++;
    }

    /// <summary>A request has ended.</summary>
    public void AddRequest(long minute, bool isError)
    {
        lock (_lock)
        {
            var cell = CellOf(minute);
            cell.Requests++;
            if (isError) cell.Errors++;
        }
    }

    /// <summary>Tokens of a prompt or of its answer.</summary>
    public void AddTokens(long minute, long count, bool isInput)
    {
        lock (_lock)
        {
            var cell = CellOf(minute);
            if (isInput) cell.InputTokens += count;
            else cell.OutputTokens += count;
        }
    }

    /// <summary>The minutes up to one, the oldest first; and the distributions of all of them together.</summary>
    public (IReadOnlyList<MinuteFigures> Minutes, int[] First, int[] Gaps) Read(long now)
    {
        var minutes = new List<MinuteFigures>(ConsoleLimits.Minutes);
        var (first, gaps) = (new int[TimeBuckets.Count], new int[TimeBuckets.Count]);
        lock (_lock)
        {
            for (var minute = now - ConsoleLimits.Minutes + 1; minute <= now; minute++)
            {
                var cell = _cells[minute % ConsoleLimits.Minutes];
                if (cell.Minute != minute)
                {
                    minutes.Add(default);
                    continue;
                }
                minutes.Add(new MinuteFigures(
                    cell.Requests, cell.Errors, cell.InputTokens, cell.OutputTokens,
                    TimeBuckets.Percentile(cell.First, 0.5), TimeBuckets.Percentile(cell.First, 0.95),
                    TimeBuckets.Percentile(cell.Gaps, 0.5), TimeBuckets.Percentile(cell.Gaps, 0.95)));
                for (var i = 0; i < TimeBuckets.Count; i++)
                {
                    first[i] += cell.First[i];
                    gaps[i] += cell.Gaps[i];
                }
            }
        }
        return (minutes, first, gaps);
    }

    // Under the lock. What an hour ago was there makes room.
    private Cell CellOf(long minute)
    {
        var cell = _cells[minute % ConsoleLimits.Minutes];
        if (cell.Minute == minute) return cell;
        Array.Clear(cell.First);
        Array.Clear(cell.Gaps);
        (cell.Minute, cell.Requests, cell.Errors, cell.InputTokens, cell.OutputTokens) = (minute, 0, 0, 0, 0);
        return cell;
    }
}

/// <summary>One minute of a model. Times are seconds, and null where nothing was measured.</summary>
internal readonly record struct MinuteFigures(
    int Requests, int Errors, long InputTokens, long OutputTokens, double? FirstMedian, double? FirstHigh, double? GapMedian, double? GapHigh);
