namespace Sluice.Cli;

/// <summary>What the process returns.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>The arguments, the configuration, a file or the machine stand in the way; the error stream says how.</summary>
    public const int Refused = 2;

    /// <summary>Ctrl-C: 128 and the number of the signal, as shells count.</summary>
    public const int Interrupted = 130;
}
