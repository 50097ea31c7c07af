using Microsoft.Extensions.Hosting;
using Sluice.Inference;
using Sluice.Inference.Scheduling;
using Sluice.Server.Models;

namespace Sluice.Server.Serving;

/// <summary>
/// Loads the only model, where it is a file, while the hub starts or takes over a configuration, so that the first request need not wait.
/// Several load when they are asked for.
/// </summary>
internal sealed class StartupLoad(Hub hub, LoadedModels<InferenceEngine> memory) : IHostedService, IDisposable
{
    public const string Ready = "ok";

    private readonly CancellationTokenSource _stopping = new();
    private volatile string? _triedPath;
    private volatile string? _embedsPath;

    /// <summary><see cref="Ready"/>, <c>loading</c> or <c>failed</c>: as it is now, for a request may load what could not be loaded at the start.</summary>
    public string State => hub.Catalog.Models is not [LocalModel only] || _embedsPath == only.Path ? Ready : memory.PresenceOf(only.Path) switch
    {
        ModelPresence.Loaded => Ready,
        ModelPresence.Absent when _triedPath == only.Path => "failed",
        _ => "loading",
    };

    public Task StartAsync(CancellationToken cancellationToken)
    {
        hub.Applied += Start;
        Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        hub.Applied -= Start;
        return _stopping.CancelAsync();
    }

    public void Dispose() => _stopping.Dispose();

    private void Start()
    {
        if (hub.Catalog.Models is not [LocalModel only]) return;
        // One that makes vectors is small, and loads with the first request.
        if (only.ReadPurpose() != ModelPurpose.Text) _embedsPath = only.Path;
        else _ = LoadAsync(only, _stopping.Token);
    }

    private async Task LoadAsync(LocalModel model, CancellationToken stopping)
    {
        try
        {
            // Off the thread that starts the host.
            await Task.Yield();
            var (lease, _) = await memory.AcquireAsync(model, stopping);
            lease?.Dispose();
            _triedPath = model.Path;
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
        {
            // The hub stops.
        }
    }
}
