using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sluice.Inference;
using Sluice.Inference.Gguf;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Upstreams;

namespace Sluice.Cli.Commands;

/// <summary>Lists the models that there are: reads the headers of their files, and asks each upstream whether it answers, all at the same time.</summary>
internal static class ModelsCommand
{
    private const string Sound = "ok";

    // Health is a word, or one for each upstream; the place is the file's name, or the addresses of the upstreams.
    private sealed record Row(ModelEntry Model, string Health, string Place, bool IsSound)
    {
        public string Architecture { get; init; } = "";

        public long? Context { get; init; }
    }

    public static Command Create(Terminal terminal)
    {
        var config = CommonOptions.Config();
        var models = CommonOptions.Models();
        var json = CommonOptions.Json();
        var command = new Command("models", "List the models and their health") { config, models, json };
        command.Aliases.Add("list");
        command.Aliases.Add("ls");
        command.SetAction((result, cancellation) => RunAsync(
            terminal, ConfigurationLookup.Load(terminal, result.GetValue(config), result.GetValue(models)), result.GetValue(json), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(Terminal terminal, ConfigurationLookup lookup, bool asJson, CancellationToken cancellation)
    {
        var catalog = lookup.CreateCatalog();
        if (catalog.Models.Count == 0)
        {
            throw new CliException(NoModels(lookup.Folders));
        }

        var faults = new List<string>();
        var rows = await Task.WhenAll(catalog.Models.Select(model => DescribeAsync(model, faults, terminal.Time, cancellation)));
        var listing = new Listing("ID", "HEALTH", "FILE", "SIZE", "ARCHITECTURE", "CONTEXT", "FOLDER");
        foreach (var row in rows) Add(listing, row);
        listing.Write(terminal, asJson);
        foreach (var fault in faults)
        {
            terminal.Error.WriteLine($"sluice: {fault}");
        }

        var down = rows.Where(static row => row is { Model: UpstreamModel, IsSound: false }).Select(static row => row.Model.Id).ToList();
        if (down.Count > 0)
        {
            terminal.Error.WriteLine($"sluice: No upstream of {string.Join(", ", down)} is healthy; see HEALTH for the state of each, and check the addresses and keys in the configuration.");
        }

        return faults.Count + down.Count > 0 ? ExitCodes.Incomplete : ExitCodes.Success;
    }

    /// <summary>What a user reads who has no model.</summary>
    public static string NoModels(IReadOnlyList<string> folders) =>
        $"There is no model in {string.Join(", ", folders)}; get one with 'sluice pull smollm2-135m-instruct'.";

    /// <summary>A word for an upstream's state.</summary>
    public static string WordFor(UpstreamHealth state) => state switch
    {
        UpstreamHealth.Ok => Sound,
        UpstreamHealth.Unauthorised => "unauthorized",
        UpstreamHealth.Failing => "failing",
        UpstreamHealth.Silent => "silent",
        _ => "unreachable",
    };

    private static void Add(Listing listing, Row row)
    {
        var local = row.Model as LocalModel;
        var folder = local is null ? "" : Path.GetDirectoryName(local.Path) ?? "";
        void WriteMembers(Utf8JsonWriter json)
        {
            json.WriteString("id"u8, row.Model.Id);
            json.WriteStartArray("aliases"u8);
            foreach (var alias in row.Model.Aliases) json.WriteStringValue(alias);
            json.WriteEndArray();
            json.WriteString("health"u8, row.Health);
            json.WriteBoolean("ok"u8, row.IsSound);
            if (local is null)
            {
                json.WriteStartArray("upstreams"u8);
                foreach (var upstream in ((UpstreamModel)row.Model).Route.Upstreams) json.WriteStringValue(upstream.Url);
                json.WriteEndArray();
                return;
            }

            json.WriteString("path"u8, local.Path);
            json.WriteNumber("size_bytes"u8, local.FileBytes);
            if (row.Architecture.Length > 0) json.WriteString("architecture"u8, row.Architecture);
            if (row.Context is { } context) json.WriteNumber("context_length"u8, context);
        }

        listing.Add(
            WriteMembers, string.Join(", ", row.Model.Aliases.Prepend(row.Model.Id)), row.Health, row.Place, local is null ? "" : ByteSize.Format(local.FileBytes),
            row.Architecture, row.Context?.ToString(CultureInfo.InvariantCulture) ?? "", folder);
    }

    // An upstream's model is sound when one of its upstreams is.
    private static async Task<Row> DescribeAsync(ModelEntry model, List<string> faults, TimeProvider time, CancellationToken cancellation)
    {
        if (model is UpstreamModel { Route.Upstreams: var upstreams })
        {
            var limits = new Limits();
            var words = (await Task.WhenAll(upstreams.Select(upstream => UpstreamProbe.AskAsync(upstream, limits, time, cancellation)))).Select(WordFor).ToList();
            return new Row(model, string.Join(", ", words.Distinct().Count() == 1 ? words.Take(1) : words), string.Join(", ", upstreams), words.Contains(Sound));
        }

        var local = (LocalModel)model;
        var row = new Row(model, "unreadable", Path.GetFileName(local.Path), false);
        try
        {
            using (var file = GgufFile.Open(local.Path))
            {
                var architecture = file.Metadata.GetString("general.architecture");
                var context = file.Metadata.GetInteger($"{architecture}.context_length", 0);
                row = row with { Health = "unsupported", Architecture = architecture, Context = context > 0 ? context : null };
            }

            ModelProbe.Check(local.Path);
            return row with { Health = Sound, IsSound = true };
        }
        catch (Exception exception) when (exception is GgufException or IOException or UnauthorizedAccessException)
        {
            lock (faults) faults.Add(exception.Message);
            return row;
        }
    }
}
