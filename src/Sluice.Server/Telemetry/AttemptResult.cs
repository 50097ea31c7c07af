using Sluice.Protocol.Errors;

namespace Sluice.Server.Telemetry;

/// <summary>How an attempt went.</summary>
internal enum AttemptOutcome
{
    /// <summary>The answer is in the log, which has ended or will be ended by the upstream.</summary>
    Answered,

    /// <summary>Nothing has been appended: another attempt can be made.</summary>
    Failed,

    /// <summary>A part of the answer is in the log, which is open still, and no more comes.</summary>
    Broken,
}

/// <summary>What a failure says about trying again.</summary>
internal enum FailureKind
{
    /// <summary>The request is at fault, and would be everywhere.</summary>
    Refused,

    /// <summary>The prompt is too long for this model; another may take it.</summary>
    ContextLength,

    /// <summary>This upstream won't answer for this model, however often it is asked: a wrong key, an unknown model, a spent quota.</summary>
    Rejected,

    /// <summary>It was not asked, for its API has no word for what the request wants. Another upstream's may.</summary>
    Inexpressible,

    /// <summary>Too many requests; later it may answer.</summary>
    RateLimited,

    /// <summary>It failed; the next try may succeed.</summary>
    Faulted,

    /// <summary>It said nothing in time. Asked again it would probably take as long.</summary>
    Silent,
}

/// <param name="Outcome">How the attempt went.</param>
/// <param name="Kind">What went wrong; without meaning for <see cref="AttemptOutcome.Answered"/>.</param>
/// <param name="Error">What the client would be told; null for <see cref="AttemptOutcome.Answered"/>.</param>
internal readonly record struct AttemptResult(AttemptOutcome Outcome, FailureKind Kind, ApiError? Error)
{
    /// <summary>Whether it is the hub's key that was rejected, for this model and every other: it is wrong, or its account is spent.</summary>
    public bool IsOfKey { get; init; }

    public static AttemptResult Answered { get; } = new(AttemptOutcome.Answered, default, null);

    public static AttemptResult Failed(FailureKind kind, ApiError error) => new(AttemptOutcome.Failed, kind, error);
}
