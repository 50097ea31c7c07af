using Microsoft.Extensions.Hosting;
using Sluice.Inference.Generation;

namespace Sluice.Server.Models;

/// <summary>Loads the only model, where it is a file, while the hub starts, so that the first request need not wait. Several load when they are asked for.</summary>
internal sealed class StartupLoad(ModelCatalog catalog, ModelMemory<InferenceEngine> memory) : BackgroundService
{
    public const string Ready = "ok";

    /// <summary><see cref="Ready"/>, <c>loading</c> or <c>failed</c>.</summary>
    public string State { get; private set; } = catalog.Models is [LocalModel] ? "loading" : Ready;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (catalog.Models is not [LocalModel only]) return;
        // Off the thread that starts the host.
        await Task.Yield();
        var (lease, error) = await memory.AcquireAsync(only, stoppingToken);
        lease?.Dispose();
        State = error is null ? Ready : "failed";
    }
}
