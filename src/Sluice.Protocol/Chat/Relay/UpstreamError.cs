using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>Reads what upstreams send as errors: OpenAI's object, or one of the many that only resemble it.</summary>
public static class UpstreamError
{
    private const int MessageLengthMax = 2_000;

    /// <summary>Reads the body of an answer that is no success.</summary>
    /// <param name="status">Its HTTP status, 300 to 599.</param>
    /// <param name="body">The body, or its beginning; may be anything.</param>
    /// <returns>The error with that status; the message says what is known.</returns>
    public static ApiError Read(int status, ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Array && root.GetArrayLength() > 0) root = root[0];
            if (root.ValueKind != JsonValueKind.Object) return Plain(status);
            return root.TryGetProperty("error"u8, out var error) && error.ValueKind is JsonValueKind.Object or JsonValueKind.String
                ? Read(status, error)
                : Read(status, root);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return Plain(status);
        }
    }

    /// <summary>Reads the value of an <c>error</c> member in mid-stream, where there is no status: its code gives one where it is a number.</summary>
    internal static ApiError ReadEvent(ReadOnlySpan<byte> error)
    {
        var reader = new Utf8JsonReader(error);
        using var document = JsonDocument.ParseValue(ref reader);
        var element = document.RootElement;
        var status = 500;
        if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var name in (ReadOnlySpan<string>)["status", "status_code", "code"])
            {
                if (element.TryGetProperty(name, out var value) && ReadStatus(value) is { } number)
                {
                    status = number;
                    break;
                }
            }
            if (status == 500) status = StatusOf(FindText(element, "type"));
        }
        return Read(status, element);
    }

    // Azure writes the number as text.
    private static int? ReadStatus(JsonElement value)
    {
        var status = value.ValueKind switch
        {
            JsonValueKind.Number => value.TryGetInt32(out var number) ? number : 0,
            JsonValueKind.String => int.TryParse(value.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0,
            _ => 0,
        };
        return status is >= 400 and <= 599 ? status : null;
    }

    // The names are Anthropic's, each of which stands for one status.
    private static int StatusOf(string? type) => type switch
    {
        ApiErrors.InvalidRequestType => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    };

    private static ApiError Read(int status, JsonElement error)
    {
        if (error.ValueKind == JsonValueKind.String) return Create(status, error.GetString(), null, null, null);
        var message = FindText(error, "message") ?? FindText(error, "detail") ?? FindText(error, "error");
        return Create(status, message, FindText(error, "type"), FindText(error, "param"), FindCode(error));
    }

    private static ApiError Plain(int status) => Create(status, null, null, null, null);

    private static ApiError Create(int status, string? message, string? type, string? param, string? code)
    {
        if (string.IsNullOrWhiteSpace(message)) message = string.Create(CultureInfo.InvariantCulture, $"The upstream answered with status {status}.");
        if (message.Length > MessageLengthMax) message = message[..MessageLengthMax];
        return new ApiError(status, message, type ?? (status < 500 ? ApiErrors.InvalidRequestType : ApiErrors.ServerErrorType), param, code);
    }

    // A code that is a number, be it as text, repeats the status; it is no code of the API.
    private static string? FindCode(JsonElement element) => FindText(element, "code") is { } code && !code.All(char.IsAsciiDigit) ? code : null;

    private static string? FindText(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;
}
