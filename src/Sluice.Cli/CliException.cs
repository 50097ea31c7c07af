namespace Sluice.Cli;

/// <summary>A command can't do what it was asked for. The message is what the user reads: one sentence that says what to do.</summary>
public sealed class CliException(string message, Exception? inner = null) : Exception(message, inner);
