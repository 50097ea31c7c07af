using Sluice.Server.Configuration;

namespace Sluice.Server.Metering;

/// <summary>What attempts took: for their key, and for the hub, which pays for all of them.</summary>
/// <param name="Tokens">That the key is charged for.</param>
/// <param name="NanoUsd">That the key is charged.</param>
/// <param name="HubTokens">Of all attempts.</param>
/// <param name="HubNanoUsd">Their cost.</param>
internal readonly record struct SettledAmounts(long Tokens, long NanoUsd, long HubTokens, long HubNanoUsd)
{
    /// <summary>What a meter counts of it.</summary>
    public long Of(LimitScope scope, Meter meter) => (meter.Options.Unit, scope.Kind) switch
    {
        (BudgetUnit.Tokens, ScopeKind.Hub) => HubTokens,
        (BudgetUnit.Tokens, _) => Tokens,
        (_, ScopeKind.Hub) => HubNanoUsd,
        _ => NanoUsd,
    };
}
