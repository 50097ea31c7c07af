using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Runtime;

namespace Sluice.Server.Answers;

/// <summary>
/// Lets answers run to their end when the hub is told to stop, for a time; what is left then ends with an error. Connections are taken all the while,
/// so that a client that has lost its own can get the rest.
/// </summary>
/// <param name="server">Says to everybody else that the hub stops.</param>
/// <param name="answers">Those that are waited for.</param>
/// <param name="drain">How long.</param>
/// <param name="time">Clock of that.</param>
/// <param name="logger">Told what is waited for, and what is cut off.</param>
/// <param name="others">The other hubs of a cluster, which go on with answers; null where there are none.</param>
internal sealed partial class GracefulStop(
    ServerState server, AnswerTable answers, TimeSpan drain, TimeProvider time, ILogger<GracefulStop> logger, IOtherHubs? others = null)
    : IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _hurry = new();

    /// <summary>Waits no longer.</summary>
    public void Hurry() => _hurry.Cancel();

    /// <summary>Before the server of the connections stops.</summary>
    /// <param name="cancellationToken">Waits no longer either.</param>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        using var now = CancellationTokenSource.CreateLinkedTokenSource(_hurry.Token, cancellationToken);
        if (others is not null)
        {
            await others.LeadAsync(now.Token);
            await others.HandOverAsync(now.Token);
        }
        using var deadline = new CancellationTokenSource(drain, time);
        using var all = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, now.Token);
        if (answers.RunningCount is > 0 and var count)
        {
            LogWaiting(count, drain.TotalSeconds);
            await answers.WhenProducedAsync(all.Token);
        }
        if (others is not null) await others.WhenUnreadAsync(all.Token);
        server.SetEnding();
        if (answers.RunningCount is > 0 and var rest) LogCut(rest);
        await answers.EndAllAsync(cancellationToken);
        if (others is not null) await others.LeaveAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public void Dispose() => _hurry.Dispose();

    [LoggerMessage(1, LogLevel.Information, "The hub is stopping: {Count} answers can run for up to {Seconds} s, and new requests are refused. A second signal ends them at once.")]
    private partial void LogWaiting(int count, double seconds);

    [LoggerMessage(2, LogLevel.Warning, "{Count} answers are cut off.")]
    private partial void LogCut(int count);
}
