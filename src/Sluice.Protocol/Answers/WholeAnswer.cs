namespace Sluice.Protocol.Answers;

/// <summary>An answer that an upstream gave as one object, as it is passed on.</summary>
/// <param name="Json">The object, without white space around it.</param>
/// <param name="Usage">What it says that it used, or an estimate.</param>
/// <param name="IsUsageEstimated">Whether that is an estimate.</param>
public sealed record WholeAnswer(ReadOnlyMemory<byte> Json, AnswerUsage Usage, bool IsUsageEstimated);
