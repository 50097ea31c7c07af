using System.CommandLine;

namespace Sluice.Cli.Commands;

/// <summary>What other programs take as options, as commands: <c>help</c> and <c>version</c>.</summary>
internal static class HelpCommands
{
    public static Command CreateHelp(Terminal terminal)
    {
        var name = new Argument<string?>("COMMAND") { Description = "the command to explain", Arity = ArgumentArity.ZeroOrOne }.NotAnOption();
        var command = new Command("help", "Explain a command, or list all") { name };
        command.SetAction((result, _) => CommandLine.RunAsync(result.GetValue(name) is { } word ? [Known(terminal, word), "--help"] : [], terminal));
        return command;
    }

    public static Command CreateVersion(Terminal terminal)
    {
        var command = new Command("version", "Show the version");
        command.SetAction((_, _) => CommandLine.RunAsync(["--version"], terminal));
        return command;
    }

    private static string Known(Terminal terminal, string word)
    {
        var root = CommandLine.Create(terminal);
        return root.Subcommands.Any(command => command.Name == word || command.Aliases.Contains(word))
            ? word
            : throw new CliException($"'{word}' is not a command;{CommandLine.Near(word, CommandLine.NamesOf(root))} 'sluice help' lists them.");
    }
}
