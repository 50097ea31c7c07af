namespace Sluice.Inference.Scheduling;

/// <summary>What <see cref="GenerationRequest.MayContinue"/> says of one token more.</summary>
public enum NextToken
{
    /// <summary>It may be made.</summary>
    Allowed,

    /// <summary>It may not: the choice ends with <see cref="FinishReason.Exhausted"/>.</summary>
    Refused,

    /// <summary>Not now: the generation is suspended, and goes on with it when it is resumed.</summary>
    Later,
}
