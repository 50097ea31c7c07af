using Sluice.Protocol.Answers;
using Sluice.Server.Metering;
using Sluice.Streaming;

namespace Sluice.Server.Telemetry;

/// <summary>
/// What a request took: for its log line and for metrics. Attempts may run side by side; the rest is written by one thread at a time,
/// content by the one that makes the answer. Read after the end.
/// </summary>
internal sealed class RequestFigures
{
    private readonly TimeProvider _time;
    private RequestMeter? _meter;
    private readonly long _started;
    private readonly List<UsageEntry> _entries = [];
    private long _firstContent;
    private long _lastContent;
    private long? _suspendedAt;
    private TimeSpan _suspended;
    private TimeSpan _contentPause;
    private bool _isResumed;

    /// <param name="time">Clock of all times.</param>
    /// <param name="meter">Told of everything as it happens; null for nobody.</param>
    /// <param name="started">When the request came, on that clock; null for now.</param>
    /// <param name="requestId">Of the request, for the log; null without one.</param>
    public RequestFigures(TimeProvider time, RequestMeter? meter = null, long? started = null, string? requestId = null) =>
        (_time, _meter, _started, RequestId) = (time, meter, started ?? time.GetTimestamp(), requestId);


    /// <summary>Clock of all times.</summary>
    public TimeProvider Clock => _time;

    /// <summary>Of the request that began the answer, for the log; null where it began in an earlier process.</summary>
    public string? RequestId { get; }

    /// <summary>What the answer may use; null where nothing is counted.</summary>
    public Hold? Hold { get; set; }

    /// <summary>
    /// One for each attempt at an upstream or the local engine, in the order in which they began: those of hedges and rescues too, and
    /// those not that an
    /// upstream's API has no words for.
    /// </summary>
    public IReadOnlyList<UsageEntry> Entries
    {
        get { lock (_entries) return [.. _entries]; }
    }

    /// <summary>Tokens of prompts and answers that attempts took whose answer is not the client's.</summary>
    public long UnusedTokens => Entries.Where(static entry => entry.Role != AttemptRole.Answer && entry.Usage is not null)
        .Sum(static entry => (long)entry.Usage!.Value.PromptTokens + entry.Usage.Value.CompletionTokens);

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

    /// <summary>
    /// Tokens of the answer as the client has it, of the last attempt that knew or guessed them. What others took is in their entries.
    /// </summary>
    public AnswerUsage? Usage { get; private set; }

    /// <summary>Whether <see cref="Usage"/> is a guess: the answer broke off, or nobody has counted.</summary>
    public bool IsUsageEstimated { get; private set; }

    /// <summary>Seconds, on the clock of all times.</summary>
    public long UnixTime => _time.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>Since the request came, without the time that its answer was suspended.</summary>
    public TimeSpan Elapsed => _time.GetElapsedTime(_started, _suspendedAt ?? _time.GetTimestamp()) - _suspended;

    /// <summary>Tells a meter of everything that happens from now on.</summary>
    public void Attach(RequestMeter meter) => _meter = meter;

    /// <summary>The answer was begun in an earlier process, by this upstream.</summary>
    public void Restore(UpstreamIdentity upstream)
    {
        lock (_entries) _entries.Add(new UsageEntry(upstream, upstream.Model, span: null));
        Upstream = upstream.Name;
    }

    /// <summary>An attempt begins. Its span is current in the calling method from now on, where somebody traces.</summary>
    /// <param name="upstream">Where.</param>
    /// <param name="model">Id of the hub's model that it is made for.</param>
    public UsageEntry BeginAttempt(UpstreamIdentity upstream, string model)
    {
        var entry = new UsageEntry(upstream, model, _meter is null ? null : Tracing.StartAttempt(upstream, _meter.Operation));
        lock (_entries) _entries.Add(entry);
        Upstream = upstream.Name;
        return entry;
    }

    /// <summary>The last attempt that began.</summary>
    public UsageEntry? LastEntry
    {
        get { lock (_entries) return _entries.Count > 0 ? _entries[^1] : null; }
    }

    /// <summary>An attempt has ended; where the local engine makes the answer, it has been handed over.</summary>
    /// <param name="entry">Of <see cref="BeginAttempt"/>.</param>
    /// <param name="result">Null when it was cancelled.</param>
    /// <param name="role">What its answer is to the client.</param>
    public void EndAttempt(UsageEntry entry, AttemptResult? result, AttemptRole role)
    {
        // Of two that were asked at a time, it is the one that answered.
        if (result is { Outcome: not AttemptOutcome.Failed }) Upstream = entry.Upstream.Name;
        if (result is { Outcome: AttemptOutcome.Failed, Kind: FailureKind.Inexpressible }) lock (_entries) _entries.Remove(entry);
        (entry.Result, entry.Role) = (result, role);
        _meter?.EndAttempt(entry);
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
    /// <param name="isRerun">Whether the last attempt made all of it, so that what others made is there twice.</param>
    public void AddRescue(string method, bool isRerun)
    {
        RescueCount++;
        _meter?.Rescue(method);
        lock (_entries)
        {
            foreach (var entry in _entries) if (isRerun && entry.Role == AttemptRole.Answer) entry.Role = AttemptRole.Replaced;
            if (_entries.Count > 0) _entries[^1].Role = AttemptRole.Answer;
        }
    }

    /// <summary>Nobody makes the answer any more, for the time being.</summary>
    public void Pause() => _suspendedAt = _time.GetTimestamp();

    /// <summary>It will be continued. Before anybody is at it.</summary>
    public void Resume()
    {
        if (_suspendedAt is { } since) _suspended += _time.GetElapsedTime(since);
        _suspendedAt = null;
        _isResumed = true;
    }

    /// <summary>One request more or less is being answered.</summary>
    public void AddInFlight(int count) => _meter?.AddInFlight(count);

    /// <summary>The local engine has stopped at the answer because nobody reads it.</summary>
    public void CountSuspended() => _meter?.Suspend();

    /// <summary>The local engine continues the answer.</summary>
    public void CountContinued() => _meter?.Continue();

    /// <summary>The log has ended, and the reply with it.</summary>
    /// <param name="generation">Not disposed yet.</param>
    /// <param name="isLeftToStore">Whether another process counts its tokens.</param>
    public void End(Generation generation, bool isLeftToStore) => _meter?.End(generation, this, isLeftToStore);

    /// <summary>Text, reasoning, a refusal or a part of a tool call has come. Allocates nothing.</summary>
    public void AddContent()
    {
        // Whoever makes the answer looks at the hold: it alone can stop.
        Hold?.TryTakePiece();
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
    }

    public void SetUsage(AnswerUsage usage, bool isEstimated) => (Usage, IsUsageEstimated) = (usage, isEstimated);
}
