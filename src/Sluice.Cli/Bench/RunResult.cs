namespace Sluice.Cli.Bench;

/// <summary>What one run has measured.</summary>
/// <param name="Counts">No longer changing.</param>
/// <param name="Elapsed">From the first request to the last end.</param>
/// <param name="OwnCpu">Processor time that this program took meanwhile.</param>
/// <param name="IsInterrupted">Somebody has ended it.</param>
internal sealed record RunResult(RunCounts Counts, TimeSpan Elapsed, TimeSpan OwnCpu, bool IsInterrupted)
{
    public double OutputTokensPerSecond => PerSecond(Counts.OutputTokens);

    public double PromptTokensPerSecond => PerSecond(Counts.PromptTokens);

    public double AnswersPerSecond => PerSecond(Counts.Completed);

    /// <summary>Complete answers within the limits.</summary>
    public double GoodAnswersPerSecond => PerSecond(Counts.Good);

    /// <summary>Of one core, at most the number of cores.</summary>
    public double OwnCores => Elapsed > TimeSpan.Zero ? OwnCpu / Elapsed : 0;

    private double PerSecond(long count) => Elapsed > TimeSpan.Zero ? count / Elapsed.TotalSeconds : 0;
}
