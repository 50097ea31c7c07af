using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Runtime;

namespace Sluice.Server.Answers;

/// <summary>
/// Lets answers run to their end when the hub is told to stop, for a time; what is left then ends with an error. Connections are taken all the while,
/// so that a client that has lost its own can get the rest.
/// </summary>
internal sealed partial class GracefulStop : IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _hurry = new();
    private readonly ServerState _server;
    private readonly AnswerTable _answers;
    private readonly TimeSpan _drain;
    private readonly TimeSpan _lead;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IOtherHubs? _others;

    /// <param name="server">Says to everybody else that the hub stops.</param>
    /// <param name="answers">Those that are waited for.</param>
    /// <param name="drain">How long.</param>
    /// <param name="lead">How long new requests are still taken before that: balancers learn of the stop seconds later.</param>
    /// <param name="time">Clock of both.</param>
    /// <param name="logger">Told what is waited for, and what is cut off.</param>
    /// <param name="others">The other hubs of a cluster, which go on with answers; null where there are none.</param>
    public GracefulStop(
        ServerState server, AnswerTable answers, TimeSpan drain, TimeSpan lead, TimeProvider time, ILogger<GracefulStop> logger, IOtherHubs? others = null)
    {
        (_server, _answers, _drain, _lead, _time, _logger, _others) = (server, answers, drain, lead, time, logger, others);
        // Before the signal comes, at which requests are refused otherwise.
        if (lead > TimeSpan.Zero) server.IsLeading = true;
    }

    /// <summary>Waits no longer.</summary>
    public void Hurry() => _hurry.Cancel();

    /// <summary>Before the server of the connections stops.</summary>
    /// <param name="cancellationToken">Waits no longer either.</param>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        using var now = CancellationTokenSource.CreateLinkedTokenSource(_hurry.Token, cancellationToken);
        if (_others is not null)
        {
            await _others.LeadAsync(_lead, now.Token);
            await _others.HandOverAsync(now.Token);
        }
        else if (_lead > TimeSpan.Zero)
        {
            LogLeading(_lead.TotalSeconds);
            await Waits.WaitAsync(Task.Delay(_lead, _time, now.Token), Timeout.InfiniteTimeSpan, _time, now.Token);
            _server.IsLeading = false;
        }
        using var deadline = new CancellationTokenSource(_drain, _time);
        using var all = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, now.Token);
        if (_answers.RunningCount is > 0 and var count)
        {
            LogWaiting(count, _drain.TotalSeconds);
            await _answers.WhenProducedAsync(all.Token);
        }
        if (_others is not null) await _others.WhenUnreadAsync(all.Token);
        _server.SetEnding();
        if (_answers.RunningCount is > 0 and var rest) LogCut(rest);
        await _answers.EndAllAsync(cancellationToken);
        if (_others is not null) await _others.LeaveAsync(cancellationToken);
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

    [LoggerMessage(3, LogLevel.Information, "The hub is stopping: new requests are taken for {Seconds} s more, and /readyz says that it drains.")]
    private partial void LogLeading(double seconds);

    [LoggerMessage(1, LogLevel.Information, "The hub is stopping: {Count} answers can run for up to {Seconds} s, and new requests are refused. A second signal ends them at once.")]
    private partial void LogWaiting(int count, double seconds);

    [LoggerMessage(2, LogLevel.Warning, "{Count} answers are cut off.")]
    private partial void LogCut(int count);
}
