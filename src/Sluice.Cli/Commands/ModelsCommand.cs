using System.CommandLine;
using System.Globalization;
using Sluice.Inference.Gguf;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams;
using Spectre.Console;

namespace Sluice.Cli.Commands;

/// <summary>Lists the models that there are: reads the headers of their files, and asks each upstream whether it answers, all at the same time.</summary>
internal static class ModelsCommand
{
    private const string Sound = "ok";

    public static Command Create(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var command = new Command("models", "List the models and their health") { config, models };
        command.SetAction((result, cancellation) => RunAsync(terminal, ConfigurationLookup.Load(terminal, result.GetValue(config), result.GetValue(models)), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(Terminal terminal, ConfigurationLookup lookup, CancellationToken cancellation)
    {
        var catalog = lookup.CreateCatalog();
        if (catalog.Models.Count == 0)
        {
            throw new CliException(NoModels(lookup.Folders));
        }

        var table = new Table().Border(TableBorder.None);
        foreach (var title in (string[])["ID", "HEALTH", "FILE", "SIZE", "ARCHITECTURE", "CONTEXT", "FOLDER"])
        {
            table.AddColumn(new TableColumn(title).NoWrap().PadRight(2));
        }

        var faults = new List<string>();
        var rows = await Task.WhenAll(catalog.Models.Select(model => DescribeAsync(model, faults, terminal.Time, cancellation)));
        foreach (var (model, row) in catalog.Models.Zip(rows))
        {
            var names = string.Join(", ", model.Aliases.Prepend(model.Id));
            table.AddRow(row.Texts.Prepend(names).Select(text => new Text(text)));
        }

        terminal.CreateConsole().Write(table);
        foreach (var fault in faults)
        {
            terminal.Error.WriteLine($"sluice: {fault}");
        }

        if (faults.Count > 0)
        {
            return ExitCodes.Refused;
        }

        var down = catalog.Models.Zip(rows).Where(static pair => pair.First is UpstreamModel && !pair.Second.IsSound).Select(static pair => pair.First.Id).ToList();
        if (down.Count == 0)
        {
            return ExitCodes.Success;
        }

        terminal.Error.WriteLine($"sluice: No upstream of {string.Join(", ", down)} is healthy; see HEALTH for the state of each, and check the addresses and keys in the configuration.");
        return ExitCodes.Incomplete;
    }

    /// <summary>What a user reads who has no model.</summary>
    public static string NoModels(IReadOnlyList<string> folders) =>
        $"There is no model in {string.Join(", ", folders)}; get one with 'sluice pull smollm2-135m-instruct'.";

    // Health, file, size, architecture, context, folder. An upstream's model has its address in place of the file, and is sound when one of its upstreams is.
    private static async Task<(string[] Texts, bool IsSound)> DescribeAsync(ModelEntry model, List<string> faults, TimeProvider time, CancellationToken cancellation)
    {
        if (model is UpstreamModel { Route.Upstreams: var upstreams })
        {
            var words = await AskAsync(upstreams, time, cancellation);
            return ([string.Join(", ", words.Distinct().Count() == 1 ? words.Take(1) : words), string.Join(", ", upstreams), "", "", "", ""], words.Contains(Sound));
        }

        var local = (LocalModel)model;
        var (health, architecture, context) = ReadHeader(local, faults);
        return ([health, Path.GetFileName(local.Path), ByteSize.Format(local.FileBytes), architecture, context, Path.GetDirectoryName(local.Path) ?? ""], health == Sound);
    }

    // A word for each, in their order.
    private static async Task<List<string>> AskAsync(IReadOnlyList<UpstreamOptions> upstreams, TimeProvider time, CancellationToken cancellation)
    {
        var limits = new Limits();
        var health = await Task.WhenAll(upstreams.Select(upstream => UpstreamProbe.AskAsync(upstream, limits, time, cancellation)));
        return [.. health.Select(state => state switch
        {
            UpstreamHealth.Ok => Sound,
            UpstreamHealth.Unauthorised => "unauthorized",
            UpstreamHealth.Failing => "failing",
            UpstreamHealth.Silent => "silent",
            _ => "unreachable",
        })];
    }

    private static (string Health, string Architecture, string Context) ReadHeader(LocalModel model, List<string> faults)
    {
        try
        {
            using var file = GgufFile.Open(model.Path);
            var architecture = file.Metadata.GetString("general.architecture");
            var context = file.Metadata.GetInteger($"{architecture}.context_length", 0);
            return (Sound, architecture, context > 0 ? context.ToString(CultureInfo.InvariantCulture) : "?");
        }
        catch (Exception exception) when (exception is GgufException or IOException or UnauthorizedAccessException)
        {
            faults.Add(exception.Message);
            return ("unreadable", "", "");
        }
    }
}
