using System.Runtime.CompilerServices;
using Sluice.Protocol.Answers;
using Sluice.Server.Configuration;
using Sluice.Server.Prices;

namespace Sluice.Server.Metering;

/// <summary>What ended an answer before its model did.</summary>
/// <param name="Scope">Whose budget: <c>hub</c>, <c>project</c> or <c>key</c>.</param>
/// <param name="ResetsAt">Unix time in seconds at which there is a new window; null for never.</param>
internal sealed record BudgetCut(string Scope, long? ResetsAt)
{
    /// <summary>As the answer's end says it.</summary>
    public BudgetMark ToMark() => new(Scope, ResetsAt);
}

/// <summary>
/// What one answer has taken from its meters and not used yet: its prompt, and a slice of output that is renewed as it runs. A production is
/// its making from the beginning, or from where it was suspended, to the end or the next suspension; each is charged to the windows in which
/// it began. One thread makes the answer at a time; the rest is under the limiter's lock.
/// </summary>
internal sealed partial class Hold
{
    private const int SliceTokens = 64;
    private const int InlineMax = 4;

    private readonly Limiter _limiter;
    private InlineShares _shares;
    private MeterShare[]? _moreShares;
    private int _shareCount;
    private PriceTier _tier;
    private ModelPrice _price = ModelPrice.Free;
    private long _promptTokens;
    private bool _isPromptKnown;
    private long _allowance;
    private long _used;
    private bool _isOpen;
    private bool _isExact;
    private int _revision;
    private int _hedgeCount;
    private AnswerUsage _charged;
    private long _chargedNanoUsd;
    private int _firstProduction;

    // One meter, the window of the production in it, and what is held there.
    private struct MeterShare
    {
        public Meter Meter;
        public LimitScope Scope;
        public long Window;
        public long Held;
    }

    // Hub, project and key with a budget each, and one more; those of further ones are beside it.
    [InlineArray(InlineMax)]
    private struct InlineShares
    {
        private MeterShare _first;
    }

    /// <param name="limiter">Whose lock guards it.</param>
    public Hold(Limiter limiter) => _limiter = limiter;

    /// <summary>What it is for. Before it begins, and not after.</summary>
    /// <param name="account">Who is charged.</param>
    /// <param name="model">Id of the model.</param>
    /// <param name="price">Of the model.</param>
    /// <param name="promptTokens">An estimate.</param>
    /// <param name="maxTokens">Most tokens of the answer, over all choices; null where it isn't known.</param>
    /// <param name="rateTokens">See <see cref="RateTokens"/>.</param>
    /// <param name="unseenTokens">See <see cref="UnseenTokens"/>.</param>
    /// <param name="pricedAs">See <see cref="AskedModel"/>; null for the model itself.</param>
    public Hold Set(Account account, string model, ModelPrice price, long promptTokens, long? maxTokens, long rateTokens, int unseenTokens, string? pricedAs = null)
    {
        (Account, Model, AskedModel, _price, _promptTokens, MaxTokens) = (account, model, pricedAs ?? model, price, promptTokens, maxTokens);
        (RateTokens, UnseenTokens) = (rateTokens, unseenTokens);
        _tier = price.DearestTierOf(promptTokens);
        _shareCount = 0;
        foreach (var scope in account.Scopes) _shareCount += scope.Meters.Length;
        _moreShares = _shareCount > InlineMax ? new MeterShare[_shareCount] : null;
        var shares = Shares;
        var count = _shareCount;
        foreach (var scope in account.Scopes)
            foreach (var meter in scope.Meters) shares[--count] = new MeterShare { Meter = meter, Scope = scope };
        return this;
    }

    private Span<MeterShare> Shares => _moreShares ?? ((Span<MeterShare>)_shares)[.._shareCount];

    public Account Account { get; private set; } = null!;

    /// <summary>What an earlier process had made when it was killed, and nobody has settled: tokens of output.</summary>
    public long CarriedTokens { get; init; }

    /// <summary>Whether an earlier process had read or made anything that nobody has settled.</summary>
    public bool IsUnsettled { get; init; }

    /// <summary>Whether another hub has the answer now: what it takes is settled there, and nothing more of it here.</summary>
    public bool HasMoved { get; private set; }

    /// <summary>Who is charged, as it stands beside the answer for other hubs; null where there are none.</summary>
    public string? ChargeText { get; set; }

    /// <summary>Told when another model is to make the answer; null for nobody.</summary>
    public Action<object>? ModelSet { get; set; }

    /// <summary>Argument of <see cref="ModelSet"/>.</summary>
    public object? ModelSetState { get; set; }

    /// <summary>What ledgers of other hubs have of it, which went on with it before.</summary>
    public ElsewhereCharge Elsewhere { get; private set; }

    /// <summary>Keyed hash of the person that is asked for; null without one.</summary>
    public string? Subject { get; set; }

    /// <summary>Whether the answer can be kept until somebody comes back for it.</summary>
    public bool MayWait { get; set; } = true;

    /// <summary>How it ends when a budget does, by what its key says now.</summary>
    public ExhaustedPolicy OnExhausted => _limiter.FindPolicy(Account);

    /// <summary>Whether the local engine stops at it when a budget ends, in place of ending it.</summary>
    public bool Waits => MayWait && OnExhausted == ExhaustedPolicy.Suspend;

    /// <summary>Id of the model that is asked now.</summary>
    public string Model { get; private set; } = "";

    /// <summary>Id of the model that was asked for, by whose price a key pays that wants to.</summary>
    public string AskedModel { get; private set; } = "";

    public long? MaxTokens { get; private set; }

    /// <summary>An estimate until the model's own count is known.</summary>
    public long PromptTokens => _promptTokens;

    /// <summary>When the production began.</summary>
    public DateTimeOffset Began { get; private set; }

    /// <summary>When the answer was asked for: Unix milliseconds.</summary>
    public long AskedAt { get; private set; } = -1;

    /// <summary>Whether a production runs.</summary>
    public bool IsOpen => _isOpen;

    /// <summary>Whether an earlier process had made something of it that is not settled, and no production has begun since.</summary>
    public bool IsLeftOver => IsUnsettled && !_isOpen && Began == default && ProductionCount == _firstProduction;

    /// <summary>Productions before this one.</summary>
    public int ProductionCount { get; private set; }

    /// <summary>Rows of attempts that were written.</summary>
    public int RowCount { get; private set; }

    /// <summary>What the attempts cost the hub, as far as they are settled: nano-dollars.</summary>
    public long CostNanoUsd { get; private set; }

    /// <summary>Nano-dollars that earlier productions were charged.</summary>
    public long ChargedNanoUsd => _chargedNanoUsd;

    /// <summary>What the buckets of tokens were asked for.</summary>
    public long RateTokens { get; private set; }

    /// <summary>Held beside what is seen, for a model that thinks unseen.</summary>
    public int UnseenTokens { get; private set; }

    /// <summary>Of the model that the key pays for.</summary>
    public ModelPrice Price => _price;

    /// <summary>Why it could not be extended; null where it always could be.</summary>
    public BudgetCut? Cut { get; private set; }

    /// <summary>Tokens of earlier productions, and of this one when it is settled.</summary>
    public AnswerUsage Charged => _charged;

    /// <summary>Under the lock: the meter that has no room for so many tokens more; null where all have.</summary>
    public (Meter Meter, LimitScope Scope, long Need)? FindFull(long outputTokens)
    {
        foreach (var share in Shares)
        {
            var need = AmountOf(share.Meter, _promptTokens, outputTokens + UnseenTokens);
            if (need > share.Meter.Available) return (share.Meter, share.Scope, need);
        }
        return null;
    }

    /// <summary>Under the lock: a production begins, with room for so many tokens of output, whatever is left.</summary>
    public void Begin(DateTimeOffset now, long outputTokens)
    {
        (Began, _used, _isOpen, _isExact, Cut) = (now, 0, true, false, null);
        _hedgeCount = 0;
        if (AskedAt < 0) AskedAt = now.ToUnixTimeMilliseconds();
        foreach (ref var share in Shares)
        {
            share.Meter.Roll(now);
            share.Window = share.Meter.Window.Number;
            share.Held = 0;
            share.Meter.AddHolder(share.Window, 1);
        }
        SetHeld(outputTokens);
    }

    /// <summary>
    /// The prompt's own count, from the model's tokenizer or what an upstream states first. False where a budget has no room for it; then
    /// the answer must not begin.
    /// </summary>
    public bool TrySetPrompt(long tokens)
    {
        lock (_limiter.Lock)
        {
            if (_isPromptKnown || !_isOpen) return true;
            _isPromptKnown = true;
            var full = tokens <= _promptTokens ? null : FindFull(tokens, _allowance);
            if (full is not null) Cut = CutBy(full.Value);
            _promptTokens = tokens;
            _tier = _price.TierOf(tokens);
            SetHeld(_allowance);
            return full is null;
        }
    }

    /// <summary>
    /// The engine begins: its prompt is counted, and it asks for each token before it makes it, but for the first of each choice.
    /// </summary>
    /// <returns>False where a budget has no room; then the answer must not begin.</returns>
    public bool TryReserve(long promptTokens, int choices)
    {
        _isExact = true;
        // What another attempt has delivered is made again, and counted again.
        _used = 0;
        return TrySetPrompt(promptTokens) && TryTake(choices);
    }

    /// <summary>An attempt begins: who makes it is not known to count, and may count the prompt otherwise.</summary>
    public void BeginAttempt() => _isExact = _isPromptKnown = false;

    /// <summary>A second attempt is to be made beside the first. False where a budget has no room for it; then it must not begin.</summary>
    public bool TryHoldHedge()
    {
        lock (_limiter.Lock)
        {
            _hedgeCount++;
            if (!_isOpen || FindFull(_promptTokens, _allowance) is not null)
            {
                _hedgeCount--;
                return false;
            }
            SetHeld(_allowance);
            return true;
        }
    }

    /// <summary>The answer is another model's after all: one that was asked to continue it could not.</summary>
    public void Return(string model)
    {
        lock (_limiter.Lock)
        {
            if (model == Model) return;
            if (!Account.PaysAsAsked) _price = _limiter.PriceOf(model);
            (_tier, Model) = (_price.DearestTierOf(_promptTokens), model);
            SetHeld(_allowance);
        }
    }

    /// <summary>A piece of content has come, of which it isn't known how many tokens it has; where the engine asks for each, nothing.</summary>
    /// <returns>As of <see cref="TryTake"/>.</returns>
    public bool TryTakePiece() => _isExact || TryTake();

    /// <summary>The answer comes from another model from now on. False where a budget has no room for its price; then nothing changes.</summary>
    public bool TrySetModel(string model)
    {
        bool isOther;
        lock (_limiter.Lock)
        {
            // What nobody has priced must not be free where dollars are counted.
            if (_limiter.FindPrice(model) is null && CountsMoney()) return false;
            var price = Account.PaysAsAsked ? _price : _limiter.PriceOf(model);
            var (oldPrice, oldTier) = (_price, _tier);
            (_price, _tier) = (price, price.DearestTierOf(_promptTokens));
            if (FindFull(_promptTokens, _allowance) is not null)
            {
                (_price, _tier) = (oldPrice, oldTier);
                return false;
            }
            isOther = Model != model;
            Model = model;
            SetHeld(_allowance);
        }
        if (isOther) ModelSet?.Invoke(ModelSetState!);
        return true;
    }

    /// <summary>
    /// Takes tokens that are about to be delivered, or to be made. Allocates nothing, and takes no lock but once in a slice.
    /// </summary>
    /// <param name="tokens">At least 0.</param>
    /// <returns>False where no budget has room for them: then the answer has to end without them, and <see cref="Cut"/> says why.</returns>
    public bool TryTake(long tokens = 1)
    {
        var used = _used + tokens;
        if (used > _allowance && !TryExtend(used)) return false;
        _used = used;
        return true;
    }

    /// <summary>
    /// What has been settled turns out to be more, or less. In the windows in which the last production began; it must be over.
    /// </summary>
    public void Revise(long tokens, long nanoUsd, long hubTokens, long hubNanoUsd)
    {
        List<MeterShare>? warned = null;
        lock (_limiter.Lock)
        {
            foreach (var share in Shares)
            {
                share.Meter.Settle(share.Window, ChargeOf(share.Scope, share.Meter, tokens, nanoUsd, hubTokens, hubNanoUsd));
                if (share.Meter.TryWarn()) (warned ??= []).Add(share);
            }
            SettleNewMeters(tokens, nanoUsd, hubTokens, hubNanoUsd);
            (_chargedNanoUsd, CostNanoUsd) = (_chargedNanoUsd + nanoUsd, CostNanoUsd + hubNanoUsd);
        }
        Warn(warned);
    }

    /// <summary>The production is over: what it used is settled, and nothing is held any more.</summary>
    /// <param name="usage">Of the answer as a whole, as its key is charged for it; null where there is nothing to be charged.</param>
    /// <param name="hubTokens">Tokens of all attempts of the production.</param>
    /// <param name="hubNanoUsd">Their cost.</param>
    /// <param name="rows">How many rows of attempts it has.</param>
    /// <returns>What the production is charged.</returns>
    public Charge Settle(AnswerUsage? usage, long hubTokens, long hubNanoUsd, int rows)
    {
        List<MeterShare>? warned = null;
        var charge = Settle(usage, hubTokens, hubNanoUsd, rows, ref warned);
        Warn(warned);
        return charge;
    }

    private void Warn(List<MeterShare>? warned)
    {
        if (warned is null) return;
        foreach (var share in warned) _limiter.Warned?.Invoke(share.Scope, share.Meter);
    }

    private Charge Settle(AnswerUsage? usage, long hubTokens, long hubNanoUsd, int rows, ref List<MeterShare>? warned)
    {
        lock (_limiter.Lock)
        {
            var total = usage ?? _charged;
            // What was charged stays as it was charged; what came on top has the price of now.
            var before = _charged == default ? 0 : _price.Of(_charged);
            var nanoUsd = usage is null ? 0 : long.Max(0, _price.Of(total) - before);
            var part = ProductionUsage.Subtract(total, _charged);
            if (!_isOpen) return new Charge(Began, default, 0);
            _isOpen = false;
            var tokens = part.TotalTokens;
            if (Account.PaysAttempts) (tokens, nanoUsd) = (hubTokens, hubNanoUsd);
            (RowCount, CostNanoUsd) = (RowCount + rows, CostNanoUsd + hubNanoUsd);
            foreach (ref var share in Shares)
            {
                share.Meter.Hold(share.Window, -share.Held);
                share.Meter.Settle(share.Window, ChargeOf(share.Scope, share.Meter, tokens, nanoUsd, hubTokens, hubNanoUsd));
                share.Meter.AddHolder(share.Window, -1);
                share.Held = 0;
                if (share.Meter.TryWarn()) (warned ??= []).Add(share);
            }
            SettleNewMeters(tokens, nanoUsd, hubTokens, hubNanoUsd);
            _limiter.End(this, usage is null ? null : part.TotalTokens);
            (_charged, _chargedNanoUsd) = (total, _chargedNanoUsd + nanoUsd);
            ProductionCount++;
            return new Charge(Began, part, nanoUsd);
        }
    }

    /// <summary>Takes up an answer that an earlier process has begun.</summary>
    /// <param name="charged">Tokens of its productions so far.</param>
    /// <param name="nanoUsd">What they were charged.</param>
    /// <param name="costNanoUsd">What they cost.</param>
    /// <param name="rows">Rows of attempts.</param>
    /// <param name="revision">Of the answer's row.</param>
    /// <param name="askedAt">Unix milliseconds.</param>
    public void Restore(AnswerUsage charged, long nanoUsd, long costNanoUsd, int rows, int revision, long askedAt)
    {
        (_charged, _chargedNanoUsd, CostNanoUsd, RowCount, _revision, AskedAt) = (charged, nanoUsd, costNanoUsd, rows, revision, askedAt);
        _firstProduction = ProductionCount = rows > 0 ? 1 : 0;
    }

    private bool CountsMoney()
    {
        foreach (var share in Shares) if (share.Meter.Options.Unit == BudgetUnit.NanoUsd) return true;
        return false;
    }

    /// <summary>Takes up an answer that another hub has begun: what it has settled is in its own ledger.</summary>
    /// <param name="revision">Of the answer's row in this hub's ledger, where it has one.</param>
    public void SetElsewhere(int revision)
    {
        Elsewhere = new ElsewhereCharge(_charged, _chargedNanoUsd, CostNanoUsd, RowCount);
        _revision = int.Max(_revision, revision);
    }

    /// <summary>Another hub has the answer. What runs here still holds its room until it is over.</summary>
    public void SetMoved() => HasMoved = true;

    /// <summary>Revision of the last row.</summary>
    public int Revision => _revision;

    /// <summary>Number of the next row of the answer.</summary>
    public int NextRevision() => ++_revision;

    /// <summary>Under the lock: an amount of a meter's unit.</summary>
    public long AmountOf(Meter meter, long promptTokens, long outputTokens)
    {
        // Of a production that continues, the prompt has been charged as far as it had been computed.
        var prompt = long.Max(0, promptTokens - _charged.PromptTokens);
        // What was made before a kill is charged with the first production after it.
        if (ProductionCount == _firstProduction) outputTokens += CarriedTokens;
        if (meter.Options.Unit == BudgetUnit.Tokens) return prompt + outputTokens;
        return (_charged == default ? _price.PerRequest : 0) + ModelPrice.Most(_tier, prompt, outputTokens);
    }
}

/// <summary>What ledgers of other hubs have of an answer.</summary>
/// <param name="Usage">Its tokens.</param>
/// <param name="NanoUsd">What its key was charged.</param>
/// <param name="CostNanoUsd">What it cost.</param>
/// <param name="Rows">Attempts.</param>
internal readonly record struct ElsewhereCharge(AnswerUsage Usage, long NanoUsd, long CostNanoUsd, int Rows);

/// <summary>What one production of an answer is charged.</summary>
/// <param name="Began">Decides the windows.</param>
/// <param name="Usage">Its tokens.</param>
/// <param name="NanoUsd">Its price.</param>
internal readonly record struct Charge(DateTimeOffset Began, AnswerUsage Usage, long NanoUsd);
