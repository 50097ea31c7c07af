namespace Sluice.Streaming;

/// <summary>How a stream came to its end.</summary>
public enum StreamEndKind
{
    /// <summary>The producer said everything.</summary>
    Completed,

    /// <summary>The producer could not go on.</summary>
    Failed,

    /// <summary>Nobody wanted the rest.</summary>
    Cancelled,

    /// <summary>Somebody asked for the end, and the producer wrote one: for a reader it is a regular end.</summary>
    Stopped,
}

/// <summary>The end of a stream, fixed once.</summary>
/// <param name="Kind">How it ended.</param>
/// <param name="Failure">What the producer said about a failure, opaque to the log; null unless <see cref="StreamEndKind.Failed"/>.</param>
public sealed record StreamEnd(StreamEndKind Kind, object? Failure = null);
