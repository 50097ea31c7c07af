using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Upstreams;

/// <summary>How an upstream is asked for the tokens as they come.</summary>
internal enum StreamWish
{
    /// <summary>It is asked for one object.</summary>
    None,

    /// <summary>For a stream.</summary>
    Plain,

    /// <summary>For a stream that ends with usage.</summary>
    WithUsage,
}

/// <summary>
/// What an upstream has refused of streams: one that knows no options for them, or gives none at all, as OpenAI does to organisations that it
/// has not verified. It is remembered for a while. Thread-safe.
/// </summary>
internal sealed class StreamShape(Limits limits, TimeProvider time)
{
    private readonly Lock _lock = new();
    private StreamWish _accepted = StreamWish.WithUsage;
    private long _learnedAt;

    /// <summary>The most that it takes, as far as is known.</summary>
    public StreamWish Current
    {
        get
        {
            lock (_lock)
            {
                if (_accepted != StreamWish.WithUsage && time.GetElapsedTime(_learnedAt) >= limits.RefusedStream) _accepted = StreamWish.WithUsage;
                return _accepted;
            }
        }
    }

    /// <summary>Looks whether a refusal was about the stream.</summary>
    /// <param name="result">Of an attempt.</param>
    /// <param name="wish">How it was asked.</param>
    /// <returns>How to ask once more; null where that would change nothing.</returns>
    public StreamWish? Learn(AttemptResult result, StreamWish wish)
    {
        if (wish == StreamWish.None || result is not { Outcome: AttemptOutcome.Failed, Kind: FailureKind.Refused, Error: { } error }) return null;
        StreamWish? next = null;
        var isAboutOptions = Names(error.Param, "stream_options") || Names(error.Message, "stream_options") || Names(error.Message, "include_usage");
        if (wish == StreamWish.WithUsage && isAboutOptions) next = StreamWish.Plain;
        else if (error.Param == "stream" || (error.Param is null && IsAboutStreams(error.Message))) next = StreamWish.None;
        if (next is not { } learned) return null;
        lock (_lock) (_accepted, _learnedAt) = (learned, time.GetTimestamp());
        return learned;
    }

    private static bool Names(string? text, string word) => text?.Contains(word, StringComparison.OrdinalIgnoreCase) == true;

    private static bool IsAboutStreams(string message) =>
        Names(message, "stream") && (Names(message, "not support") || Names(message, "unsupported") || Names(message, "must be verified") || Names(message, "not allowed")
            || Names(message, "cannot stream") || Names(message, "unknown parameter"));
}
