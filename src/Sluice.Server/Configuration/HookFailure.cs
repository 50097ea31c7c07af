namespace Sluice.Server.Configuration;

/// <summary>What becomes of a request whose hook gives no valid reply in time.</summary>
public enum HookFailure
{
    /// <summary>It is refused with 503: nothing passes that nobody has looked at.</summary>
    Refuse,

    /// <summary>It passes as the client wrote it.</summary>
    Pass,
}
