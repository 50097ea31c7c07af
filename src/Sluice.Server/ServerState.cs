using Microsoft.Extensions.Hosting;
using Sluice.Protocol.Errors;
using Sluice.Streaming;

namespace Sluice.Server;

/// <summary>Knows when the hub stops, and then stops what runs: streams end with an error event rather than with silence.</summary>
internal sealed class ServerState : IDisposable
{
    private readonly CancellationTokenRegistration _registration;

    public ServerState(IHostApplicationLifetime lifetime, GenerationTable generations)
    {
        _registration = lifetime.ApplicationStopping.Register(() =>
        {
            IsStopping = true;
            generations.CancelAll(CancellationCause.Shutdown);
        });
    }

    /// <summary>What a request gets that comes, or is running, when the hub stops.</summary>
    public static ApiError StoppingError { get; } = ApiErrors.Unavailable(TimeSpan.FromSeconds(1)) with { Message = "The server is stopping. You can retry your request." };

    public bool IsStopping { get; private set; }

    public void Dispose() => _registration.Dispose();
}
