using Sluice.Protocol.Chat;

namespace Sluice.Server.Answers;

/// <summary>What becomes of an answer when nobody reads it any more.</summary>
internal enum DisconnectPolicy
{
    /// <summary>What the key and the state of the answer say.</summary>
    Default,

    /// <summary>It ends at once.</summary>
    Cancel,

    /// <summary>It runs to its end.</summary>
    Continue,
}

/// <summary>Who asked, and for what.</summary>
/// <param name="Principal">See <see cref="Access.Principal"/>.</param>
/// <param name="Key">The request's <c>Idempotency-Key</c>; null without one.</param>
/// <param name="Fingerprint">Of the body.</param>
/// <param name="OnDisconnect">What the request wants when its client is gone.</param>
internal sealed record AnswerOwner(string Principal, string? Key, RequestFingerprint Fingerprint, DisconnectPolicy OnDisconnect);
