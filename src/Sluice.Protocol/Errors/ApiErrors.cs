using System.Globalization;

namespace Sluice.Protocol.Errors;

/// <summary>The errors of the API that are not about one parameter, in the words that clients know.</summary>
public static partial class ApiErrors
{
    /// <summary>Type of every error that the request itself caused.</summary>
    public const string InvalidRequestType = "invalid_request_error";

    /// <summary>Type of every error that the server caused.</summary>
    public const string ServerErrorType = "server_error";

    /// <summary>400: the body is not one JSON text in valid UTF-8.</summary>
    public static ApiError UnparsableBody() => Invalid(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. "
        + "The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
        param: null,
        code: null);

    /// <summary>400: the request names no model.</summary>
    public static ApiError MissingModel() => Invalid("you must provide a model parameter", param: null, code: null);

    /// <summary>401: keys are configured and the request carries none.</summary>
    public static ApiError MissingApiKey() => new(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        + "(i.e. Authorization: Bearer YOUR_KEY).",
        InvalidRequestType,
        Param: null,
        Code: null);

    /// <summary>401: the key is not one of those configured.</summary>
    /// <param name="key">Shown masked: of a key of 16 characters or more the first three and the last four, otherwise none.</param>
    public static ApiError IncorrectApiKey(string key) => new(
        401, $"Incorrect API key provided: {Mask(key)}.", InvalidRequestType, Param: null, Code: "invalid_api_key");

    /// <summary>401: the key was good until a moment that has passed. Says nothing of the key itself.</summary>
    public static ApiError KeyExpired() =>
        new(401, "This API key has expired. Ask whoever runs the hub for another one.", InvalidRequestType, Param: null, "key_expired");

    /// <summary>401: a token of an identity provider opens nothing here.</summary>
    public static ApiError TokenRefused(string message, string code) => new(401, message, InvalidRequestType, Param: null, code);

    /// <summary>403: the caller may not do this.</summary>
    public static ApiError Forbidden(string message, string? code = null) => new(403, message, InvalidRequestType, Param: null, code);

    /// <summary>404: no model of that name.</summary>
    /// <param name="model">The name.</param>
    /// <param name="near">One that is there, and may be meant; null for none.</param>
    public static ApiError ModelNotFound(string model, string? near = null) => new(
        404,
        $"The model `{Elide(model)}` does not exist or you do not have access to it.{(near is null ? "" : $" Did you mean `{Elide(near)}`?")}",
        InvalidRequestType,
        Param: null,
        Code: "model_not_found");

    /// <summary>404: no such endpoint.</summary>
    /// <param name="method">As the client wrote it.</param>
    /// <param name="path">The same.</param>
    /// <param name="hint">Sentences that say what there is; null for none.</param>
    public static ApiError InvalidUrl(string method, string path, string? hint = null) => new(
        404, $"Invalid URL ({Elide(method)} {Elide(path)}){(hint is null ? "" : $". {hint}")}", InvalidRequestType, Param: null, Code: null);

    /// <summary>405: the endpoint exists and takes other methods.</summary>
    /// <param name="allowed">The method that it takes; several are joined by the caller, as in <c>GET, DELETE</c>.</param>
    public static ApiError MethodNotAllowed(string allowed = "POST") => new(
        405, $"Only {allowed} requests are accepted.", InvalidRequestType, Param: null, Code: "method_not_supported");

    /// <summary>413: the body is larger than the server reads.</summary>
    public static ApiError BodyTooLarge(long limitBytes) => new(
        413,
        string.Create(CultureInfo.InvariantCulture, $"The request body is too large. The maximum size is {limitBytes} bytes."),
        InvalidRequestType,
        Param: null,
        Code: "request_too_large");

    /// <summary>415: the body is declared as something else than JSON.</summary>
    /// <param name="contentType">The header as it was sent; null when there was none.</param>
    public static ApiError UnsupportedMediaType(string? contentType) => new(
        415,
        contentType is null
            ? "Missing content type. This API method only accepts 'application/json' requests. Please add the header "
                + "'Content-Type: application/json'."
            : $"Unsupported content type: '{Elide(contentType)}'. This API method only accepts 'application/json' requests.",
        InvalidRequestType,
        Param: null,
        Code: "unsupported_content_type");

    /// <summary>415: the body is compressed in a way that isn't read.</summary>
    /// <param name="encoding">The header as it was sent.</param>
    /// <param name="accepted">What is read, as a header says it.</param>
    public static ApiError UnsupportedContentEncoding(string encoding, string accepted) => new(
        415,
        $"Unsupported content encoding: '{Elide(encoding)}'. Send the body uncompressed, or with one of: {accepted}.",
        InvalidRequestType,
        Param: null,
        Code: "unsupported_content_encoding");

    /// <summary>400: the body is not compressed as its header says.</summary>
    /// <param name="encoding">The header as it was sent.</param>
    public static ApiError UndecodableBody(string encoding) =>
        Invalid($"The request body can't be decompressed as '{Elide(encoding)}'.", param: null, code: null);

    /// <summary>400: where the body ends can't be told.</summary>
    public static ApiError UnreadableBody() =>
        Invalid("The request body can't be read: its length or the size of one of its chunks is not valid.", param: null, code: null);

    /// <summary>What came is not a request that can be read.</summary>
    /// <param name="status">Such as 400 or 431.</param>
    /// <param name="reason">One sentence.</param>
    public static ApiError UnreadableRequest(int status, string reason) => new(status, reason, InvalidRequestType, Param: null, Code: null);

    /// <summary>408: the body did not arrive in time.</summary>
    public static ApiError BodyTimeout() => new(408, "The request body did not arrive in time.", InvalidRequestType, Param: null, Code: null);

    /// <summary>400: the prompt alone is longer than the model's context.</summary>
    /// <param name="limitTokens">The model's context length.</param>
    /// <param name="promptTokens">Length of the prompt.</param>
    public static ApiError ContextLengthExceeded(int limitTokens, int promptTokens) => Invalid(
        string.Create(
            CultureInfo.InvariantCulture,
            $"This model's maximum context length is {limitTokens} tokens. However, your messages resulted in {promptTokens} tokens. "
            + $"Please reduce the length of the messages."),
        "messages",
        "context_length_exceeded");

    /// <summary>429: too many requests wait already.</summary>
    /// <param name="retryAfter">When there is likely to be room. Told in whole seconds, rounded up, at least one.</param>
    public static ApiError RateLimited(TimeSpan retryAfter)
    {
        var seconds = Math.Max(1, (long)Math.Ceiling(retryAfter.TotalSeconds));
        return new(
            429,
            string.Create(
                CultureInfo.InvariantCulture,
                $"Rate limit reached: too many requests are waiting for this model. Please try again in {seconds}s."),
            "requests",
            Param: null,
            Code: "rate_limit_exceeded")
        {
            RetryAfter = TimeSpan.FromSeconds(seconds),
        };
    }

    /// <summary>500: something failed that the request did not cause. Details belong in the log, not here.</summary>
    public static ApiError ServerError() => new(
        500,
        "The server had an error while processing your request. Sorry about that! You can retry your request.",
        ServerErrorType,
        Param: null,
        Code: null);

    /// <summary>500, or an error event after the stream has started, with words of its own.</summary>
    public static ApiError ServerError(string message) => new(500, message, ServerErrorType, Param: null, Code: null);

    /// <summary>503, or an error event after the stream has started: the server is stopping.</summary>
    public static ApiError ServerStopping(TimeSpan retryAfter) =>
        Unavailable(retryAfter) with { Message = "The server is stopping. You can retry your request.", Code = "server_shutdown" };

    /// <summary>503: the server takes no new work now: it is overloaded, or loading.</summary>
    public static ApiError Unavailable(TimeSpan? retryAfter = null) => new(
        503,
        "The server is currently overloaded with other requests. Sorry about that! You can retry your request.",
        ServerErrorType,
        Param: null,
        Code: null)
    {
        RetryAfter = retryAfter,
    };

    private static ApiError Invalid(string message, string? param, string? code) => new(400, message, InvalidRequestType, param, code);

    private static string Mask(string key)
    {
        const int ShownFirst = 3, ShownLast = 4, ShownLengthMin = 16, StarsMax = 32;
        ArgumentNullException.ThrowIfNull(key);
        if (key.Length < ShownLengthMin) return new string('*', key.Length);
        var stars = new string('*', Math.Min(key.Length - ShownFirst - ShownLast, StarsMax));
        return $"{key.AsSpan(0, ShownFirst)}{stars}{key.AsSpan(key.Length - ShownLast)}";
    }

    /// <summary>Shortens text of the request for a message; never longer than a bound.</summary>
    public static string Elide(string text, int lengthMax = ProtocolLimits.EchoLengthMax)
    {
        ArgumentNullException.ThrowIfNull(text);
        var side = (lengthMax - 3) / 2;
        return text.Length <= lengthMax ? text : $"{text.AsSpan(0, side)}...{text.AsSpan(text.Length - side)}";
    }
}
