namespace Sluice.Cli;

/// <summary>What the process returns.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>The command did its work, and what it found is not as it should be: answers that failed, for example.</summary>
    public const int Incomplete = 1;

    /// <summary>The arguments, the configuration, a file or the machine stand in the way; the error stream says how.</summary>
    public const int Refused = 2;

    /// <summary>Ctrl-C: 128 and the number of the signal, as shells count.</summary>
    public const int Interrupted = 130;
}
