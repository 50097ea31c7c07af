using Microsoft.Extensions.Hosting;
using Sluice.Inference.Generation;

namespace Sluice.Server.Models;

/// <summary>Loads the only model, where it is a file, while the hub starts, so that the first request need not wait. Several load when they are asked for.</summary>
internal sealed class StartupLoad(ModelCatalog catalog, ModelMemory<InferenceEngine> memory) : BackgroundService
{
    public const string Ready = "ok";

    private volatile bool _hasTried;

    /// <summary><see cref="Ready"/>, <c>loading</c> or <c>failed</c>: as it is now, for a request may load what could not be loaded at the start.</summary>
    public string State => catalog.Models is not [LocalModel only] ? Ready : memory.PresenceOf(only.Path) switch
    {
        ModelPresence.Loaded => Ready,
        ModelPresence.Absent when _hasTried => "failed",
        _ => "loading",
    };

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (catalog.Models is not [LocalModel only]) return;
        // Off the thread that starts the host.
        await Task.Yield();
        var (lease, _) = await memory.AcquireAsync(only, stoppingToken);
        lease?.Dispose();
        _hasTried = true;
    }
}
