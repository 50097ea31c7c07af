using System.CommandLine;

namespace Sluice.Cli.Commands;

/// <summary>Writes a script for a shell that completes commands, options and names of models.</summary>
internal static class CompletionsCommand
{
    /// <summary>The hidden command that the scripts ask for names.</summary>
    public const string ModelNames = "complete-models";

    private static readonly Dictionary<string, Func<RootCommand, string>> s_shells = new(StringComparer.Ordinal)
    {
        ["bash"] = CompletionScripts.Bash,
        ["zsh"] = CompletionScripts.Zsh,
        ["fish"] = CompletionScripts.Fish,
        ["powershell"] = CompletionScripts.PowerShell,
    };

    public static Command Create(Terminal terminal)
    {
        var shell = new Argument<string>("SHELL") { Description = string.Join(", ", s_shells.Keys) }.NotAnOption();
        var command = new Command("completions", "Write a completion script for a shell") { shell };
        command.SetAction(result =>
        {
            var name = result.GetRequiredValue(shell);
            terminal.Output.Write(s_shells.TryGetValue(name, out var write)
                ? write(CommandLine.Create(terminal))
                : throw new CliException($"'{name}' is not a shell that there are completions for; use {string.Join(", ", s_shells.Keys)}."));
            return ExitCodes.Success;
        });
        return command;
    }

    /// <summary>Lists the names that can be completed, one a line. What is wrong is no business of a completion.</summary>
    public static Command CreateModelNames(Terminal terminal)
    {
        var command = new Command(ModelNames, "List the names of the models") { Hidden = true };
        command.SetAction(_ =>
        {
            foreach (var name in ConfigurationLookup.Load(terminal, null, null).CreateCatalog().Models.SelectMany(static model => model.Aliases.Prepend(model.Id)))
                terminal.Output.WriteLine(name);
            return ExitCodes.Success;
        });
        return command;
    }
}
