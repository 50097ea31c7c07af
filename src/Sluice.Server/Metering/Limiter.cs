using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;
using Sluice.Server.Prices;
using Sluice.Server.Runtime;

namespace Sluice.Server.Metering;

/// <summary>
/// Decides whether an answer may begin, and keeps what is used of every limit. All limits of a request pass together, or none is touched; one
/// lock guards them all, for a check is a few additions. Thread-safe.
/// </summary>
/// <remarks>Settled + held ≤ limit at every step, as long as no limit is lowered.</remarks>
/// <param name="time">Its wall clock says the windows of budgets, and its timestamps, which never jump, those of rates.</param>
/// <param name="random">Spreads those who wait.</param>
internal sealed class Limiter(TimeProvider time, RandomSource random)
{
    // What an answer is reckoned with that states no more.
    private const long RateOutputTokens = 1000;

    // Above this no client waits; what is asked for is another time, not a retry.
    private static readonly TimeSpan s_retryAfterMax = TimeSpan.FromSeconds(60);

    private readonly Dictionary<(ScopeKind, string), LimitScope> _scopes = [];
    // Of keys, those that are gone too: an answer may outlive its key, and the process that began it.
    private readonly Dictionary<string, ExhaustedPolicy> _policies = new(StringComparer.Ordinal);
    private readonly long _start = time.GetTimestamp();
    private PriceTable _prices = PriceTable.Empty;
    private Func<LimitScope, Meter, long>? _grantOf;
    private Hold? _spare;

    public Lock Lock { get; } = new();

    /// <summary>The time, as windows have it.</summary>
    public DateTimeOffset Now => time.GetUtcNow();

    /// <summary>
    /// What the ledger says was used of a meter's window; null without a ledger. Called under the lock, when a meter is looked at for the first
    /// time: a start with many thousands of keys counts nothing. The result is null where the ledger can't be read.
    /// </summary>
    public Func<LimitScope, Meter, long?>? CountSettled { get; set; }

    /// <summary>Whether answers are made although nobody can say what is left. The default value is false.</summary>
    public bool ServesUncounted { get; set; }

    /// <summary>
    /// What somebody is called in reports whom an identity provider knows, by the id that has their name in it; null for that id itself.
    /// </summary>
    public Func<string, string>? NameOfPerson { get; set; }

    /// <summary>A budget is used beyond the share from which on its owner wants to know; once for each window. Not called under the lock.</summary>
    public Action<LimitScope, Meter>? Warned { get; set; }

    /// <summary>The account of a key. What has limits gets a scope, or keeps the one that it has.</summary>
    /// <param name="key">Its limits.</param>
    /// <param name="name">For people.</param>
    /// <param name="projects">Among them the key's.</param>
    /// <param name="hub">What holds for everybody.</param>
    public Account CreateAccount(KeyOptions key, string name, IEnumerable<ProjectOptions> projects, LimitOptions hub)
    {
        lock (Lock)
        {
            var scopes = new List<LimitScope>();
            Add(scopes, ScopeKind.Hub, "", hub);
            if (projects.FirstOrDefault(project => project.Id == key.Project) is { } found) Add(scopes, ScopeKind.Project, found.Id, found.Limits);
            Add(scopes, ScopeKind.Key, key.Id, key.Limits);
            _policies[key.Id] = key.OnExhausted;
            return new Account(key.Id, name, key.Project, scopes)
            {
                Tags = key.Tags,
                Models = key.Models,
                Expires = key.Expires,
                OnExhausted = key.OnExhausted,
                HoldsWhole = key.HoldsWhole,
                PaysAttempts = key.PaysAttempts,
                PaysAsAsked = key.PaysAsAsked,
                IsNeverCaptured = key.IsNeverCaptured,
            };
        }
    }

    /// <summary>Prices of answers that begin from now on.</summary>
    public void SetPrices(PriceTable prices)
    {
        lock (Lock) _prices = prices;
    }

    public string PriceVersion
    {
        get { lock (Lock) return _prices.Version; }
    }

    /// <summary>Of a model without a price: nothing.</summary>
    public ModelPrice PriceOf(string model)
    {
        lock (Lock) return _prices.Models.GetValueOrDefault(model) ?? ModelPrice.Free;
    }

    /// <summary>Lets an answer begin, or says why not.</summary>
    /// <param name="account">Who is charged.</param>
    /// <param name="model">Id of the model.</param>
    /// <param name="promptTokens">An estimate.</param>
    /// <param name="maxTokens">Most tokens of the answer over all choices; null where it isn't stated.</param>
    /// <param name="choices">At least 1: each may make a token at once.</param>
    /// <param name="unseenTokens">To be held beside all others.</param>
    public (Hold? Hold, ApiError? Error) TryBegin(Account account, string model, long promptTokens, long? maxTokens, int choices, int unseenTokens = 0) =>
        TryBegin(account, model, promptTokens, maxTokens, choices, unseenTokens, isLook: false);

    /// <summary>Why <see cref="TryBegin(Account, string, long, long?, int, int)"/> would refuse now; null where it would not. Takes nothing.</summary>
    public ApiError? FindRefusal(Account account, string model, long promptTokens, long? maxTokens, int choices, int unseenTokens = 0) =>
        TryBegin(account, model, promptTokens, maxTokens, choices, unseenTokens, isLook: true).Error;

    private (Hold? Hold, ApiError? Error) TryBegin(Account account, string model, long promptTokens, long? maxTokens, int choices, int unseenTokens, bool isLook)
    {
        if (account.HoldsWhole && maxTokens is null && account.HasBudget) return (null, LimitErrors.MaxTokensMissing());
        // What is made is a part of what was to be the most.
        var first = account.HoldsWhole && maxTokens is { } whole ? whole : choices;
        var (now, clock) = (time.GetUtcNow(), Clock);
        lock (Lock)
        {
            var rateTokens = promptTokens + long.Min(maxTokens ?? RateOutputTokens, RateOutputTokens);
            // A guess at the answer must not be what makes a request too large.
            foreach (var scope in account.Scopes)
                if (scope.Tokens is { } bucket) rateTokens = long.Max(promptTokens, long.Min(rateTokens, bucket.PerMinute));
            var price = _prices.Models.GetValueOrDefault(model);
            foreach (var scope in account.Scopes)
            {
                foreach (var meter in scope.Meters) if (!TryLook(scope, meter, now) && !ServesUncounted) return (null, LimitErrors.LedgerUnavailable());
                if (FindRefusal(scope, rateTokens, clock) is { } refusal) return (null, refusal);
                if (price is null && HasMoney(scope))
                    return (null, LimitErrors.Unpriced(model, scope.Word));
            }
            // Most that are refused come again: what is not let in costs nothing but its error.
            var hold = _spare ?? new Hold(this);
            _spare = hold;
            hold.Set(account, model, price ?? ModelPrice.Free, promptTokens, maxTokens, rateTokens, account.HoldsWhole ? 0 : unseenTokens);
            if (hold.FindFull(first) is var (full, of, need)) return (null, Refuse(full, of, need, now));
            if (isLook) return default;
            _spare = null;
            foreach (var scope in account.Scopes)
            {
                scope.Requests?.Take(1, clock);
                scope.Tokens?.Take(rateTokens, clock);
                scope.Running++;
            }
            hold.Begin(now, first);
            return (hold, null);
        }
    }

    /// <summary>Counts a request whose answer is there already and takes nothing of budgets; or says why it must wait.</summary>
    public ApiError? TryTakeRequest(Account account)
    {
        var clock = Clock;
        lock (Lock)
        {
            foreach (var scope in account.Scopes)
                if (scope.Requests is { } requests && requests.AvailableAt(1, clock) is var first && first > clock)
                    return LimitErrors.RateExceeded(scope.Word, "requests", requests.PerMinute, Spread(first - clock));
            foreach (var scope in account.Scopes) scope.Requests?.Take(1, clock);
            return null;
        }
    }

    /// <summary>Lets a suspended answer continue: it has been admitted once, and is cut at its next token where nothing is left.</summary>
    public void Continue(Hold hold)
    {
        lock (Lock)
        {
            var now = time.GetUtcNow();
            foreach (var scope in hold.Account.Scopes)
            {
                scope.Running++;
                foreach (var meter in scope.Meters) TryLook(scope, meter, now);
            }
            hold.Begin(now, 0);
        }
    }

    /// <summary>A hold for an answer that an earlier process has begun.</summary>
    /// <param name="account">Who is charged.</param>
    /// <param name="model">Id of the model that makes it.</param>
    /// <param name="pricedAs">Id of the model whose price the key pays; null for that of <paramref name="model"/>.</param>
    /// <param name="promptTokens">An estimate.</param>
    /// <param name="carried">What an earlier process had made of it, and nobody has settled.</param>
    public Hold Restore(Account account, string model, string? pricedAs, long promptTokens, in AnswerUsage carried) =>
        new Hold(this) { CarriedTokens = carried.CompletionTokens, IsUnsettled = carried.TotalTokens > 0 }.Set(account, model, PriceOf(pricedAs ?? model), promptTokens, null, 0, 0, pricedAs);

    /// <summary>What was settled turns out to be otherwise, as rows of the ledger say that were changed.</summary>
    /// <param name="key">Id of the key.</param>
    /// <param name="project">Of the key.</param>
    /// <param name="began">Decides the windows.</param>
    /// <param name="charge">More, or less, of each amount.</param>
    public void Correct(string key, string? project, DateTimeOffset began, in SettledAmounts charge)
    {
        lock (Lock)
        {
            foreach (var scope in FindScopes(key, project))
                foreach (var meter in scope.Meters)
                    meter.Settle(BudgetWindow.At(began, meter.Options.Per, meter.Options.Zone).Number, charge.Of(scope, meter));
        }
    }

    /// <summary>Takes over the limits of a configuration. Keys follow, each with its own.</summary>
    public void Apply(LimitOptions hub, IEnumerable<ProjectOptions> projects)
    {
        lock (Lock)
        {
            Add([], ScopeKind.Hub, "", hub);
            foreach (var project in projects) Add([], ScopeKind.Project, project.Id, project.Limits);
        }
    }

    /// <summary>The account of somebody without limits of their own. Changes none of those that there are.</summary>
    /// <param name="id">What use is counted under.</param>
    /// <param name="project">Of somebody who has one.</param>
    /// <param name="models">See <see cref="KeyOptions.Models"/>.</param>
    public Account FindAccount(string id, string? project, IReadOnlyList<string>? models) =>
        new(IsPerson(id) && NameOfPerson is { } name ? name(id) : id, "", project, FindScopes(id, project)) { Models = models };

    // The id of a key has no colon.
    private static bool IsPerson(string id) => id.StartsWith("user:", StringComparison.Ordinal);

    /// <summary>Of a model with a price, or that costs nothing; null for one that nobody has priced.</summary>
    public ModelPrice? FindPrice(string model)
    {
        lock (Lock) return _prices.Models.GetValueOrDefault(model);
    }

    /// <summary>How answers of an account end when a budget does.</summary>
    public ExhaustedPolicy FindPolicy(Account account)
    {
        lock (Lock) return _policies.GetValueOrDefault(account.Key, account.OnExhausted);
    }

    /// <summary>The scopes of a key that an earlier process has admitted, as far as there are any now.</summary>
    public IReadOnlyList<LimitScope> FindScopes(string key, string? project)
    {
        (ScopeKind, string)[] names = [(ScopeKind.Hub, ""), (ScopeKind.Project, project ?? ""), (ScopeKind.Key, key)];
        lock (Lock) return [.. names.Select(name => _scopes.GetValueOrDefault(name)).OfType<LimitScope>()];
    }

    /// <summary>Under the lock, from the hold: a production is over.</summary>
    /// <param name="hold">Its own.</param>
    /// <param name="tokens">What it used; null where that is as much as nothing.</param>
    public void End(Hold hold, long? tokens)
    {
        var clock = Clock;
        foreach (var scope in hold.Account.Scopes)
        {
            scope.Running--;
            // The first production was reckoned with; those that continue it were not.
            scope.Tokens?.Take((tokens ?? 0) - (hold.ProductionCount == 0 ? hold.RateTokens : 0), clock);
        }
    }

    /// <summary>What headers say of an account's buckets: those with the least left.</summary>
    public LimitView View(Account account)
    {
        var clock = Clock;
        lock (Lock)
        {
            var now = time.GetUtcNow();
            var (requests, tokens) = (default(RateBucket), default(RateBucket));
            (Meter Meter, LimitScope Scope)? budget = null;
            (Meter Meter, LimitScope Scope)? warning = null;
            foreach (var scope in account.Scopes)
            {
                if (scope.Requests is { } some && (requests is null || some.RemainingAt(clock) < requests.RemainingAt(clock))) requests = some;
                if (scope.Tokens is { } more && (tokens is null || more.RemainingAt(clock) < tokens.RemainingAt(clock))) tokens = more;
                foreach (var meter in scope.Meters)
                {
                    TryLook(scope, meter, now);
                    if (meter.IsOverWarning && (warning is null || ShareOf(meter) < ShareOf(warning.Value.Meter))) warning = (meter, scope);
                    if (budget is null || ShareOf(meter) < ShareOf(budget.Value.Meter)) budget = (meter, scope);
                }
            }
            return new LimitView(
                requests is null ? null : new BucketView(requests.PerMinute, requests.RemainingAt(clock), requests.UntilFull(clock)),
                tokens is null ? null : new BucketView(tokens.PerMinute, tokens.RemainingAt(clock), tokens.UntilFull(clock)),
                budget is var (least, of) ? ViewOf(least, of) : null,
                warning is var (warned, by) ? ViewOf(warned, by) : null);
        }

        static double ShareOf(Meter meter) => meter.Available / (double)long.Max(1, meter.Limit);
    }

    /// <summary>All budgets of an account.</summary>
    public List<BudgetView> ViewBudgets(Account account)
    {
        lock (Lock)
        {
            var now = time.GetUtcNow();
            var all = new List<BudgetView>();
            foreach (var scope in account.Scopes)
            {
                foreach (var meter in scope.Meters)
                {
                    TryLook(scope, meter, now);
                    all.Add(ViewOf(meter, scope));
                }
            }
            return all;
        }
    }

    /// <summary>Has every meter counted anew, when it is looked at next. At the start, when nothing is held.</summary>
    public void Recount()
    {
        lock (Lock)
        {
            foreach (var scope in _scopes.Values)
                foreach (var meter in scope.Meters) meter.SetUncounted();
        }
    }

    /// <summary>Has the meters of a key counted before rows of the ledger change, so that the change comes on top.</summary>
    public void Look(string key, string? project)
    {
        var now = time.GetUtcNow();
        lock (Lock)
        {
            foreach (var scope in FindScopes(key, project))
                foreach (var meter in scope.Meters) TryLook(scope, meter, now);
        }
    }

    /// <summary>
    /// Under the lock: enters the window of now, and counts what was never counted. False where the ledger can't be read: nobody knows what is
    /// left then.
    /// </summary>
    public bool TryLook(LimitScope scope, Meter meter, DateTimeOffset now)
    {
        meter.Roll(now);
        if (meter.IsCounted) return true;
        if ((CountSettled is null ? 0 : CountSettled(scope, meter)) is not { } settled) return false;
        meter.Recount(settled);
        return true;
    }

    /// <summary>Top-ups, by scope: each adds to every window until it ends.</summary>
    /// <param name="grantOf">What is granted to a scope's meter now.</param>
    public void SetGrants(Func<LimitScope, Meter, long> grantOf)
    {
        lock (Lock)
        {
            _grantOf = grantOf;
            var now = time.GetUtcNow();
            foreach (var scope in _scopes.Values)
            {
                foreach (var meter in scope.Meters)
                {
                    meter.Roll(now);
                    meter.Granted = grantOf(scope, meter);
                }
            }
        }
    }

    /// <summary>Every scope that there is, for a look from outside under <see cref="Lock"/>.</summary>
    public IEnumerable<LimitScope> Scopes => _scopes.Values;

    private static BudgetView ViewOf(Meter meter, LimitScope scope) =>
        new(meter.Options.Unit, meter.Limit, meter.Settled, meter.Held, scope.Word, meter.Window);

    // Nanoseconds on a clock that never jumps.
    private long Clock => time.GetElapsedTime(_start).Ticks * 100;

    private void Add(List<LimitScope> scopes, ScopeKind kind, string id, LimitOptions limits)
    {
        var isKnown = _scopes.TryGetValue((kind, id), out var scope);
        if (!isKnown && limits == LimitOptions.None) return;
        if (!isKnown) _scopes.Add((kind, id), scope = new LimitScope(kind, id));
        scopes.Add(scope!);
        // One call for each key of a project: what has not changed is not looked at again.
        if (!scope!.TryApply(limits, time.GetUtcNow(), Clock, out var fresh)) return;
        foreach (var meter in fresh)
        {
            meter.Granted = _grantOf?.Invoke(scope, meter) ?? 0;
            if (CountSettled is null) meter.Recount(0);
        }
    }

    private static bool HasMoney(LimitScope scope)
    {
        foreach (var meter in scope.Meters) if (meter.Options.Unit == BudgetUnit.NanoUsd) return true;
        return false;
    }

    private ApiError? FindRefusal(LimitScope scope, long rateTokens, long clock)
    {
        if (scope.Requests is { } requests && requests.AvailableAt(1, clock) is var first && first > clock)
            return LimitErrors.RateExceeded(scope.Word, "requests", requests.PerMinute, Spread(first - clock));
        if (scope.Tokens is { } tokens)
        {
            if (!tokens.CanHold(rateTokens)) return LimitErrors.TooLargeForRate(scope.Word, tokens.PerMinute, rateTokens);
            if (tokens.AvailableAt(rateTokens, clock) is var then && then > clock)
                return LimitErrors.RateExceeded(scope.Word, "tokens", tokens.PerMinute, Spread(then - clock));
        }
        return scope.Running >= scope.Parallel ? LimitErrors.TooManyAtOnce(scope.Word, scope.Parallel.Value) : null;
    }

    // Those who wait must not come back all at once: a tenth later at most, and never above what clients wait.
    private TimeSpan Spread(long nanoseconds)
    {
        var wait = TimeSpan.FromTicks(nanoseconds / 100 + 1);
        if (wait > s_retryAfterMax) return s_retryAfterMax;
        var later = wait + wait * (0.1 * (random.NextUInt64() >> 11) / (1UL << 53));
        return later < s_retryAfterMax ? later : s_retryAfterMax;
    }

    private static ApiError Refuse(Meter meter, LimitScope scope, long need, DateTimeOffset now)
    {
        if (need > meter.Limit) return LimitErrors.BudgetTooSmall(scope.Word, meter.Options.Unit, meter.Limit, need);
        if (need <= meter.Limit - meter.Settled) return LimitErrors.BudgetInFlight(scope.Word);
        var end = meter.Window.End;
        var wait = end - now;
        return LimitErrors.BudgetSpent(
            scope.Word, end == DateTimeOffset.MaxValue ? null : end.ToUnixTimeSeconds(), wait <= s_retryAfterMax ? wait : null);
    }
}

/// <summary>A bucket as headers show it.</summary>
internal readonly record struct BucketView(long Limit, long Remaining, TimeSpan Reset);

/// <summary>A budget as headers and reports show it; amounts in its unit.</summary>
internal readonly record struct BudgetView(BudgetUnit Unit, long Limit, long Settled, long Held, string Scope, BudgetWindow Window)
{
    /// <summary>At least 0.</summary>
    public long Remaining => long.Max(0, Limit - Settled - Held);
}

/// <summary>The limits of an account with the least left; null for those that there are none of.</summary>
/// <param name="Requests">Of requests.</param>
/// <param name="Tokens">Of tokens.</param>
/// <param name="Budget">Of budgets.</param>
/// <param name="Warning">The budget that is used most beyond the share from which on it warns.</param>
internal readonly record struct LimitView(BucketView? Requests, BucketView? Tokens, BudgetView? Budget, BudgetView? Warning);
