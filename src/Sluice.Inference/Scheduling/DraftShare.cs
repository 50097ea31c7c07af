namespace Sluice.Inference.Scheduling;

/// <summary>
/// How many guesses of which choices a step computes: as many as make the most tokens of its time, by what rows cost and by how likely the
/// guesses are, and none where they would make another choice wait.
/// </summary>
internal static class DraftShare
{
    // A gain below the noise of what is known about costs is none.
    private const double GainMin = 1.1;

    // What any choice may lose, by estimate.
    private const double LossMax = 0.02;

    /// <summary>Sets <see cref="ChoiceDrafts.Count"/> of every choice of a step.</summary>
    /// <param name="choices">Those that the step computes, one row each; their guesses are made, and none is counted.</param>
    /// <param name="cost">What rows cost.</param>
    /// <param name="rowsMax">Most rows of the step.</param>
    public static void Plan(List<ChoiceDrafts> choices, RowCost cost, int rowsMax)
    {
        double alone = cost.Estimate(choices.Count);
        double tokens = choices.Count;
        double bestRate = GainMin * tokens / alone;
        int best = choices.Count;
        for (int rows = choices.Count + 1; rows <= rowsMax && AddLikeliest(choices) is > 0 and var likelihood; rows++)
        {
            double milliseconds = cost.Estimate(rows);
            tokens += likelihood;
            if (tokens / milliseconds > bestRate && LeastExpected(choices) * alone >= milliseconds * (1 - LossMax))
            {
                (best, bestRate) = (rows, tokens / milliseconds);
            }
        }

        foreach (ChoiceDrafts choice in choices)
        {
            choice.Count = 0;
        }

        for (int rows = choices.Count; rows < best; rows++)
        {
            AddLikeliest(choices);
        }
    }

    // One row more, for the guess that is likeliest to be right. Returns how likely that is; 0 when no guess is left.
    private static double AddLikeliest(List<ChoiceDrafts> choices)
    {
        ChoiceDrafts? likeliest = null;
        double most = 0;
        foreach (ChoiceDrafts choice in choices)
        {
            if (choice.Count < choice.Tokens.Count && choice.Likelihoods[choice.Count] > most)
            {
                (likeliest, most) = (choice, choice.Likelihoods[choice.Count]);
            }
        }

        if (likeliest != null)
        {
            likeliest.Count++;
        }

        return most;
    }

    // Tokens that the choice with the fewest can expect of the step.
    private static double LeastExpected(List<ChoiceDrafts> choices)
    {
        double least = double.PositiveInfinity;
        foreach (ChoiceDrafts choice in choices)
        {
            double expected = 1;
            for (int i = 0; i < choice.Count; i++)
            {
                expected += choice.Likelihoods[i];
            }

            least = Math.Min(least, expected);
        }

        return least;
    }
}
