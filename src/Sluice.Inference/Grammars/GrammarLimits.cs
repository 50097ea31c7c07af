namespace Sluice.Inference.Grammars;

/// <summary>Bounds of what one grammar may cost. Schemas come from clients.</summary>
internal static class GrammarLimits
{
    /// <summary>Nodes of a grammar: 5000 properties, OpenAI's bound, take about 50,000.</summary>
    public const int NodesMax = 100_000;

    /// <summary>Bytes of all literals of a grammar: names, enum and const values; OpenAI allows 120,000 characters.</summary>
    public const int LiteralBytesMax = 1 << 20;

    /// <summary>States that a pattern may have before it is made deterministic.</summary>
    public const int PatternNfaStatesMax = 20_000;

    /// <summary>States of a pattern; 13 bits of a machine's state hold them.</summary>
    public const int PatternStatesMax = 8191;

    /// <summary>
    /// Elementary steps that all patterns of a grammar together may take: some tenths of a second, and 20 MB of tables at worst. Fifty
    /// pairs of bounds take a tenth of it.
    /// </summary>
    public const long PatternStepsMax = 5_000_000;

    /// <summary>Longest count of a repetition in a pattern; larger ones meet the bound on states anyway.</summary>
    public const int PatternRepeatMax = 10_000;

    /// <summary>Nested groups of a pattern: its parser recurses.</summary>
    public const int PatternDepthMax = 100;

    /// <summary>Groups in one another in a line of a Lark grammar: its parser recurses.</summary>
    public const int LarkDepthMax = 100;

    /// <summary>Groups and rules in one another in a Lark grammar: its compiler recurses, and so does the pattern's.</summary>
    public const int LarkNestingMax = 400;

    /// <summary>Nested schemas between two references: their compiler recurses.</summary>
    public const int SchemaDepthMax = 100;

    /// <summary>Schemas that are merged with others, 'allOf' and keywords beside references: some tens of microseconds each.</summary>
    public const int SchemaMergesMax = 20_000;

    /// <summary>Bytes of merged schemas, counted as often as they are written: thirty times the longest schema of a request.</summary>
    public const int MergedBytesMax = 16 << 20;

    /// <summary>Values in one another in a merged schema: more than a request can bring.</summary>
    public const int MergedDepthMax = 1024;

    /// <summary>Alternatives that two lists of them make together.</summary>
    public const int MergedAlternativesMax = 1024;

    /// <summary>Pairs of listed values that are compared where lists hold together: two lists of a thousand.</summary>
    public const int ComparedValuesMax = 1_000_000;

    /// <summary>Alternatives of 'oneOf': each pair is held against the other.</summary>
    public const int ExclusiveAlternativesMax = 300;

    /// <summary>Spaces after a line break between the parts of a value: ten levels of four.</summary>
    public const int IndentMax = 40;

    /// <summary>Characters of a string that are counted; no context holds more, so longer bounds are none.</summary>
    public const int CountedCharactersMax = 1 << 25;

    /// <summary>Bytes of the tokens that a grammar may choose; longer ones are runs of blanks and the like, which shorter ones write too.</summary>
    public const int TokenBytesMax = 64;

    /// <summary>
    /// Positions in which one answer may be at once. Ambiguous schemas multiply them; beyond it those of later alternatives are dropped, which
    /// allows less and never more.
    /// </summary>
    public const int PositionsMax = 8192;

    /// <summary>
    /// Nodes of the vocabulary's trie that are looked at for one mask, some tens of milliseconds: forty kinds of strings at once. Beyond it the tokens of
    /// later alternatives are not found, which allows less and never more.
    /// </summary>
    public const int MaskStepsMax = 4_000_000;

    /// <summary>
    /// Steps that one token may take through a grammar: nodes, frames and terminals that are looked at. A million take some tens of
    /// milliseconds; an object of 5000 optional properties takes 25,000. Beyond it the one answer fails.
    /// </summary>
    public const int AdvanceStepsMax = 1_000_000;

    /// <summary>Steps spent on finding text that can't but follow, a tenth of what a token may take; what is not found is sampled.</summary>
    public const int ForcedStepsMax = 100_000;

    /// <summary>What a step through a grammar counts among those of a mask: it looks up and writes down; others read an array.</summary>
    public const int MaskStepsOfLook = 4;

    /// <summary>Frames that one mask may add to those of an answer: 2 MiB, given back after it.</summary>
    public const int MaskFramesMax = 1 << 16;

    /// <summary>Frames of one answer, 24 bytes each: more than 100,000 values in one another take. Beyond it the answer fails.</summary>
    public const int FramesMax = 1 << 19;

    /// <summary>Masks of machine states kept per model: 6 MiB with 49,152 tokens, 19 MiB with 152,000.</summary>
    public const int CachedMasksMax = 1024;

    /// <summary>Bytes of forced text that are looked at together: about the longest step of a prompt.</summary>
    public const int ForcedBytesMax = 1024;
}
