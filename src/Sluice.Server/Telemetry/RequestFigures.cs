using System.Diagnostics;
using Sluice.Protocol.Answers;

namespace Sluice.Server.Telemetry;

/// <summary>
/// What a request took: for its log line and for metrics. Attempts may run side by side; the rest is written by one thread at a time,
/// content by the one that makes the answer. Read after the end.
/// </summary>
internal sealed class RequestFigures
{
    private readonly TimeProvider _time;
    private RequestMeter? _meter;
    private readonly RequestFigures _request;
    private readonly long _started;
    private int _attemptCount;
    private long _firstContent;
    private long _lastContent;
    private int _contentMax = int.MaxValue;
    private long? _suspendedAt;
    private TimeSpan _suspended;
    private TimeSpan _contentPause;
    private bool _isResumed;

    /// <param name="time">Clock of all times.</param>
    /// <param name="meter">Told of everything as it happens; null for nobody.</param>
    /// <param name="started">When the request came, on that clock; null for now.</param>
    public RequestFigures(TimeProvider time, RequestMeter? meter = null, long? started = null) =>
        (_time, _meter, _request, _started) = (time, meter, this, started ?? time.GetTimestamp());

    private RequestFigures(RequestFigures request) => (_time, _request, _started) = (request._time, request, request._started);

    /// <summary>Attempts at upstreams and the local engine, those of hedges and rescues too, and those not that an upstream's API has no words for.</summary>
    public int AttemptCount => Volatile.Read(ref _attemptCount);

    /// <summary>Attempts that followed a failed one.</summary>
    public int FailoverCount { get; private set; }

    /// <summary>Second attempts made because the first one's content was late.</summary>
    public int HedgeCount { get; private set; }

    /// <summary>Breaks after which the answer went on.</summary>
    public int RescueCount { get; private set; }

    /// <summary>Name of what answered, or was asked last; null before the first attempt.</summary>
    public string? Upstream { get; private set; }

    /// <summary>From the request to the first content; null when there was none, or the answer had been suspended before it.</summary>
    public TimeSpan? TimeToFirstToken { get; private set; }

    /// <summary>From the first content to the last, without suspensions; null when there was none.</summary>
    public TimeSpan? ContentTime => ContentCount > 0 ? _time.GetElapsedTime(_firstContent, _lastContent) - _contentPause : null;

    /// <summary>Pieces of content.</summary>
    public int ContentCount { get; private set; }

    /// <summary>Pieces of content from which on <see cref="ContentSpent"/> is called. May be set from any thread.</summary>
    public int ContentMax
    {
        set => Volatile.Write(ref _contentMax, value);
    }

    /// <summary>Called by the one that makes the answer, with each piece beyond the bound; must not block.</summary>
    public Action? ContentSpent { get; set; }

    /// <summary>Tokens, of the last attempt that knew or guessed them.</summary>
    public AnswerUsage? Usage { get; private set; }

    /// <summary>Whether <see cref="Usage"/> is a guess: the answer broke off, or nobody has counted.</summary>
    public bool IsUsageEstimated { get; private set; }

    /// <summary>Whether another process goes on with the answer, and counts and logs the whole of it.</summary>
    public bool IsLeftToStore { get; set; }

    /// <summary>Seconds, on the clock of all times.</summary>
    public long UnixTime => _time.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>Since the request came, without the time that its answer was suspended.</summary>
    public TimeSpan Elapsed => _time.GetElapsedTime(_started, _suspendedAt ?? _time.GetTimestamp()) - _suspended;

    /// <summary>Tells a meter of everything that happens from now on.</summary>
    public void Attach(RequestMeter meter) => _meter = meter;

    /// <summary>A record for attempts whose answer is not the client's as it is: they count for the request, and their content doesn't.</summary>
    public RequestFigures CreateScratch() => new(_request);

    /// <summary>The answer was begun in an earlier process, by an upstream of that name.</summary>
    public void RestoreUpstream(string name) => Upstream = name;

    /// <summary>An attempt begins.</summary>
    /// <returns>Its span, current in the calling method from now on; null where nobody traces.</returns>
    public Activity? BeginAttempt(UpstreamIdentity upstream)
    {
        Interlocked.Increment(ref _request._attemptCount);
        _request.Upstream = upstream.Name;
        return _request._meter is null ? null : Tracing.StartAttempt(upstream);
    }

    /// <summary>An attempt has ended.</summary>
    /// <param name="span">Of <see cref="BeginAttempt"/>.</param>
    /// <param name="upstream">Where it was made.</param>
    /// <param name="result">Null when it was cancelled.</param>
    public void EndAttempt(Activity? span, UpstreamIdentity upstream, AttemptResult? result)
    {
        // Of two that were asked at a time, it is the one that answered.
        if (result is { Outcome: not AttemptOutcome.Failed }) _request.Upstream = upstream.Name;
        if (result is { Outcome: AttemptOutcome.Failed, Kind: FailureKind.Inexpressible }) Interlocked.Decrement(ref _request._attemptCount);
        _request._meter?.EndAttempt(span, upstream, result);
    }

    /// <summary>An attempt will follow a failed one.</summary>
    public void AddFailover(FailoverStep step)
    {
        FailoverCount++;
        _meter?.Failover(step);
    }

    /// <summary>A second attempt is made because the first one's content is late.</summary>
    public void AddHedge()
    {
        HedgeCount++;
        _meter?.Hedge();
    }

    /// <summary>An answer that broke off goes on.</summary>
    /// <param name="method">In what way: a word.</param>
    public void AddRescue(string method)
    {
        RescueCount++;
        _meter?.Rescue(method);
    }

    /// <summary>Nobody makes the answer any more, for the time being.</summary>
    public void Pause() => _suspendedAt = _time.GetTimestamp();

    /// <summary>It will be gone on with. Before anybody is at it.</summary>
    public void Resume()
    {
        if (_suspendedAt is { } since) _suspended += _time.GetElapsedTime(since);
        _suspendedAt = null;
        _isResumed = true;
    }

    /// <summary>Text, reasoning, a refusal or a part of a tool call has come. Allocates nothing.</summary>
    public void AddContent()
    {
        var now = _time.GetTimestamp();
        if (ContentCount++ == 0)
        {
            _firstContent = now;
            if (!_isResumed)
            {
                TimeToFirstToken = _time.GetElapsedTime(_started, now);
                _meter?.FirstContent(TimeToFirstToken.Value);
            }
        }
        else if (_isResumed)
        {
            // Between the two nobody was at it, or the prompt was read anew: that is no time between tokens.
            _contentPause += _time.GetElapsedTime(_lastContent, now);
        }
        else
        {
            _meter?.NextContent(_time.GetElapsedTime(_lastContent, now));
        }
        (_lastContent, _isResumed) = (now, false);
        if (ContentCount >= Volatile.Read(ref _contentMax)) ContentSpent?.Invoke();
    }

    public void SetUsage(AnswerUsage usage, bool isEstimated) => (Usage, IsUsageEstimated) = (usage, isEstimated);
}
