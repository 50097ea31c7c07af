using Sluice.Server.Configuration;

namespace Sluice.Server.Metering;

// What is held and charged of each meter. All under the limiter's lock.
internal sealed partial class Hold
{
    // Budgets that were added while it ran count it too, as a recount from the ledger would.
    private void SettleNewMeters(long tokens, long nanoUsd, long hubTokens, long hubNanoUsd)
    {
        foreach (var scope in Account.Scopes)
        {
            foreach (var meter in scope.Meters)
            {
                if (IsShared(meter)) continue;
                // The row of this is not in the ledger yet, so that it comes on top of what is counted there.
                _limiter.TryLook(scope, meter, _limiter.Now);
                var window = BudgetWindow.At(Began, meter.Options.Per, meter.Options.Zone);
                meter.Settle(window.Number, ChargeOf(scope, meter, tokens, nanoUsd, hubTokens, hubNanoUsd));
            }
        }
    }

    private bool IsShared(Meter meter)
    {
        foreach (ref var share in Shares) if (share.Meter == meter) return true;
        return false;
    }

    private static long ChargeOf(LimitScope scope, Meter meter, long tokens, long nanoUsd, long hubTokens, long hubNanoUsd) =>
        new SettledAmounts(tokens, nanoUsd, hubTokens, hubNanoUsd).Of(scope, meter);

    private bool TryExtend(long used)
    {
        lock (_limiter.Lock)
        {
            if (!_isOpen) return false;
            var missing = used - _allowance;
            var slice = long.Max(missing, SliceTokens);
            if (MaxTokens is { } max) slice = long.Max(missing, long.Min(slice, max - _allowance));
            foreach (var share in Shares)
            {
                var room = RoomOf(share);
                if (room < missing)
                {
                    Cut = CutBy(share);
                    return false;
                }
                // Near the end others have to get through too: nobody takes more than half of what each could have.
                var fair = room == long.MaxValue ? slice : room / (2 * share.Meter.HoldersIn(share.Window));
                slice = long.Max(missing, long.Min(slice, fair));
            }
            SetHeld(_allowance + slice);
            return true;
        }
    }

    // Tokens of output that the meter has room for beyond those that are held.
    private long RoomOf(in MeterShare share)
    {
        var available = share.Meter.AvailableIn(share.Window);
        if (available == long.MaxValue) return long.MaxValue;
        if (share.Meter.Options.Unit == BudgetUnit.Tokens) return available;
        if (_tier.DearestOutput == 0) return long.MaxValue;
        var total = (Int128)(available + share.Held);
        var prompt = (Int128)NeedOf(share, _promptTokens, 0);
        var tokens = (total - prompt) * 1000 / _tier.DearestOutput - _allowance;
        return tokens > long.MaxValue ? long.MaxValue : (long)tokens;
    }

    private MeterShare? FindFull(long promptTokens, long outputTokens)
    {
        foreach (var share in Shares)
        {
            if (NeedOf(share, promptTokens, outputTokens) - share.Held > share.Meter.AvailableIn(share.Window)) return share;
        }
        return null;
    }

    // A second attempt at the same time reads the prompt too, and is paid by the hub, or by a key that pays for all.
    private long NeedOf(in MeterShare share, long promptTokens, long outputTokens)
    {
        var need = AmountOf(share.Meter, promptTokens, outputTokens + UnseenTokens);
        return share.Scope.Kind == ScopeKind.Hub || Account.PaysAttempts ? need + _hedgeCount * AmountOf(share.Meter, promptTokens, 1) : need;
    }

    private static BudgetCut CutBy(in MeterShare share)
    {
        var end = share.Meter.Window.End;
        return new BudgetCut(share.Scope.Word, end == DateTimeOffset.MaxValue ? null : end.ToUnixTimeSeconds());
    }

    private void SetHeld(long outputTokens)
    {
        _allowance = outputTokens;
        foreach (ref var share in Shares)
        {
            var amount = NeedOf(share, _promptTokens, outputTokens);
            share.Meter.Hold(share.Window, amount - share.Held);
            share.Held = amount;
        }
    }
}
