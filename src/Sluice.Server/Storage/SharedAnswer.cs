namespace Sluice.Server.Storage;

/// <summary>An answer in a database that several hubs share.</summary>
/// <param name="Stored">As every store has it.</param>
/// <param name="Owner">The node that makes or made it; null where it was let go of, so that anybody may take it.</param>
/// <param name="Epoch">How often it has changed hands.</param>
/// <param name="IsOwned">Whether the owner's lease still runs.</param>
/// <param name="Isa">Instruction set of the owner, by which the engine's numbers may differ in their last bits.</param>
internal sealed record SharedAnswer(StoredAnswer Stored, Guid? Owner, int Epoch, bool IsOwned, string Isa);

/// <summary>A hub of the cluster, as the database has it.</summary>
/// <param name="Id">Another one at each start, so that whoever inherits its address is not taken for it.</param>
/// <param name="Url">Where other hubs reach it.</param>
internal sealed record ClusterNode(Guid Id, string Url)
{
    /// <summary>Version of the program.</summary>
    public required string Version { get; init; }

    /// <summary>Instruction set of its engine.</summary>
    public required string Isa { get; init; }

    /// <summary>Ids of the models that its own engine serves.</summary>
    public required IReadOnlyList<string> Models { get; init; }

    /// <summary>Answers that it makes.</summary>
    public required int Running { get; init; }

    /// <summary>Whether it is about to stop.</summary>
    public required bool IsDraining { get; init; }

    /// <summary>Whether its lease runs, on the database's clock.</summary>
    public required bool IsAlive { get; init; }

    /// <summary>Since when, or how long ago its lease ended, in seconds; not negative.</summary>
    public required double LeaseSeconds { get; init; }
}

/// <summary>Whose a key is.</summary>
/// <param name="IsMine">Whether the caller has it from now on.</param>
/// <param name="Holder">The answer that has it; null where that was cancelled before its request came.</param>
internal readonly record struct KeyClaim(bool IsMine, string? Holder);
