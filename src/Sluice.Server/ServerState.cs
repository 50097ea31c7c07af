using Microsoft.Extensions.Hosting;
using Sluice.Protocol.Errors;
using Sluice.Server.Answers;
using Sluice.Streaming;

namespace Sluice.Server;

/// <summary>Knows when the hub stops, and then stops what runs: streams end with an error event rather than with silence.</summary>
internal sealed class ServerState : IDisposable
{
    private readonly CancellationTokenRegistration _registration;
    private int _isStopping;

    public ServerState(IHostApplicationLifetime lifetime, AnswerTable answers)
    {
        _registration = lifetime.ApplicationStopping.Register(() =>
        {
            Interlocked.Exchange(ref _isStopping, 1);
            answers.CancelAll(CancellationCause.Shutdown);
        });
    }

    /// <summary>What a request gets that comes, or is running, when the hub stops.</summary>
    public static ApiError StoppingError { get; } = ApiErrors.Unavailable(TimeSpan.FromSeconds(1)) with { Message = "The server is stopping. You can retry your request." };

    /// <summary>A full fence, on both sides: who reads false has put what it created into the table before those that stop are looked up.</summary>
    public bool IsStopping => Interlocked.CompareExchange(ref _isStopping, 0, 0) != 0;

    public void Dispose() => _registration.Dispose();
}
