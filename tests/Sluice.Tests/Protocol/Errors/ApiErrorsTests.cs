using Sluice.Protocol.Errors;
using Sluice.Tests.Protocol.Chat;
using Xunit;

namespace Sluice.Tests.Protocol.Errors;

/// <summary>The rows of the error table that no parameter is at fault for: H-01, H-03, H-04, V-19, V-22 and their like.</summary>
public sealed class ApiErrorsTests
{
    public static TheoryData<ApiError, int, string, string, string?, string?> Rows => new()
    {
        { ApiErrors.ModelNotFound("x"), 404, "The model `x` does not exist or you do not have access to it.", "invalid_request_error", null, "model_not_found" },
        {
            ApiErrors.ContextLengthExceeded(2048, 3000), 400,
            "This model's maximum context length is 2048 tokens. However, your messages resulted in 3000 tokens. Please reduce the length of the messages.",
            "invalid_request_error", "messages", "context_length_exceeded"
        },
        {
            ApiErrors.MissingApiKey(), 401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            "invalid_request_error", null, null
        },
        { ApiErrors.IncorrectApiKey("secret"), 401, "Incorrect API key provided: ******.", "invalid_request_error", null, "invalid_api_key" },
        { ApiErrors.IncorrectApiKey("sk-1234567890abcd"), 401, "Incorrect API key provided: sk-**********abcd.", "invalid_request_error", null, "invalid_api_key" },
        { ApiErrors.InvalidUrl("POST", "/v1/foo"), 404, "Invalid URL (POST /v1/foo)", "invalid_request_error", null, null },
        { ApiErrors.MethodNotAllowed(), 405, "Only POST requests are accepted.", "invalid_request_error", null, "method_not_supported" },
        { ApiErrors.BodyTooLarge(1024), 413, "The request body is too large. The maximum size is 1024 bytes.", "invalid_request_error", null, "request_too_large" },
        {
            ApiErrors.UnsupportedMediaType("text/plain"), 415,
            "Unsupported content type: 'text/plain'. This API method only accepts 'application/json' requests.",
            "invalid_request_error", null, "unsupported_content_type"
        },
        {
            ApiErrors.RateLimited(TimeSpan.FromSeconds(1.2)), 429,
            "Rate limit reached: too many requests are waiting for this model. Please try again in 2s.",
            "requests", null, "rate_limit_exceeded"
        },
        {
            ApiErrors.ServerError(), 500,
            "The server had an error while processing your request. Sorry about that! You can retry your request.",
            "server_error", null, null
        },
        {
            ApiErrors.Unavailable(), 503,
            "The server is currently overloaded with other requests. Sorry about that! You can retry your request.",
            "server_error", null, null
        },
        { ApiErrors.Forbidden("This host is not allowed."), 403, "This host is not allowed.", "invalid_request_error", null, null },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void Each_error_has_the_APIs_words(ApiError error, int status, string message, string type, string? param, string? code)
    {
        ArgumentNullException.ThrowIfNull(error);
        Assert.Equal((status, message, type, param, code), (error.Status, error.Message, error.Type, error.Param, error.Code));
        RequestReading.AssertFourKeys(error);
    }

    [Fact]
    public void The_object_is_written_with_its_keys_in_order() => Assert.Equal(
        """{"error":{"message":"Unknown parameter: 'z\"z'.","type":"invalid_request_error","param":"z\"z","code":"unknown_parameter"}}""",
        RequestReading.Write(new ApiError(400, "Unknown parameter: 'z\"z'.", ApiErrors.InvalidRequestType, "z\"z", "unknown_parameter")));

    [Fact]
    public void A_full_queue_says_when_to_come_back_in_whole_seconds_and_at_least_one()
    {
        Assert.Equal(TimeSpan.FromSeconds(2), ApiErrors.RateLimited(TimeSpan.FromSeconds(1.2)).RetryAfter);
        Assert.Equal(TimeSpan.FromSeconds(1), ApiErrors.RateLimited(TimeSpan.Zero).RetryAfter);
    }

    [Fact]
    public void A_key_is_never_shown_whole()
    {
        for (var length = 0; length < 200; length++)
        {
            var message = ApiErrors.IncorrectApiKey(new string('k', length)).Message["Incorrect API key provided: ".Length..];
            Assert.True(message.Count(unit => unit == 'k') <= 7);
            Assert.True(length < 16 || message.Count(unit => unit == '*') >= 9);
            Assert.True(message.Length <= 40);
        }
    }

    [Fact]
    public void A_body_without_content_type_is_told_what_to_send() =>
        Assert.Contains("'Content-Type: application/json'", ApiErrors.UnsupportedMediaType(null).Message, StringComparison.Ordinal);
}
