using Sluice.Protocol.Chat;

namespace Sluice.Server.Upstreams;

/// <summary>
/// What a request took: for its log line and for metrics. Written by whoever makes the attempts, one thread at a time, except for content,
/// which comes from the thread that makes the answer; read after the end.
/// </summary>
internal sealed class RequestRecord(TimeProvider time)
{
    private readonly long _started = time.GetTimestamp();
    private long _lastContent;

    /// <summary>Attempts at upstreams and the local engine, those of hedges and rescues too.</summary>
    public int AttemptCount { get; set; }

    /// <summary>Routes given up for a fallback.</summary>
    public int FailoverCount { get; set; }

    /// <summary>Second attempts made because the first one's content was late.</summary>
    public int HedgeCount { get; set; }

    /// <summary>Breaks after which the answer went on.</summary>
    public int RescueCount { get; set; }

    /// <summary>Name of what answered, or was asked last; null before the first attempt.</summary>
    public string? Upstream { get; set; }

    /// <summary>From the request to the first content; null when there was none.</summary>
    public TimeSpan? TimeToFirstToken { get; private set; }

    /// <summary>The longest time between two pieces of content.</summary>
    public TimeSpan LongestGap { get; private set; }

    /// <summary>Pieces of content.</summary>
    public int ContentCount { get; private set; }

    /// <summary>Tokens, of the last attempt that knew or guessed them.</summary>
    public ChatUsage? Usage { get; private set; }

    /// <summary>Whether <see cref="Usage"/> is a guess: the answer broke off, or nobody has counted.</summary>
    public bool IsUsageEstimated { get; private set; }

    /// <summary>Since the request came.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_started);

    /// <summary>Text, reasoning, a refusal, a part of a tool call or a finish reason has come.</summary>
    public void AddContent()
    {
        var now = time.GetTimestamp();
        if (ContentCount++ == 0)
        {
            TimeToFirstToken = time.GetElapsedTime(_started, now);
        }
        else
        {
            var gap = time.GetElapsedTime(_lastContent, now);
            if (gap > LongestGap) LongestGap = gap;
        }
        _lastContent = now;
    }

    public void SetUsage(ChatUsage usage, bool isEstimated) => (Usage, IsUsageEstimated) = (usage, isEstimated);
}
