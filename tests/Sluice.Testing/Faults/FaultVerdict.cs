namespace Sluice.Testing.Faults;

/// <summary>How a fault went, in the words of the public bench that the faults come from.</summary>
public enum FaultVerdict
{
    /// <summary>A complete answer, and every check of conduct met.</summary>
    Pass,

    /// <summary>A complete answer, and a check not met that is only advice.</summary>
    Partial,

    /// <summary>No complete answer, but a clear error within bounds.</summary>
    Safe,

    /// <summary>A hang, a part shown as the whole, or a check of conduct not met.</summary>
    Fail,
}

/// <param name="Scenario">What was played.</param>
/// <param name="Verdict">How it went.</param>
/// <param name="Wall">How long the request took, or the slowest of several, by the bench's clock.</param>
/// <param name="PrimaryCalls">How often the faulty server was asked.</param>
/// <param name="FallbackCalls">How often the other one was.</param>
/// <param name="Note">What was not met; empty when all was.</param>
public sealed record FaultResult(FaultScenario Scenario, FaultVerdict Verdict, TimeSpan Wall, int PrimaryCalls, int FallbackCalls, string Note);
