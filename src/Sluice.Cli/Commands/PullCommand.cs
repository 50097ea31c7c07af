using System.CommandLine;
using Sluice.Cli.Pull;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Spectre.Console;

namespace Sluice.Cli.Commands;

/// <summary>Downloads a model into a model folder.</summary>
internal static class PullCommand
{
    private static readonly Uri Hub = new("https://huggingface.co/");

    public static Command Create(Terminal terminal)
    {
        var name = new Argument<string?>("NAME")
        {
            Description = "a short name, hf.co/OWNER/REPOSITORY/FILE.gguf, or the address of a GGUF file; without it the short names are listed",
            Arity = ArgumentArity.ZeroOrOne,
        }.NotAnOption();
        var json = CommonOptions.Json();
        var models = CommonOptions.Models();
        var command = new Command("pull", "Download a model, or list models to download") { name, models, json };
        command.SetAction(async (result, cancellation) =>
        {
            if (result.GetValue(name) is { } wanted) return await RunAsync(terminal, wanted, result.GetValue(models), cancellation);
            List(terminal, ModelFolders.Find(result.GetValue(models), terminal.GetVariable), MachineMemory.Bytes, result.GetValue(json));
            return ExitCodes.Success;
        });
        return command;
    }

    /// <summary>The short names, with what they cost.</summary>
    /// <param name="terminal">Gets the list.</param>
    /// <param name="folders">Where a file may be already.</param>
    /// <param name="memoryBytes">Of this machine.</param>
    /// <param name="asJson">For programs.</param>
    internal static void List(Terminal terminal, IReadOnlyList<string> folders, long memoryBytes, bool asJson)
    {
        var listing = new Listing("NAME", "SIZE", "MEMORY", "LICENSE", "HERE");
        foreach (var model in KnownModels.All)
        {
            var (fits, isHere) = (model.Fits(memoryBytes), folders.Any(folder => File.Exists(Path.Combine(folder, model.File))));
            listing.Add(
                json =>
                {
                    json.WriteString("name"u8, model.Name);
                    json.WriteNumber("size_bytes_about"u8, model.Megabytes * 1_000_000L);
                    json.WriteBoolean("fits"u8, fits);
                    json.WriteString("license"u8, model.License);
                    json.WriteBoolean("here"u8, isHere);
                },
                model.Name, ByteSize.Format(model.Megabytes * 1_000_000L), fits ? "fits" : "too large", model.License, isHere ? "yes" : "");
        }

        listing.Write(terminal, asJson);
        if (!asJson) terminal.Error.WriteLine($"This machine has {ByteSize.Format(memoryBytes)} of memory; sizes are rounded, and a model's page has its license. 'sluice pull NAME' downloads one.");
    }

    private static async Task<int> RunAsync(Terminal terminal, string name, string? models, CancellationToken cancellation)
    {
        var endpoint = EndpointOf(terminal);
        var source = ModelSource.Parse(name, endpoint);
        var folder = FolderFor(terminal, source.FileName, models);
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var registration = terminal.OnInterrupt(interrupt.Cancel);
        using var handler = new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(PullLimits.IdleSeconds) };
        using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        http.DefaultRequestHeaders.UserAgent.ParseAdd("sluice");
        var download = new ModelDownload(http, endpoint, terminal.GetVariable("HF_TOKEN"), terminal.Time);

        terminal.Error.WriteLine($"{source.Url} to {folder}");
        var model = await WithProgressAsync(terminal, source.FileName, report => download.RunAsync(source, folder, report, interrupt.Token));
        terminal.Output.WriteLine($"{model.Path}  {ByteSize.Format(model.SizeBytes)}  {(model.IsChecked ? "SHA-256 checked" : "not checked: the server states no SHA-256")}");
        return ExitCodes.Success;
    }

    private static async Task<PulledModel> WithProgressAsync(Terminal terminal, string fileName, Func<Action<long, long?>, Task<PulledModel>> run)
    {
        if (!terminal.IsOutputInteractive)
        {
            return await run((_, _) => { });
        }

        return await terminal.CreateConsole().Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(async context =>
            {
                var task = context.AddTask(Markup.Escape(fileName));
                return await run((done, total) =>
                {
                    task.IsIndeterminate = total is null;
                    task.MaxValue = Math.Max(total ?? done, 1);
                    task.Value = done;
                });
            });
    }

    /// <summary>The given folder, else the first of SLUICE_MODELS, else the user's; none of them where another model folder has the file.</summary>
    private static string FolderFor(Terminal terminal, string fileName, string? models)
    {
        if (models is not null)
        {
            return models;
        }

        var folders = ModelFolders.Find(environment: terminal.GetVariable);
        if (folders.Select(folder => Path.Combine(folder, fileName)).FirstOrDefault(File.Exists) is { } existing)
        {
            throw new CliException($"{existing} already exists; remove it first to pull it again.");
        }

        return terminal.GetVariable("SLUICE_MODELS") is null ? ModelFolders.UserFolder(terminal.GetVariable) : folders[0];
    }

    private static Uri EndpointOf(Terminal terminal)
    {
        if (terminal.GetVariable("HF_ENDPOINT") is not { } text)
        {
            return Hub;
        }

        return Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
            ? url
            : throw new CliException($"HF_ENDPOINT is '{text}', which is not an http or https address.");
    }
}
