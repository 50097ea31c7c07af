using Sluice.Protocol.Answers;

namespace Sluice.Server.Ledger;

/// <summary>One generation, whatever it took to make it. Times are Unix milliseconds, amounts nano-dollars.</summary>
/// <param name="Id">Of the answer.</param>
/// <param name="Revision">Of two rows of one answer the one with the higher number holds.</param>
internal sealed record AnswerRow(string Id, int Revision)
{
    /// <summary>When it was asked for.</summary>
    public required long Began { get; init; }

    /// <summary>Null while it is made.</summary>
    public long? Ended { get; init; }

    /// <summary>Who is charged: the owner's id.</summary>
    public required string Key { get; init; }

    public string? Project { get; init; }

    /// <summary>The model that was asked for.</summary>
    public required string Model { get; init; }

    /// <summary>The model that answered.</summary>
    public string? ServedBy { get; init; }

    /// <summary>Operation of the door.</summary>
    public required string Door { get; init; }

    /// <summary>
    /// How it ended: <c>completed</c>, <c>failed</c>, <c>cancelled</c>, <c>budget</c>, <c>crash</c>, or <c>moved</c> where another hub's ledger has the
    /// rest; empty while it is made.
    /// </summary>
    public string EndedBy { get; init; } = "";

    /// <summary>Whether it is a request of this ledger: one that has moved is one of the ledger that has its end.</summary>
    public bool IsCounted => Ended is not null && EndedBy != Moved;

    /// <summary>See <see cref="EndedBy"/>.</summary>
    public const string Moved = "moved";

    /// <summary>Id of the model whose price the key pays, whoever answers; null for that of the model that answers.</summary>
    public string? PricedAs { get; init; }

    /// <summary>Whether the key pays for all attempts.</summary>
    public bool PaysAttempts { get; init; }

    /// <summary><c>cache</c> where it was there already; else empty.</summary>
    public string Source { get; init; } = "";

    /// <summary>What the key is charged for; while it is made, an estimate of its prompt.</summary>
    public AnswerUsage Usage { get; init; }

    public bool IsEstimated { get; init; }

    public required string PriceVersion { get; init; }

    public long ChargeNanoUsd { get; init; }

    public long CostNanoUsd { get; init; }

    /// <summary>A JSON object of the key's tags; empty without any.</summary>
    public string Tags { get; init; } = "";

    /// <summary>The request's <c>user</c>, as a keyed hash; null without one.</summary>
    public string? Subject { get; init; }
}

/// <summary>One attempt at an upstream or the engine, or one production of it between two suspensions.</summary>
/// <param name="Answer">Id of the answer.</param>
/// <param name="Number">From 0 without gaps.</param>
internal sealed record AttemptRow(string Answer, int Number)
{
    /// <summary>When its production began: decides which windows it is charged to.</summary>
    public required long Began { get; init; }

    public required long Ended { get; init; }

    public required string Key { get; init; }

    public string? Project { get; init; }

    /// <summary>The hub's model that it was made for.</summary>
    public required string Model { get; init; }

    /// <summary>Where.</summary>
    public required string Upstream { get; init; }

    /// <summary>What its tokens are to the answer: <c>answer</c>, <c>failed</c>, <c>hedge_lost</c>, <c>rescue_lost</c> or <c>replaced</c>.</summary>
    public required string Role { get; init; }

    /// <summary>Its own tokens.</summary>
    public AnswerUsage Usage { get; init; }

    public bool IsEstimated { get; init; }

    /// <summary>Tokens that the key is charged for.</summary>
    public long ChargedTokens { get; init; }

    public long ChargeNanoUsd { get; init; }

    public long CostNanoUsd { get; init; }
}

/// <summary>Rows that are committed together.</summary>
/// <param name="Answer">The answer's.</param>
/// <param name="Attempts">Of a production that has ended.</param>
internal sealed record LedgerEntry(AnswerRow Answer, IReadOnlyList<AttemptRow> Attempts);
