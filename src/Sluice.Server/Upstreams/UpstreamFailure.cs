using System.Net;
using System.Net.Http.Headers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Server.Configuration;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Upstreams;

/// <summary>What an upstream's failure means: for trying again, and for the client.</summary>
internal static class UpstreamFailure
{
    private const int SecretLengthMin = 8;
    private const string CodePrefix = "upstream_";

    /// <summary>It can't be reached, or broke the connection before it had answered.</summary>
    public static AttemptResult Unreachable() => AttemptResult.Failed(
        FailureKind.Faulted, Create(502, "The model's server can't be reached.", "unreachable"));

    /// <summary>It took no connection in time.</summary>
    public static AttemptResult NoConnection() => AttemptResult.Failed(
        FailureKind.Silent, Create(504, "The model's server took no connection in time.", "timeout"));

    /// <summary>It said nothing in time.</summary>
    public static AttemptResult NoToken() => AttemptResult.Failed(
        FailureKind.Silent, Create(504, "The model's server did not begin its answer in time.", "timeout"));

    /// <summary>It fell silent in the middle of an answer.</summary>
    public static ApiError Stalled { get; } = Create(504, "The model's server fell silent in the middle of its answer.", "stalled");

    /// <summary>The stream ended before the answer did.</summary>
    public static ApiError Truncated { get; } = Create(502, "The model's server ended its answer before it was finished.", "truncated");

    /// <summary>The answer is not what was asked for.</summary>
    public static ApiError NoStream { get; } = Create(502, "The model's server answered with something else than an event stream.", "invalid_response");

    /// <summary>An event or a line beyond every bound.</summary>
    public static ApiError Oversized { get; } = Create(502, "The model's server sent an event larger than is read.", "invalid_event");

    /// <summary>Classifies an answer that is no success.</summary>
    public static AttemptResult FromStatus(HttpStatusCode statusCode, HttpResponseHeaders headers, ReadOnlySpan<byte> body, UpstreamOptions options, TimeProvider time)
    {
        var error = UpstreamError.Read((int)statusCode, body) with
        {
            RetryAfter = ReadRetryAfter(headers, time),
            ShouldRetry = headers.TryGetValues("x-should-retry", out var values) && values.Contains("false") ? false : null,
        };
        return Classify(error, options);
    }

    /// <summary>Classifies an error of the upstream by its status, and makes of it what the client is told.</summary>
    public static AttemptResult Classify(ApiError error, UpstreamOptions options)
    {
        error = error with { Message = Redact(error.Message, options) };
        switch (error.Status)
        {
            case 401 or 402:
            // Anthropic's way to say that the hub's account is empty.
            case 400 when error.Message.Contains("credit balance", StringComparison.OrdinalIgnoreCase):
                // It is the hub's key that is wrong, not the client's, and the message may repeat it.
                return AttemptResult.Failed(FailureKind.Rejected, Create(502, "The model's server does not accept the hub's credentials.", "authentication") with { ShouldRetry = false });
            case 404 or 405:
                return AttemptResult.Failed(FailureKind.Rejected, error with { Status = 404 });
            case 429 when error.ShouldRetry == false || error.Code == "insufficient_quota":
                return AttemptResult.Failed(FailureKind.Rejected, error with { ShouldRetry = false });
            case 425 or 429:
                return AttemptResult.Failed(FailureKind.RateLimited, error with { Status = 429 });
            case 408:
                return AttemptResult.Failed(FailureKind.Faulted, error with { Status = 504, Type = ApiErrors.ServerErrorType });
            case >= 400 and < 500:
                return IsContextLength(error)
                    ? AttemptResult.Failed(FailureKind.ContextLength, error with { Code = error.Code ?? "context_length_exceeded" })
                    : AttemptResult.Failed(FailureKind.Refused, error);
            default:
                var status = error.Status switch { 503 or 529 => 503, 504 or 524 => 504, _ => 502 };
                return AttemptResult.Failed(FailureKind.Faulted, error with { Status = status });
        }
    }

    private static ApiError Create(int status, string message, string code) => new(status, message, ApiErrors.ServerErrorType, null, CodePrefix + code);

    private static bool IsContextLength(ApiError error) =>
        error.Code is "context_length_exceeded" or "string_above_max_length"
        || error.Message.Contains("context length", StringComparison.OrdinalIgnoreCase)
        || error.Message.Contains("context window", StringComparison.OrdinalIgnoreCase)
        || error.Message.Contains("context size", StringComparison.OrdinalIgnoreCase)
        // Anthropic's two.
        || error.Message.Contains("prompt is too long", StringComparison.OrdinalIgnoreCase)
        || error.Message.Contains("exceed context limit", StringComparison.OrdinalIgnoreCase);

    private static string Redact(string text, UpstreamOptions options)
    {
        if (options.ApiKey is { } key) text = text.Replace(key, "***", StringComparison.Ordinal);
        // A short value is no secret, and is a part of many a word.
        foreach (var value in options.Headers.Values.Where(value => value.Length >= SecretLengthMin)) text = text.Replace(value, "***", StringComparison.Ordinal);
        return text;
    }

    private static TimeSpan? ReadRetryAfter(HttpResponseHeaders headers, TimeProvider time)
    {
        if (headers.TryGetValues("retry-after-ms", out var values)
            && double.TryParse(values.First(), System.Globalization.NumberStyles.AllowDecimalPoint, System.Globalization.CultureInfo.InvariantCulture, out var milliseconds)
            && milliseconds < TimeSpan.FromDays(1).TotalMilliseconds)
        {
            return TimeSpan.FromMilliseconds(milliseconds);
        }
        var after = headers.RetryAfter?.Delta ?? headers.RetryAfter?.Date - time.GetUtcNow();
        return after > TimeSpan.Zero ? after : null;
    }
}
