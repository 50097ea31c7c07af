using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;

namespace Sluice.Server.Storage;

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

/// <summary>What is kept of an answer.</summary>
internal enum Retention
{
    /// <summary>It is kept after its end, in memory.</summary>
    Memory,

    /// <summary>It is kept in the store too, from its begin on.</summary>
    Store,

    /// <summary>It is gone when it has ended and those who read it have it.</summary>
    Off,
}

/// <summary>How the hub knows that an agent's request is a retry, where the agent sends no key.</summary>
internal enum TurnKind
{
    /// <summary>It doesn't, or the client has a key of its own.</summary>
    None,

    /// <summary>Equal requests of one session are retries until the answer has been read to its end.</summary>
    Session,

    /// <summary>Equal requests of one turn are retries.</summary>
    Turn,
}

/// <summary>Who asked, and for what.</summary>
/// <param name="Principal">The id of who asked; a store of before may have the hash of a key.</param>
/// <param name="Key">The request's <c>Idempotency-Key</c>; null without one.</param>
/// <param name="Fingerprint">Of the body.</param>
/// <param name="OnDisconnect">What the request wants when its client is gone.</param>
internal sealed record AnswerIdentity(string Principal, string? Key, RequestFingerprint Fingerprint, DisconnectPolicy OnDisconnect)
{
    /// <summary>What the answer is written in.</summary>
    public AnswerDialect Dialect { get; init; } = ChatDialect.Instance;

    /// <summary>Whether the log may hold the answer as one object, for the request did not ask for a stream. True where that is not known.</summary>
    public bool MayBeWhole { get; init; } = true;

    /// <summary>Where <see cref="Key"/> comes from, if not from the client.</summary>
    public TurnKind Turn { get; init; }

    /// <summary>
    /// Whether nobody may look at it by its id, and it goes soon after its end: the request asked for that, and only its retries get it.
    /// </summary>
    public bool IsHidden { get; init; }

    /// <summary>What is kept of the answer. The default value is <see cref="Storage.Retention.Memory"/>.</summary>
    public Retention Retention { get; init; }
}
