namespace Sluice.Inference.Scheduling;

/// <summary>
/// Notices an answer that only repeats: its newest tokens are one block of at most <see cref="EngineLimits.RepetitionPeriodMax"/> tokens, again
/// and again. It looks at tokens alone, so that the same ones always end at the same place. For one choice.
/// </summary>
/// <param name="window">How many of the newest tokens have to repeat, above the longest block.</param>
internal sealed class RepetitionGuard(int window)
{
    // For each length of a block: how many of the newest tokens equal the one that many before them.
    private readonly int[] _runs = new int[EngineLimits.RepetitionPeriodMax + 1];

    /// <summary>Looks at the newest token; a few dozen comparisons.</summary>
    /// <param name="tokens">The newest one is the last.</param>
    /// <param name="generatedCount">How many of them belong to the answer; the prompt may repeat itself.</param>
    /// <returns>Whether the answer only repeats.</returns>
    public bool Add(List<int> tokens, int generatedCount)
    {
        bool repeats = false;
        int newest = tokens[^1];
        for (int period = 1; period < _runs.Length && period < generatedCount; period++)
        {
            _runs[period] = tokens[^(1 + period)] == newest ? _runs[period] + 1 : 0;
            repeats |= _runs[period] + period >= window;
        }

        return repeats;
    }
}
