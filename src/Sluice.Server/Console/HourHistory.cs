using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Console;

/// <summary>
/// The last hour of the hub's own instruments, by model and by upstream: a ring in memory, for the console's plots. It listens from its
/// creation to its end. Thread-safe.
/// </summary>
internal sealed class HourHistory : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly TimeProvider _time;
    private readonly HubMetrics _metrics;
    private readonly ConcurrentDictionary<string, ModelMinutes> _models = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Model, string Upstream), UpstreamMinutes> _upstreams = [];

    public HourHistory(HubMetrics metrics, TimeProvider time)
    {
        (_metrics, _time) = (metrics, time);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (ReferenceEquals(instrument, metrics.TimeToFirstToken) || ReferenceEquals(instrument, metrics.InterToken)
                || ReferenceEquals(instrument, metrics.RequestDuration) || ReferenceEquals(instrument, metrics.TokenUsage)
                || ReferenceEquals(instrument, metrics.Attempts))
            {
                listener.EnableMeasurementEvents(instrument, this);
            }
        };
        _listener.SetMeasurementEventCallback<double>(static (instrument, value, tags, state) => ((HourHistory)state!).AddTime(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>(static (instrument, value, tags, state) => ((HourHistory)state!).AddCount(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>The current minute, in Unix time.</summary>
    public long Minute => _time.GetUtcNow().ToUnixTimeSeconds() / 60;

    /// <summary>Of a model by its id; null where nothing was asked of it.</summary>
    public ModelMinutes? FindModel(string id) => _models.GetValueOrDefault(id);

    /// <summary>Of an upstream by its name, for a model; null where it was not asked.</summary>
    public UpstreamMinutes? FindUpstream(string model, string upstream) => _upstreams.GetValueOrDefault((model, upstream));

    public void Dispose() => _listener.Dispose();

    private void AddTime(Instrument instrument, double seconds, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (Find(tags, Tags.Model) is not { } id || ModelOf(id) is not { } model) return;
        if (ReferenceEquals(instrument, _metrics.InterToken)) model.AddGap(Minute, seconds);
        else if (ReferenceEquals(instrument, _metrics.TimeToFirstToken)) model.AddFirst(Minute, seconds);
        else model.AddRequest(Minute, IsError(Find(tags, Tags.ErrorType)));
    }

    private void AddCount(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (Find(tags, Tags.Model) is not { } id) return;
        if (ReferenceEquals(instrument, _metrics.TokenUsage))
        {
            ModelOf(id)?.AddTokens(Minute, value, Find(tags, Tags.TokenType) == "input");
            return;
        }
        if (Find(tags, Tags.Upstream) is not { } name) return;
        var key = (id, name);
        if (!_upstreams.TryGetValue(key, out var upstream))
        {
            if (_upstreams.Count >= ConsoleLimits.UpstreamsMax) return;
            upstream = _upstreams.GetOrAdd(key, static _ => new UpstreamMinutes());
        }
        upstream.Add(Minute, IsFault(Find(tags, Tags.Outcome)));
    }

    private ModelMinutes? ModelOf(string id)
    {
        if (_models.TryGetValue(id, out var model)) return model;
        return _models.Count >= ConsoleLimits.ModelsMax ? null : _models.GetOrAdd(id, static _ => new ModelMinutes());
    }

    // A client that left, a cancel and a budget that ended are nobody's fault.
    private static bool IsError(string? errorType) => errorType is not (null or "client_left" or "requested" or "budget" or "shutdown");

    private static bool IsFault(string? outcome) => outcome is not ("answered" or "cancelled" or "refused" or "context_length" or "unasked");

    private static string? Find(ReadOnlySpan<KeyValuePair<string, object?>> tags, string name)
    {
        foreach (var (key, value) in tags)
        {
            if (key == name) return value as string;
        }
        return null;
    }
}
