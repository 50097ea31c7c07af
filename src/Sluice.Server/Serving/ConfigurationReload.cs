using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Serving;

/// <summary>
/// Watches the configuration file, and the model folders where it names no models, and serves what they say when they have changed; a file that is not valid is refused with the places of
/// its errors, and what runs stays.
/// </summary>
/// <remarks>
/// The text is read again and again, every <see cref="Limits.ConfigurationPoll"/>, and taken when it is another one and the same twice in
/// a row. That notices a file that an editor replaces, a link that is turned to another folder, and network drives, for which the system
/// raises no events; and it never reads a half-written file.
/// </remarks>
public sealed partial class ConfigurationReload : IHostedService, IDisposable
{
    private readonly ConfigurationSource _source;
    private readonly Hub _hub;
    private readonly HubMetrics _metrics;
    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    // One reload at a time; guards the two texts.
    private readonly Lock _lock = new();
    private string? _known;
    private string? _candidate;
    private ITimer? _timer;

    internal ConfigurationReload(
        ConfigurationSource source, Hub hub, HubMetrics metrics, Limits limits, TimeProvider time, ILogger<ConfigurationReload> logger) =>
        (_source, _hub, _metrics, _limits, _time, _logger) = (source, hub, metrics, limits, time, logger);

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (_source is { File: null, DescribeModelFiles: null }) return Task.CompletedTask;
        _known = Read();
        _timer = _time.CreateTimer(static state => ((ConfigurationReload)state!).Look(), this, _limits.ConfigurationPoll, _limits.ConfigurationPoll);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    /// <summary>Reads and validates the configuration now, whether it has changed or not. From any thread; blocks until it is served or refused.</summary>
    /// <returns>Whether it is served.</returns>
    public bool Reload()
    {
        lock (_lock)
        {
            _known = Read();
            _candidate = null;
            return TryApply();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer?.Dispose();

    private void Look()
    {
        // A reload that takes longer than the time between two looks is not waited for.
        if (!_lock.TryEnter()) return;
        try
        {
            // While an editor replaces the file there may be none.
            if (Read() is not { } text || text == _known)
            {
                _candidate = null;
            }
            else if (text != _candidate)
            {
                _candidate = text;
            }
            else
            {
                (_known, _candidate) = (text, null);
                TryApply();
            }
        }
        finally
        {
            _lock.Exit();
        }
    }

    private bool TryApply()
    {
        try
        {
            var (options, catalog) = _source.Load();
            _hub.Apply(options, catalog);
            Count("applied");
            return true;
        }
        catch (ConfigurationException exception)
        {
            foreach (var error in exception.Errors) LogRefused(error.ToString());
        }
#pragma warning disable CA1031 // Whatever a file leads to, what runs must stay; this is the last place that knows of it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogRefused(exception.Message);
        }
        Count("refused");
        return false;
    }

    private void Count(string outcome) => _metrics.Reloads.Add(1, new KeyValuePair<string, object?>(Tags.Outcome, outcome));

    // The file, and the models that it leaves to their folders. Null while there is no file that there was before.
    private string? Read()
    {
        var text = _source.File is { } file ? Read(file) : "";
        return text is not null && _hub.Options.Models is null && _source.DescribeModelFiles is { } describe ? $"{text}\0{describe()}" : text;
    }

    private static string? Read(string file)
    {
        try
        {
            return ConfigurationFile.ReadText(file);
        }
        catch (ConfigurationException exception)
        {
            // As good as a text: it is refused once, and not again before it is another one.
            return exception.Message;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [LoggerMessage(1, LogLevel.Error, "The new configuration is refused, and the current one stays: {Error}")]
    private partial void LogRefused(string error);
}
