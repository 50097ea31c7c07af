namespace Sluice.Inference.Grammars.Patterns;

/// <summary>The tree of a pattern.</summary>
internal abstract record PatternNode
{
    public static PatternNode Empty { get; } = new PatternSequence([]);

    public static PatternNode Anything { get; } = new PatternRepeat(new PatternSet(CharacterSet.All), 0, null);

    public static PatternNode Text(string text) =>
        new PatternSequence([.. text.EnumerateRunes().Select(static rune => new PatternSet(CharacterSet.Of((rune.Value, rune.Value))))]);

    /// <summary>Parts when every repetition is written out; more than 100 million are that many.</summary>
    public long CountParts() => Math.Min(100_000_000, this switch
    {
        PatternSequence sequence => 1 + sequence.Parts.Sum(static part => part.CountParts()),
        PatternChoice choice => 1 + choice.Parts.Sum(static part => part.CountParts()),
        PatternRepeat repeat => 1 + (repeat.Part.CountParts() * Math.Max(1, repeat.Max ?? repeat.Min + 1)),
        PatternLook look => 1 + look.Ahead.CountParts(),
        PatternAutomaton compiled => compiled.Automaton.StateCount,
        _ => 1,
    });

    public static PatternNode Range(int first, int last) => new PatternSet(CharacterSet.Of((first, last)));
}

/// <summary>One character of a set.</summary>
internal sealed record PatternSet(CharacterSet Characters) : PatternNode;

/// <summary>One after the other.</summary>
internal sealed record PatternSequence(IReadOnlyList<PatternNode> Parts) : PatternNode;

/// <summary>One of several.</summary>
internal sealed record PatternChoice(IReadOnlyList<PatternNode> Parts) : PatternNode;

/// <summary>A number of times; no maximum is any number.</summary>
internal sealed record PatternRepeat(PatternNode Part, int Min, int? Max) : PatternNode;

/// <summary>What has to follow, or must not, and isn't consumed.</summary>
/// <param name="Ahead">What it looks for.</param>
/// <param name="IsNegative">Whether it must not follow.</param>
/// <param name="IsWhole">Whether it has to reach the end of the text.</param>
internal sealed record PatternLook(PatternNode Ahead, bool IsNegative, bool IsWhole) : PatternNode;

/// <summary>A pattern that has been compiled already.</summary>
internal sealed record PatternAutomaton(PatternDfa Automaton) : PatternNode;
