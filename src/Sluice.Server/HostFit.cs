using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;

namespace Sluice.Server;

/// <summary>What the hub needs of the application that it is in. What isn't so is said in the log, once.</summary>
internal sealed partial class HostFit
{
    private readonly KestrelServerOptions? _kestrel;
    private readonly ILogger _logger;
    private int _isChecked;

    /// <param name="drain">How long the configuration lets answers run on; null where it doesn't say.</param>
    /// <param name="lead">How long requests are still taken before that.</param>
    /// <param name="embedding">Whether the host's time to stop is the hub's affair.</param>
    /// <param name="limits">Bounds.</param>
    /// <param name="host">The application's host.</param>
    /// <param name="kestrel">Options of its server.</param>
    /// <param name="server">Its server, which may be another one; null where there is none.</param>
    /// <param name="logger">Told what doesn't fit.</param>
    public HostFit(
        TimeSpan? drain, TimeSpan lead, EmbeddingOptions embedding, Limits limits, IOptions<HostOptions> host, IOptions<KestrelServerOptions> kestrel,
        IServer? server, ILogger<HostFit> logger)
    {
        _logger = logger;
        _kestrel = server?.GetType().Assembly == typeof(KestrelServerOptions).Assembly ? kestrel.Value : null;
        (Drain, Lead) = (drain ?? limits.StopDrain, lead);
        var timeout = host.Value.ShutdownTimeout;
        if (embedding.ManagesShutdown || timeout == Timeout.InfiniteTimeSpan || Lead + Drain + limits.StopRest <= timeout) return;
        // Cut off by the host, answers would not even be brought into the store.
        var room = timeout - limits.StopRest;
        Lead = Lead < room ? Lead : TimeSpan.Zero;
        Drain = room > Lead ? room - Lead : TimeSpan.Zero;
        if (drain is not { } asked) return;
        LogDrain(asked.TotalSeconds, Drain.TotalSeconds, timeout.TotalSeconds, (lead + asked + limits.StopRest).TotalSeconds);
    }

    /// <summary>How long answers run on when the application stops.</summary>
    public TimeSpan Drain { get; }

    /// <summary>How long requests are still taken before that.</summary>
    public TimeSpan Lead { get; }

    /// <summary>Says what of the server's settings breaks streams. What can be set for a single request is set there.</summary>
    public void CheckConnections()
    {
        if (_kestrel is null || Interlocked.Exchange(ref _isChecked, 1) != 0) return;
        if (_kestrel.Limits.MinResponseDataRate is not null) LogDataRate();
        if (!AppContext.TryGetSwitch(SluiceServer.OrderlyAbortSwitch, out var isOn) || !isOn) LogAbort();
    }

    [LoggerMessage(1, LogLevel.Warning,
        "'drain' is {Drain} s, but answers run on for {Fitting} s only: the host stops after {Timeout} s. "
        + "Set HostOptions.ShutdownTimeout to {Needed} s, or EmbeddingOptions.ManagesShutdown.")]
    private partial void LogDrain(double drain, double fitting, double timeout, double needed);

    [LoggerMessage(2, LogLevel.Warning,
        "Kestrel breaks off HTTP/2 connections with a client that reads slowly, and streams with it. "
        + "Call builder.WebHost.UseSluiceConnections(), or set KestrelServerOptions.Limits.MinResponseDataRate to null.")]
    private partial void LogDataRate();

    [LoggerMessage(3, LogLevel.Warning,
        "Kestrel resets a connection that is aborted, and the error event of a stream that failed may be lost with it. "
        + "Call builder.WebHost.UseSluiceConnections(), or set the AppContext switch Microsoft.AspNetCore.Server.Kestrel.FinOnError.")]
    private partial void LogAbort();
}
