using System.CommandLine;
using System.Globalization;
using Sluice.Inference.Gguf;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Spectre.Console;

namespace Sluice.Cli.Commands;

/// <summary>Lists the models that there are, reading the headers of their files only. Upstreams are not asked.</summary>
internal static class ModelsCommand
{
    public static Command Create(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var command = new Command("models", "List the models that there are") { config, models };
        command.SetAction(result => Run(terminal, ConfigurationLookup.Load(terminal, result.GetValue(config), result.GetValue(models))));
        return command;
    }

    private static int Run(Terminal terminal, ConfigurationLookup lookup)
    {
        var catalog = lookup.CreateCatalog();
        if (catalog.Models.Count == 0)
        {
            throw new CliException(NoModels(lookup.Folders));
        }

        var table = new Table().Border(TableBorder.None);
        foreach (var title in (string[])["ID", "FILE", "SIZE", "ARCHITECTURE", "CONTEXT", "FOLDER"])
        {
            table.AddColumn(new TableColumn(title).NoWrap().PadRight(2));
        }

        var faults = new List<string>();
        foreach (var model in catalog.Models)
        {
            var names = string.Join(", ", model.Aliases.Prepend(model.Id));
            table.AddRow(Describe(model, faults).Prepend(names).Select(text => new Text(text)));
        }

        terminal.CreateConsole().Write(table);
        foreach (var fault in faults)
        {
            terminal.Error.WriteLine($"sluice: {fault}");
        }

        return faults.Count == 0 ? ExitCodes.Success : ExitCodes.Refused;
    }

    /// <summary>What a user reads who has no model.</summary>
    public static string NoModels(IReadOnlyList<string> folders) =>
        $"There is no model in {string.Join(", ", folders)}; get one with 'sluice pull smollm2-135m-instruct'.";

    // File, size, architecture, context, folder. An upstream's model has its address in place of the file.
    private static string[] Describe(ModelEntry model, List<string> faults)
    {
        if (model is UpstreamModel { Route.Upstreams: var upstreams }) return [string.Join(", ", upstreams), "", "", "", ""];
        var local = (LocalModel)model;
        var (architecture, context) = ReadHeader(local, faults);
        return [Path.GetFileName(local.Path), ByteSize.Format(local.FileBytes), architecture, context, Path.GetDirectoryName(local.Path) ?? ""];
    }

    private static (string Architecture, string Context) ReadHeader(LocalModel model, List<string> faults)
    {
        try
        {
            using var file = GgufFile.Open(model.Path);
            var architecture = file.Metadata.GetString("general.architecture");
            var context = file.Metadata.GetInteger($"{architecture}.context_length", 0);
            return (architecture, context > 0 ? context.ToString(CultureInfo.InvariantCulture) : "?");
        }
        catch (Exception exception) when (exception is GgufException or IOException or UnauthorizedAccessException)
        {
            faults.Add(exception.Message);
            return ("unreadable", "");
        }
    }
}
