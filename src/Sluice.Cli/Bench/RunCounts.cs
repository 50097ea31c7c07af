namespace Sluice.Cli.Bench;

/// <summary>What a run has measured so far. Thread-safe.</summary>
/// <param name="goodput">What an answer has to keep; null where nobody asks.</param>
internal sealed class RunCounts(GoodputLimits? goodput)
{
    private const int FaultKindsMax = 50;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _faults = new(StringComparer.Ordinal);
    private long _chunks;

    /// <summary>From the request to the first content, of every stream that had some.</summary>
    public LatencyHistogram FirstToken { get; } = new();

    /// <summary>Between one piece of content and the next.</summary>
    public LatencyHistogram Gaps { get; } = new();

    /// <summary>Mean per token after the first, of complete answers.</summary>
    public LatencyHistogram PerToken { get; } = new();

    /// <summary>From the request to the end, of complete answers.</summary>
    public LatencyHistogram Whole { get; } = new();

    /// <summary>How long requests were late because too many others ran.</summary>
    public LatencyHistogram Queued { get; } = new();

    public int Started { get; private set; }

    public int Completed { get; private set; }

    public int Failed { get; private set; }

    /// <summary>Complete answers that kept the limits.</summary>
    public int Good { get; private set; }

    /// <summary>Of complete answers.</summary>
    public long OutputTokens { get; private set; }

    /// <summary>Of complete answers.</summary>
    public long PromptTokens { get; private set; }

    /// <summary>Complete answers whose tokens the server has not counted; their chunks are.</summary>
    public int Uncounted { get; private set; }

    public long Chunks => Interlocked.Read(ref _chunks);

    public int InFlight
    {
        get { lock (_lock) return Started - Completed - Failed; }
    }

    /// <summary>What went wrong, and how often; most often first.</summary>
    public IReadOnlyList<KeyValuePair<string, int>> Faults
    {
        get { lock (_lock) return [.. _faults.OrderByDescending(static fault => fault.Value)]; }
    }

    public void AddChunk() => Interlocked.Increment(ref _chunks);

    public void Start()
    {
        lock (_lock) Started++;
    }

    public void End(StreamOutcome outcome)
    {
        lock (_lock)
        {
            if (outcome.Fault is { } fault)
            {
                Failed++;
                var kind = _faults.Count < FaultKindsMax || _faults.ContainsKey(fault) ? fault : "others";
                _faults[kind] = _faults.GetValueOrDefault(kind) + 1;
                return;
            }
            Completed++;
            PromptTokens += outcome.PromptTokens;
            OutputTokens += outcome.OutputTokens;
            if (!outcome.IsCounted) Uncounted++;
            if (goodput?.AreKeptBy(outcome) == true) Good++;
        }
        Whole.Add(outcome.Whole);
        if (outcome.OutputTokens > 1) PerToken.Add(outcome.PerToken);
    }
}
