using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Sluice.Cli.Commands;

/// <summary>The hub's log on the error stream.</summary>
internal static class ServeLog
{
    /// <summary>The line with the figures of each answer; for people, the line of the request says the most of it.</summary>
    private const string Figures = "Sluice.Server.Answers.AnswerJournal";

    /// <param name="logging">Has no other target afterwards.</param>
    /// <param name="terminal">Says whether there may be color.</param>
    /// <param name="format">Of the lines.</param>
    /// <param name="isStarted">Whether the hub serves: what goes wrong before is said in one sentence, and once.</param>
    public static void Configure(ILoggingBuilder logging, Terminal terminal, LogFormat format, Func<bool> isStarted)
    {
        logging.ClearProviders();
        if (format == LogFormat.Text)
        {
            logging.Services.AddSingleton<ConsoleFormatter>(new LineFormatter(terminal.HasErrorColor, terminal.Time));
            logging.AddConsole(static console => console.FormatterName = LineFormatter.FormatterName);
            logging.AddFilter(Figures, level => isStarted() && level >= LogLevel.Warning);
        }
        else
        {
            // The scope has the request's id, also in lines that don't name it.
            logging.AddJsonConsole(static console => (console.IncludeScopes, console.UseUtcTimestamp, console.TimestampFormat) = (true, true, "yyyy-MM-ddTHH:mm:ss.fffZ"));
        }

        // The output has the lines that say where the hub is.
        logging.Services.Configure<ConsoleLoggerOptions>(static console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.AddFilter("Microsoft", level => isStarted() && level >= LogLevel.Warning);
        logging.AddFilter("Sluice", level => isStarted() && level >= LogLevel.Information);
    }
}
