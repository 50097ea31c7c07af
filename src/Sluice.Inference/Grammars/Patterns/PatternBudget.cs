namespace Sluice.Inference.Grammars.Patterns;

/// <summary>The work that the patterns of one grammar may still take.</summary>
internal sealed class PatternBudget
{
    private long _left = GrammarLimits.PatternStepsMax;

    /// <exception cref="GrammarException">It is used up.</exception>
    public void Spend(int steps)
    {
        _left -= steps;
        if (_left < 0)
        {
            throw new GrammarException(FormattableString.Invariant(
                $"the patterns are too large to compile: they take more than {GrammarLimits.PatternStepsMax} steps"));
        }
    }
}
