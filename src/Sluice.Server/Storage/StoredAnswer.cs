using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Streaming;

namespace Sluice.Server.Storage;

/// <summary>An answer as a store has it, without its events and its request.</summary>
/// <param name="Id">Unique.</param>
/// <param name="Owner">Who asked, and for what.</param>
/// <param name="Model">The model that was asked for.</param>
/// <param name="Created">Unix time in seconds.</param>
internal sealed record StoredAnswer(string Id, AnswerIdentity Owner, string Model, long Created)
{
    /// <summary>Events that the store has, from the first on.</summary>
    public long EventCount { get; init; }

    /// <summary>Bytes of these events and of the request.</summary>
    public long ByteCount { get; init; }

    /// <summary>Null where it was still being made.</summary>
    public StoredEnd? End { get; init; }

    /// <summary>When the store last learned how far the engine has come with it.</summary>
    public DateTimeOffset ChangedAt { get; init; }

    /// <summary>Whether there is something that the hub's own engine can go on from.</summary>
    public bool HasProgress { get; init; }

    /// <summary>Who is charged for it, for another hub that goes on with it; opaque to the store. Null where nobody is, and in a store of one hub.</summary>
    public string? Charge { get; init; }

    /// <summary>Id of the ledger that settles it; null where there is none.</summary>
    public string? Ledger { get; init; }
}

/// <summary>How an answer ended, and what it took.</summary>
/// <param name="Kind">As in its log.</param>
/// <param name="Failure">Null unless it failed.</param>
/// <param name="Usage">Null where nobody knows.</param>
/// <param name="IsUsageEstimated">Whether that is a guess.</param>
/// <param name="At">When.</param>
internal sealed record StoredEnd(StreamEndKind Kind, ApiError? Failure, AnswerUsage? Usage, bool IsUsageEstimated, DateTimeOffset At);

/// <summary>What was asked, and how far the hub's own engine had come with it.</summary>
/// <param name="Body">The request as the client wrote it.</param>
/// <param name="Progress">Opaque to the store; null where there is none.</param>
internal sealed record StoredRequest(byte[] Body, byte[]? Progress);

/// <summary>What is remembered of an answer that is no longer kept.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Principal">Whose it was.</param>
/// <param name="Key">Its <c>Idempotency-Key</c>; null without one.</param>
/// <param name="At">Since when it is no longer kept.</param>
internal sealed record StoredTombstone(string Id, string Principal, string? Key, DateTimeOffset At);

/// <summary>All that a store has, in the order in which it came.</summary>
internal sealed record StoreContents(IReadOnlyList<StoredAnswer> Answers, IReadOnlyList<StoredTombstone> Tombstones);

/// <summary>Changes that are made together.</summary>
internal sealed record StoreBatch
{
    /// <summary>At most one for each answer.</summary>
    public List<AnswerChange> Changes { get; } = [];

    /// <summary>Answers that are no longer kept: they go, and a trace stays. After <see cref="Changes"/>.</summary>
    public List<StoredTombstone> Expired { get; } = [];

    /// <summary>Answers that go without a trace. After <see cref="Changes"/>.</summary>
    public List<string> Deleted { get; } = [];

    /// <summary>Tombstones from before this go; null keeps them all.</summary>
    public DateTimeOffset? TracesBefore { get; set; }

    public bool IsEmpty => Changes.Count == 0 && Expired.Count == 0 && Deleted.Count == 0;
}

/// <summary>What has come to one answer.</summary>
/// <param name="Id">Of the answer.</param>
/// <param name="FirstEvent">Events that the store has already.</param>
internal sealed record AnswerChange(string Id, long FirstEvent)
{
    /// <summary>The answer itself, with its request, where the store doesn't know it yet.</summary>
    public (StoredAnswer Answer, ReadOnlyMemory<byte> Body)? Begun { get; init; }

    /// <summary>Bytes of the new events, one behind the other.</summary>
    public ReadOnlyMemory<byte> Events { get; init; }

    /// <summary>Where each of them ends, in bytes from the first one's begin.</summary>
    public IReadOnlyList<int> Ends { get; init; } = [];

    /// <summary>How far the engine has come with these events; null leaves what the store has, and nothing takes it away.</summary>
    public ReadOnlyMemory<byte>? Progress { get; init; }

    /// <summary>When that was.</summary>
    public DateTimeOffset At { get; init; }

    /// <summary>Where it has changed: see <see cref="StoredAnswer.Charge"/>.</summary>
    public string? Charge { get; init; }

    /// <summary>Null while it goes on. With it the engine's progress goes.</summary>
    public StoredEnd? End { get; init; }
}
