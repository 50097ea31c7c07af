using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Upstreams;

/// <summary>
/// What an upstream has refused of reasoning. That of one conversation may be another account's, or damaged; a model that has none refuses to be
/// asked for it, which is remembered for a while. Thread-safe.
/// </summary>
internal sealed class ReasoningShape(Limits limits, TimeProvider time)
{
    // OpenAI's, Anthropic's and Azure's words for reasoning that they can't read or that has been touched.
    private static readonly string[] s_refusals =
        ["invalid_encrypted_content", "could not be verified", "Invalid signature", "cannot be modified", "Encrypted content is not supported"];

    private readonly Lock _lock = new();
    private bool _isRefused;
    private long _refusedAt;

    /// <summary>Whether it may be asked for reasoning in the form that goes back, as far as is known.</summary>
    public bool IsTaken
    {
        get
        {
            lock (_lock) return !_isRefused || time.GetElapsedTime(_refusedAt) >= limits.RefusedStream;
        }
    }

    /// <summary>Whether a refusal was about reasoning, so that the same request may be answered without.</summary>
    /// <param name="result">Of an attempt.</param>
    public bool Learn(AttemptResult result)
    {
        if (result is not { Outcome: AttemptOutcome.Failed, Error: { } error }) return false;
        // In the words of a fault they are not about the request, but for the code.
        if (result.Kind != FailureKind.Refused && error.Code != s_refusals[0]) return false;
        if (!Array.Exists(s_refusals, words => error.Code == words || error.Message.Contains(words, StringComparison.OrdinalIgnoreCase))) return false;
        if (!error.Message.Contains(s_refusals[^1], StringComparison.OrdinalIgnoreCase)) return true;
        lock (_lock) (_isRefused, _refusedAt) = (true, time.GetTimestamp());
        return true;
    }
}
