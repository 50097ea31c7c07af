using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Lark;

/// <summary>A part of a rule or a terminal as it was written.</summary>
internal abstract record LarkNode;

/// <summary>Another rule or terminal.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsTerminal">Whether the name is in upper case.</param>
internal sealed record LarkName(string Name, bool IsTerminal) : LarkNode;

/// <summary>A text, a range of characters, or a regular expression.</summary>
internal sealed record LarkPattern(PatternNode Pattern) : LarkNode;

/// <summary>One after the other.</summary>
internal sealed record LarkSequence(IReadOnlyList<LarkNode> Parts) : LarkNode;

/// <summary>One of several.</summary>
internal sealed record LarkChoice(IReadOnlyList<LarkNode> Parts) : LarkNode;

/// <summary>A number of times; no maximum is any number.</summary>
internal sealed record LarkRepeat(LarkNode Part, int Min, int? Max) : LarkNode;
