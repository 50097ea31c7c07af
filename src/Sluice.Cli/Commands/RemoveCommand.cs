using System.CommandLine;
using Sluice.Server.Configuration;

namespace Sluice.Cli.Commands;

/// <summary>Deletes the file of a local model, after the user has agreed.</summary>
internal static class RemoveCommand
{
    public static Command Create(Terminal terminal)
    {
        var model = new Argument<string>("MODEL") { Description = "an id that 'sluice models' lists, or a GGUF file" }.NotAnOption();
        var yes = new Option<bool>("--yes", "-y") { Description = "don't ask" };
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var command = new Command("rm", "Delete the file of a model") { model, yes, config, models };
        command.SetAction(result => Run(
            terminal, ConfigurationLookup.Load(terminal, result.GetValue(config), result.GetValue(models)), result.GetRequiredValue(model), result.GetValue(yes)));
        return command;
    }

    private static int Run(Terminal terminal, ConfigurationLookup lookup, string name, bool isAgreed)
    {
        var model = LocalModelLookup.Find(lookup, name);
        var isLink = new FileInfo(model.Path).LinkTarget is not null;
        var what = isLink ? $"the link {model.Path}, not the file behind it" : $"{model.Path} ({ByteSize.Format(model.FileBytes)})";
        if (!isAgreed && !Ask(terminal, $"Delete {what}? [y/N] "))
        {
            terminal.Error.WriteLine("Nothing is deleted.");
            return ExitCodes.Incomplete;
        }

        File.Delete(model.Path);
        terminal.Output.WriteLine($"Deleted {what}.");
        if (lookup.Options.Models?.FirstOrDefault(options => options.Id == model.Id)?.Position is { } position)
            terminal.Error.WriteLine($"sluice: {position} still names it; remove it there too.");
        return ExitCodes.Success;
    }

    private static bool Ask(Terminal terminal, string question)
    {
        if (!terminal.IsInputInteractive) throw new CliException("There is nobody to ask; use --yes to delete without a question.");
        terminal.Output.Write(question);
        terminal.Output.Flush();
        return terminal.Input.ReadLine()?.Trim().ToLowerInvariant() is "y" or "yes";
    }
}
