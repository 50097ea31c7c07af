using System.Globalization;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;

namespace Sluice.Server.Metering;

/// <summary>What is said where a limit doesn't let an answer begin.</summary>
internal static class LimitErrors
{
    /// <summary>Code of a spent budget, which frameworks know.</summary>
    public const string QuotaCode = "insufficient_quota";

    private const string RateCode = "rate_limit_exceeded";

    /// <summary>429: a rate is used up.</summary>
    /// <param name="scope">Whose limit: <c>key</c>, <c>project</c> or <c>hub</c>.</param>
    /// <param name="what"><c>requests</c> or <c>tokens</c>.</param>
    /// <param name="perMinute">The limit.</param>
    /// <param name="wait">Until there is room, at most a minute.</param>
    public static ApiError RateExceeded(string scope, string what, long perMinute, TimeSpan wait) =>
        new(
            429,
            string.Create(
                CultureInfo.InvariantCulture,
                $"Rate limit reached for this {scope}: {perMinute} {what} per minute. Please try again in {Math.Max(1, Math.Ceiling(wait.TotalSeconds))}s."),
            what, Param: null, RateCode)
        { RetryAfter = wait };

    /// <summary>400: the request alone is more than the limit gives in a minute, so that waiting doesn't help.</summary>
    public static ApiError TooLargeForRate(string scope, long perMinute, long tokens) => new(
        400,
        string.Create(
            CultureInfo.InvariantCulture,
            $"This request is reckoned at {tokens} tokens, and the limit of this {scope} is {perMinute} tokens per minute. Send less at once, or lower max_tokens."),
        ApiErrors.InvalidRequestType, Param: null, "request_too_large_for_limit");

    /// <summary>429: enough answers are being made.</summary>
    public static ApiError TooManyAtOnce(string scope, int limit) => new(
        429,
        string.Create(
            CultureInfo.InvariantCulture,
            $"This {scope} may have {limit} {(limit == 1 ? "answer" : "answers")} in progress at a time. Please try again when one has ended."),
        "requests", Param: null, "concurrency_limit")
    { RetryAfter = TimeSpan.FromSeconds(1) };

    /// <summary>429: a budget is spent until its window ends.</summary>
    /// <param name="scope">As above.</param>
    /// <param name="resetsAt">Unix time in seconds; null for never.</param>
    /// <param name="wait">To be told as <c>Retry-After</c>; null where that is too long for a client to sleep.</param>
    public static ApiError BudgetSpent(string scope, long? resetsAt, TimeSpan? wait) => new(
        429,
        resetsAt is { } at
            ? $"The budget of this {scope} is spent. There is a new one at {DateTimeOffset.FromUnixTimeSeconds(at):yyyy-MM-dd HH:mm} UTC."
            : $"The budget of this {scope} is spent. Ask whoever runs the hub for a top-up.",
        QuotaCode, Param: null, QuotaCode)
    {
        RetryAfter = wait,
        ShouldRetry = wait is null ? false : null,
        Details = Members("budget", scope, resetsAt),
    };

    /// <summary>429: other answers hold what is left of a budget, and may give some back.</summary>
    public static ApiError BudgetInFlight(string scope) => new(
        429, $"The rest of the budget of this {scope} is held by answers in progress. Please try again in 1s.", "requests", Param: null, "budget_in_flight")
    {
        RetryAfter = TimeSpan.FromSeconds(1),
        Details = Members("budget", scope, resetsAt: null),
    };

    /// <summary>400: not even an untouched window has room for the request.</summary>
    public static ApiError BudgetTooSmall(string scope, BudgetUnit unit, long limit, long need) => new(
        400, $"This request costs at least {Text(unit, need)}, and the budget of this {scope} is {Text(unit, limit)}. Shorten the prompt, or ask for a larger budget.",
        ApiErrors.InvalidRequestType, Param: null, "budget_too_small");

    /// <summary>400: nobody knows what the model costs, and a budget in dollars holds.</summary>
    public static ApiError Unpriced(string model, string scope) => new(
        400, $"The model `{model}` has no price, and this {scope} has a budget in dollars. Whoever runs the hub can add one to its prices, or 'free'.",
        ApiErrors.InvalidRequestType, "model", "model_unpriced");

    /// <summary>400: the key holds whole answers, and this one has no end.</summary>
    public static ApiError MaxTokensMissing() => new(
        400, "This key begins an answer only where its budget has room for all of it, so the request must state max_tokens.",
        ApiErrors.InvalidRequestType, "max_tokens", "max_tokens_required");

    /// <summary>503: what is used can't be written down now.</summary>
    public static ApiError LedgerUnavailable() => ApiErrors.Unavailable(TimeSpan.FromSeconds(1)) with
    {
        Message = "What is used can't be written down now, and this key has a budget. Please retry.",
        Code = "ledger_unavailable",
    };

    /// <summary>429, or the end of a stream: a budget ended while the answer was made.</summary>
    public static ApiError Exhausted(BudgetCut? cut) =>
        BudgetSpent(cut?.Scope ?? "key", cut?.ResetsAt, wait: null) with { Message = $"The budget of this {cut?.Scope ?? "key"} ended while the answer was made." };

    /// <summary>The end for a reader of an answer that waits for more budget.</summary>
    public static ApiError Suspended(BudgetCut? cut) => Exhausted(cut) with
    {
        Message = $"The budget of this {cut?.Scope ?? "key"} ended while the answer was made. The answer is suspended: resume it when there is more.",
    };

    private static string Members(string limit, string scope, long? resetsAt) => string.Create(
        CultureInfo.InvariantCulture, $",\"sluice\":{{\"limit\":\"{limit}\",\"scope\":\"{scope}\",\"resets_at\":{(resetsAt is { } at ? at : "null")}}}");

    private static string Text(BudgetUnit unit, long amount) => unit == BudgetUnit.Tokens
        ? string.Create(CultureInfo.InvariantCulture, $"{amount} tokens")
        : string.Create(CultureInfo.InvariantCulture, $"{amount / 1e9m:0.#########} USD");
}
