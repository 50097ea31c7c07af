using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Sluice.Cli.Commands;

/// <summary>The log for people: the time and the sentence; what is not information begins with its level, in color where there may be one.</summary>
internal sealed class LineFormatter(bool hasColor, TimeProvider time) : ConsoleFormatter(FormatterName)
{
    /// <summary>As the console's options name it.</summary>
    public const string FormatterName = "sluice";

    private const string Plain = "\e[0m";

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        textWriter.Write(time.GetLocalNow().ToString("HH:mm:ss ", CultureInfo.InvariantCulture));
        var (word, color) = logEntry.LogLevel switch
        {
            LogLevel.Trace or LogLevel.Debug => ("debug: ", "\e[2m"),
            LogLevel.Warning => ("warning: ", "\e[33m"),
            LogLevel.Error or LogLevel.Critical => ("error: ", "\e[31m"),
            _ => ("", ""),
        };
        textWriter.Write(hasColor && word.Length > 0 ? color + word + Plain : word);
        textWriter.WriteLine(OneLine(logEntry.Formatter(logEntry.State, logEntry.Exception)));
        if (logEntry.Exception is { } exception) textWriter.WriteLine(exception.ToString());
    }

    // What others say is in some lines, and must neither begin a new one nor steer the terminal.
    private static string OneLine(string text) =>
        text.Any(char.IsControl) ? string.Concat(text.Select(static letter => char.IsControl(letter) ? ' ' : letter)) : text;
}
