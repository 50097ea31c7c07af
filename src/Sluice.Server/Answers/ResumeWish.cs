using Sluice.Server.Storage;

namespace Sluice.Server.Answers;

/// <summary>A place in a stream.</summary>
/// <param name="Id">Of the completion; null where the request says otherwise which it is.</param>
/// <param name="Position">Events that the client has.</param>
internal readonly record struct Cursor(string? Id, long Position);

/// <summary>What a request wants of its connection, beside what it asks.</summary>
/// <param name="Key">Requests of one caller with the same key want the same answer; null without one.</param>
/// <param name="Cursor">Where the client is already; null at the beginning.</param>
/// <param name="WantsEventIds">Whether events have ids.</param>
/// <param name="OnDisconnect">What becomes of the answer when its client is gone.</param>
internal sealed record ResumeWish(string? Key, Cursor? Cursor, bool WantsEventIds, DisconnectPolicy OnDisconnect)
{
    public static ResumeWish None { get; } = new(null, null, false, DisconnectPolicy.Default);

    /// <summary>Whether nothing of the answer is to be kept beyond those who read it.</summary>
    public bool IsStoreOff { get; init; }

    /// <summary>Whether nothing of request and answer is to be written into spans.</summary>
    public bool IsContentOff { get; init; }

    /// <summary>Where the key comes from, if not from the client.</summary>
    public TurnKind Turn { get; init; }

    /// <summary>Whether the answer is for its retries alone.</summary>
    public bool IsHidden { get; init; }

    /// <summary>Whether the answer may be asked for again in other words: then its fingerprint must not depend on them.</summary>
    public bool NeedsCanonical => Key is not null || Cursor is not null || WantsEventIds;
}
