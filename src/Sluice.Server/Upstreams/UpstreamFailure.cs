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
    public static ApiError NoStream { get; } = Create(502, "The model's server answered with something other than an answer.", "invalid_response");

    /// <summary>What it says that it has compressed can't be decompressed.</summary>
    public static ApiError Undecodable { get; } = Create(502, "The model's server sent an answer that can't be decompressed.", "invalid_response");

    /// <summary>It sends requests elsewhere, and the hub's key must not go there.</summary>
    public static AttemptResult Redirected(Uri target) => AttemptResult.Failed(
        FailureKind.Rejected, Create(502, $"The model's server redirects to {target.GetLeftPart(UriPartial.Path)}: use that address in the configuration.", "redirect"));

    /// <summary>An event or a line beyond every bound.</summary>
    public static ApiError Oversized { get; } = Create(502, "The model's server sent an event larger than is read.", "invalid_event");

    /// <summary>Classifies an answer that is no success.</summary>
    public static AttemptResult FromStatus(ServerReply reply, ReadOnlySpan<byte> body, UpstreamOptions options, TimeProvider time)
    {
        var error = UpstreamError.Read((int)reply.Status, body);
        error = error with
        {
            RetryAfter = RetryTime.Read(reply, error, time.GetUtcNow()),
            ShouldRetry = reply.Find("x-should-retry") == "false" ? false : null,
        };
        return Classify(error, options);
    }

    /// <summary>Classifies an error of the upstream by its status, and makes of it what the client is told.</summary>
    public static AttemptResult Classify(ApiError error, UpstreamOptions options)
    {
        error = error with { Message = Redact(error.Message, options), Details = error.Details is { } details ? Redact(details, options) : null };
        if (error.Status is >= 400 and < 500 && IsContextLength(error))
            return AttemptResult.Failed(FailureKind.ContextLength, error with { Status = 400, Code = error.Code ?? "context_length_exceeded" });
        switch (error.Status)
        {
            case 401:
                // It is the hub's key that is wrong, not the client's, and the message may repeat it.
                return AttemptResult.Failed(FailureKind.Rejected, Create(502, "The model's server does not accept the hub's credentials.", "authentication") with { ShouldRetry = false }) with { IsOfKey = true };
            case 402 or 412:
            case 403 when !IsModeration(error):
            case >= 400 and < 500 and not 429 when IsSpent(error):
                // What is refused is the hub's account; the words say why.
                return AttemptResult.Failed(FailureKind.Rejected, error with
                {
                    Status = 502,
                    Message = $"The model's server does not accept the hub's credentials: {error.Message}",
                    Type = ApiErrors.ServerErrorType,
                    Code = CodePrefix + "authentication",
                    ShouldRetry = false,
                }) with
                { IsOfKey = !IsOfModel(error) };
            case 404 or 405:
                return AttemptResult.Failed(FailureKind.Rejected, error with { Status = 404 });
            // More than the account may use in a minute: it would be at any time.
            case 413 when error.Code == "rate_limit_exceeded" || error.Message.Contains("per minute", StringComparison.OrdinalIgnoreCase):
                return AttemptResult.Failed(FailureKind.Rejected, error);
            case 429 when error.ShouldRetry == false || error.Code == "insufficient_quota" || (error.RetryAfter is null && IsSpent(error)):
                return AttemptResult.Failed(FailureKind.Rejected, error with { ShouldRetry = false }) with { IsOfKey = error.Code == "insufficient_quota" || IsSpent(error) };
            case 425 or 429:
                return AttemptResult.Failed(FailureKind.RateLimited, error with { Status = 429 });
            case 408:
                return AttemptResult.Failed(FailureKind.Faulted, error with { Status = 504, Type = ApiErrors.ServerErrorType });
            // No capacity, and a model that isn't ready.
            case 424 or 498:
                return AttemptResult.Failed(FailureKind.Faulted, error with { Status = 503, Type = ApiErrors.ServerErrorType });
            case >= 400 and < 500:
                return AttemptResult.Failed(FailureKind.Refused, error);
            default:
                var status = error.Status switch { 503 or 529 => 503, 504 or 524 => 504, _ => 502 };
                return AttemptResult.Failed(FailureKind.Faulted, error with { Status = status });
        }
    }

    private static ApiError Create(int status, string message, string code) => new(status, message, ApiErrors.ServerErrorType, null, CodePrefix + code);

    // What providers say when a prompt is too long: OpenAI, vLLM, llama.cpp, SGLang, Anthropic, Google, Mistral, Cohere, DeepSeek, Groq, Ollama.
    private static readonly string[] s_contextWords =
    [
        "context length", "context window", "context size", "context_length", "context limit", "prompt is too long", "prompt too long", "input is too long",
        "input too long", "too many tokens", "maximum prompt length", "maximum input length", "exceeds the maximum number of tokens", "token count exceeds",
        "exceeds the maximum number of input tokens", "exceeds the model's maximum", "reduce the length", "longer than the model", "maximum context",
        "exceed context", "tokens exceeds", "max_seq_len", "max input tokens", "too long for model",
    ];

    private static readonly string[] s_spentWords =
    [
        "credit balance", "insufficient balance", "insufficient credit", "insufficient_quota", "insufficient fund", "exceeded your current quota", "out of credits",
        "no credits", "billing hard limit", "billing_hard_limit", "payment required", "quota has been exhausted", "account balance", "balance is not enough",
        "key limit exceeded", "spending limit",
    ];

    private static bool IsContextLength(ApiError error) =>
        error.Code is "context_length_exceeded" or "string_above_max_length"
        // Tokens of a minute are not those of a prompt.
        || (error.Status != 429 && !Contains(error.Message, "per minute") && Array.Exists(s_contextWords, word => Contains(error.Message, word)));

    private static bool IsSpent(ApiError error) => Array.Exists(s_spentWords, word => Contains(error.Message, word));

    // The account may use other models.
    private static bool IsOfModel(ApiError error) =>
        error.Code == "model_not_found" || Contains(error.Message, "access to model") || Contains(error.Message, "access to the model")
        || Contains(error.Message, "model access");

    // The words of the request are refused, not the account.
    private static bool IsModeration(ApiError error) =>
        error.Code is "content_policy_violation" or "moderation" || Contains(error.Message, "moderation") || Contains(error.Message, "flagged")
        || Contains(error.Message, "content policy") || Contains(error.Message, "safety");

    private static bool Contains(string text, string word) => text.Contains(word, StringComparison.OrdinalIgnoreCase);

    // A short value is no secret, and is a part of many a word.
    private static string Redact(string text, UpstreamOptions options)
    {
        if (options.ApiKey is { Length: >= SecretLengthMin } key) text = text.Replace(key, "***", StringComparison.Ordinal);
        foreach (var value in options.Headers.Values.Where(value => value.Length >= SecretLengthMin)) text = text.Replace(value, "***", StringComparison.Ordinal);
        return text;
    }
}
