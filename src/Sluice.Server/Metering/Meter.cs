using Sluice.Server.Configuration;

namespace Sluice.Server.Metering;

/// <summary>
/// How much of one budget is used, by window. What is settled comes from the ledger's rows and can be counted anew from them; what running
/// answers hold is memory. Under the limiter's lock.
/// </summary>
/// <param name="options">The budget.</param>
/// <param name="now">The time.</param>
internal sealed class Meter(BudgetOptions options, DateTimeOffset now)
{
    /// <summary>Use of one window.</summary>
    private sealed class Use(long number)
    {
        public long Number => number;

        public long Settled { get; set; }

        public long Held { get; set; }

        public int HoldCount { get; set; }
    }

    private Use _use = new(BudgetWindow.At(now, options.Per, options.Zone).Number);
    private Use? _before;
    private long? _warned;

    public BudgetOptions Options { get; private set; } = options;

    /// <summary>The window that is current; a clock that is set back opens none again.</summary>
    public BudgetWindow Window { get; private set; } = BudgetWindow.At(now, options.Per, options.Zone);

    /// <summary>Whether <see cref="Settled"/> is what the ledger says. Until then nothing is settled here, for the count will have it.</summary>
    public bool IsCounted { get; private set; }

    /// <summary>What top-ups add to each window.</summary>
    public long Granted { get; set; }

    /// <summary>What may be used in the window.</summary>
    public long Limit => Options.Amount + Granted;

    /// <summary>Settled in the current window.</summary>
    public long Settled => _use.Settled;

    /// <summary>Held by answers that began in the current window.</summary>
    public long Held => _use.Held;

    /// <summary>Answers that began in the current window and hold something.</summary>
    public int HoldCount => _use.HoldCount;

    /// <summary>Whether as much is settled as its owner wants to be warned of.</summary>
    public bool IsOverWarning => Options.WarnPercent is { } percent && (Int128)_use.Settled * 100 >= (Int128)Limit * percent;

    /// <summary>Whether a warning is due: once for each window.</summary>
    public bool TryWarn()
    {
        if (!IsOverWarning || _warned == _use.Number) return false;
        _warned = _use.Number;
        return true;
    }

    /// <summary>What nobody has used or holds, in the current window; below 0 where the limit was lowered.</summary>
    public long Available => Limit - _use.Settled - _use.Held;

    /// <summary>Whether it is the same budget but for its amount.</summary>
    public bool IsFor(BudgetOptions other) => other.Unit == Options.Unit && other.Per == Options.Per && other.Zone.Equals(Options.Zone);

    /// <summary>Another amount changes nothing of what was used.</summary>
    public void SetOptions(BudgetOptions other) => Options = other;

    /// <summary>Takes over what the ledger says of the current window.</summary>
    public void Recount(long settled) => (_use.Settled, IsCounted) = (settled, true);

    /// <summary>What the ledger says has to be looked up again.</summary>
    public void SetUncounted() => IsCounted = false;

    /// <summary>Enters the window of that time.</summary>
    public void Roll(DateTimeOffset time)
    {
        if (time < Window.End) return;
        Window = BudgetWindow.At(time, Options.Per, Options.Zone);
        (_before, _use) = (_use, new Use(Window.Number));
    }

    /// <summary>What is left in a window in which an answer began: one from before the last is not limited any more.</summary>
    public long AvailableIn(long number) => Find(number) is { } use ? Limit - use.Settled - use.Held : long.MaxValue;

    /// <summary>Answers that hold something in that window, at least 1.</summary>
    public int HoldersIn(long number) => int.Max(1, Find(number)?.HoldCount ?? 1);

    /// <summary>One answer more or less holds something in that window.</summary>
    public void AddHolder(long number, int count)
    {
        if (Find(number) is { } use) use.HoldCount += count;
    }

    /// <summary>Holds more, or less.</summary>
    public void Hold(long number, long amount)
    {
        if (Find(number) is { } use) use.Held += amount;
    }

    /// <summary>What was used is known; nothing is held for it any more.</summary>
    public void Settle(long number, long amount)
    {
        if (IsCounted && Find(number) is { } use) use.Settled += amount;
    }

    private Use? Find(long number) => number == _use.Number ? _use : number == _before?.Number ? _before : null;
}
