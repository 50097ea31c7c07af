namespace Sluice.Inference.Grammars.Patterns;

/// <summary>
/// Takes the look-aheads out of a pattern: what follows one up to the end of the text is made an automaton together with it. A look-ahead within
/// a repetition has no such end, but an optional part is two alternatives.
/// </summary>
internal static class PatternLooks
{
    /// <summary>A whole pattern without look-aheads; the same where there are none.</summary>
    /// <exception cref="GrammarException">One stands in a repetition, or it is too large.</exception>
    public static PatternNode Resolve(PatternNode node, PatternBudget budget) => HasLook(node) ? Before(node, PatternNode.Empty, budget) : node;

    private static bool HasLook(PatternNode node) => node switch
    {
        PatternLook => true,
        PatternSequence sequence => sequence.Parts.Any(HasLook),
        PatternChoice choice => choice.Parts.Any(HasLook),
        PatternRepeat repeat => HasLook(repeat.Part),
        _ => false,
    };

    // A part with all that follows it.
    private static PatternNode Before(PatternNode node, PatternNode rest, PatternBudget budget)
    {
        budget.Spend(1);
        switch (node)
        {
            case PatternLook look:
                return Look(look, rest, budget);
            case PatternSequence sequence:
                return BeforeSequence(sequence, rest, budget);
            case PatternChoice choice:
                return new PatternChoice([.. choice.Parts.Select(part => Before(part, rest, budget))]);
            case PatternRepeat { Min: 0, Max: 1 } repeat when HasLook(repeat.Part):
                return new PatternChoice([Before(repeat.Part, rest, budget), rest]);
            case PatternRepeat repeat when HasLook(repeat.Part):
                throw new GrammarException("'pattern' has a look-ahead in a repetition, which is not supported");
            default:
                return new PatternSequence([node, rest]);
        }
    }

    private static PatternSequence BeforeSequence(PatternSequence sequence, PatternNode rest, PatternBudget budget)
    {
        // The parts since the last look-ahead, the last one first.
        List<PatternNode> plain = [rest];
        for (int i = sequence.Parts.Count - 1; i >= 0; i--)
        {
            if (!HasLook(sequence.Parts[i]))
            {
                plain.Add(sequence.Parts[i]);
                continue;
            }

            plain.Reverse();
            plain = [Before(sequence.Parts[i], new PatternSequence(plain), budget)];
        }

        plain.Reverse();
        return new PatternSequence(plain);
    }

    private static PatternNode Look(PatternLook look, PatternNode rest, PatternBudget budget)
    {
        PatternNode ahead = look.IsWhole ? look.Ahead : new PatternSequence([look.Ahead, PatternNode.Anything]);
        PatternDfa? following = PatternDfa.Compile(rest, budget);
        PatternDfa? seen = PatternDfa.Compile(ahead, budget);
        PatternDfa? both = look.IsNegative
            ? seen == null ? following : following?.Subtract(seen, budget)
            : seen == null ? null : following?.Intersect(seen, budget);
        return both == null ? new PatternChoice([]) : new PatternAutomaton(both);
    }
}
