using System.CommandLine;
using System.CommandLine.Parsing;
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
        ChatCommand.CreateRun(terminal),
        ModelsCommand.Create(terminal),
        ShowCommand.Create(terminal),
        RemoveCommand.Create(terminal),
        PsCommand.Create(terminal),
        PullCommand.Create(terminal),
        CheckCommand.Create(terminal),
        KeysCommand.Create(terminal),
        ProjectsCommand.Create(terminal),
        BudgetCommand.Create(terminal),
        UsageCommand.Create(terminal),
        PricesCommand.Create(terminal),
        LedgerCommands.CreateLedger(terminal),
        LedgerCommands.CreateAudit(terminal),
        LedgerCommands.CreateForget(terminal),
        ClusterCommands.Create(terminal),
        ClusterCommands.CreateMigrate(terminal),
        QuantizeCommand.Create(terminal),
        BenchCommand.Create(terminal),
        DoctorCommand.Create(terminal),
        CompletionsCommand.Create(terminal),
        CompletionsCommand.CreateModelNames(terminal),
        HelpCommands.CreateHelp(terminal),
        HelpCommands.CreateVersion(terminal),
    };

    /// <summary>Names and aliases of the commands.</summary>
    public static IEnumerable<string> NamesOf(RootCommand root) => root.Subcommands.Where(static command => !command.Hidden).SelectMany(static command => command.Aliases.Prepend(command.Name));

    /// <summary>A clause that names the nearest of some words, with a space before it; empty where none is near.</summary>
    public static string Near(string word, IEnumerable<string> words) =>
        Suggestion.Find(word.TrimStart('-'), words.Select(static known => known.TrimStart('-'))) is { } near
            ? $" did you mean '{(word.StartsWith('-') ? "--" : "")}{near}'?"
            : "";

    /// <summary>Runs what the arguments say and returns the exit code. Whatever a user can cause ends in one line on the error stream.</summary>
    public static async Task<int> RunAsync(string[] arguments, Terminal terminal)
    {
        var root = Create(terminal);
        // Without a command the help is the answer, not an error.
        if (arguments is [] or ["--help" or "-h" or "-?"])
        {
            HelpText.Write(terminal, root);
            return ExitCodes.Success;
        }

        var parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            return Refuse(terminal, $"{Complaint(parsed)};{Suggest(parsed, root)} '{HelpFor(parsed)}' lists the commands and options.");
        }

        try
        {
            return await parsed.InvokeAsync(new()
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

    // A word that nothing takes comes first: what else is wrong often follows from it. An argument takes a mistyped option, and complains.
    private static string? FindStray(ParseResult parsed) =>
        (parsed.Errors.Any(static error => error.Message.Contains("is not an option here", StringComparison.Ordinal))
            ? parsed.Tokens.FirstOrDefault(static token => token is { Type: TokenType.Argument, Value: ['-', _, ..] })?.Value
            : null) ?? (parsed.UnmatchedTokens.Count > 0 ? parsed.UnmatchedTokens[0] : null);

    private static string Complaint(ParseResult parsed) => FindStray(parsed) is { } stray
        ? $"'{stray}' is not {(stray.StartsWith('-') ? "an option" : "a command or argument")} here"
        : parsed.Errors[0].Message.TrimEnd('.');

    private static string Suggest(ParseResult parsed, RootCommand root)
    {
        var command = parsed.CommandResult.Command;
        return FindStray(parsed) is not { } stray ? ""
            : stray.StartsWith('-') ? Near(stray, command.Options.Where(static option => !option.Hidden).Select(static option => option.Name))
            : command == root ? Near(stray, NamesOf(root))
            : "";
    }

    private static string HelpFor(ParseResult parsed) =>
        parsed.CommandResult.Command is RootCommand ? "sluice --help" : $"sluice {parsed.CommandResult.Command.Name} --help";

    private static int Refuse(Terminal terminal, string sentence)
    {
        terminal.Error.WriteLine("sluice: " + sentence.ReplaceLineEndings(" "));
        return ExitCodes.Refused;
    }
}
