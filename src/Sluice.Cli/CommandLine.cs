using System.CommandLine;
using Sluice.Cli.Commands;
using Sluice.Inference.ChatTemplates;
using Sluice.Server.Configuration;

namespace Sluice.Cli;

/// <summary>The commands, and what happens to what they throw.</summary>
internal static class CommandLine
{
    public static RootCommand Create(Terminal terminal) => new("Sluice streams large language models: one OpenAI-compatible endpoint, many models.")
    {
        ServeCommand.Create(terminal),
        ChatCommand.Create(terminal),
        ModelsCommand.Create(terminal),
        PullCommand.Create(terminal),
        CheckCommand.Create(terminal),
        QuantizeCommand.Create(terminal),
        BenchCommand.Create(terminal),
    };

    /// <summary>Runs what the arguments say and returns the exit code. Whatever a user can cause ends in one line on the error stream.</summary>
    public static async Task<int> RunAsync(string[] arguments, Terminal terminal)
    {
        var parsed = Create(terminal).Parse(arguments);
        // Without a command the help is the answer, not an error.
        if (arguments.Length > 0 && parsed.Errors.Count > 0)
        {
            return Refuse(terminal, $"{Complaint(parsed)}; '{HelpFor(parsed)}' lists the commands and options.");
        }

        try
        {
            return await (arguments.Length == 0 ? Create(terminal).Parse("--help") : parsed).InvokeAsync(new()
            {
                Output = terminal.Output,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                // Each command decides itself what Ctrl-C means.
                ProcessTerminationTimeout = null,
            });
        }
        catch (CliException exception)
        {
            return Refuse(terminal, exception.Message);
        }
        catch (ChatTemplateException exception)
        {
            return Refuse(terminal, $"The model's chat template does not accept these messages: {exception.Message}");
        }
        catch (ConfigurationException exception)
        {
            foreach (var error in exception.Errors)
            {
                terminal.Error.WriteLine(error);
            }

            return ExitCodes.Refused;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Refuse(terminal, exception.Message);
        }
        catch (OperationCanceledException)
        {
            return ExitCodes.Interrupted;
        }
    }

    // A word that nothing takes comes first: what else is wrong often follows from it.
    private static string Complaint(ParseResult parsed) =>
        parsed.UnmatchedTokens.Count > 0
            ? $"'{parsed.UnmatchedTokens[0]}' is not {(parsed.UnmatchedTokens[0].StartsWith('-') ? "an option" : "a command or argument")} here"
            : parsed.Errors[0].Message.TrimEnd('.');

    private static string HelpFor(ParseResult parsed) =>
        parsed.CommandResult.Command is RootCommand ? "sluice --help" : $"sluice {parsed.CommandResult.Command.Name} --help";

    private static int Refuse(Terminal terminal, string sentence)
    {
        terminal.Error.WriteLine("sluice: " + sentence.ReplaceLineEndings(" "));
        return ExitCodes.Refused;
    }
}
