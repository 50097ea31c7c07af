namespace Sluice.Server.Configuration;

/// <summary>What a key, a project or the whole hub may use.</summary>
public sealed record LimitOptions
{
    /// <summary>No limit at all.</summary>
    public static LimitOptions None { get; } = new();

    /// <summary>Requests a minute, at least 1; null for any number.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Tokens a minute, of prompts and answers together, at least 1; null for any number.</summary>
    public long? TokensPerMinute { get; init; }

    /// <summary>Answers that are made at a time, at least 1; null for any number.</summary>
    public int? Parallel { get; init; }

    /// <summary>All of them hold. The default value is none.</summary>
    public IReadOnlyList<BudgetOptions> Budgets { get; init; } = [];
}

/// <summary>What a budget counts.</summary>
public enum BudgetUnit
{
    /// <summary>Tokens of prompts and answers together.</summary>
    Tokens,

    /// <summary>Nano-dollars: a price list turns tokens into them.</summary>
    NanoUsd,
}

/// <summary>The calendar window of a budget.</summary>
public enum BudgetPeriod
{
    /// <summary>From the full hour on.</summary>
    Hour,

    /// <summary>From midnight on.</summary>
    Day,

    /// <summary>From Monday on.</summary>
    Week,

    /// <summary>From the first on.</summary>
    Month,

    /// <summary>One window without an end.</summary>
    Total,
}

/// <summary>An amount that may be used in each window of the calendar.</summary>
/// <param name="Unit">What is counted.</param>
/// <param name="Amount">Above 0, in that unit.</param>
/// <param name="Per">The window.</param>
public sealed record BudgetOptions(BudgetUnit Unit, long Amount, BudgetPeriod Per)
{
    /// <summary>Where days, weeks and months begin. The default value is UTC.</summary>
    public TimeZoneInfo Zone { get; init; } = TimeZoneInfo.Utc;

    /// <summary>Percent of the amount from which on the hub warns, 1 to 99; null for never.</summary>
    public int? WarnPercent { get; init; }
}

/// <summary>What becomes of an answer that is being made when a budget of its key ends.</summary>
public enum ExhaustedPolicy
{
    /// <summary>It ends in order, as one that has reached its most tokens.</summary>
    Length,

    /// <summary>It ends with an error.</summary>
    Error,

    /// <summary>
    /// The local engine stops at it, and its readers get an error; with more budget it is resumed at the exact token. What an upstream
    /// makes ends with the error.
    /// </summary>
    Suspend,
}
