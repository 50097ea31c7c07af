namespace Sluice.Cli.Commands;

/// <summary>How the lines of the log look.</summary>
internal enum LogFormat
{
    /// <summary>For people.</summary>
    Text,

    /// <summary>One JSON object a line, with scopes.</summary>
    Json,
}
