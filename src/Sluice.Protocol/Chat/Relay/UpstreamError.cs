using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat.Relay;

/// <summary>Reads what upstreams send as errors: OpenAI's object, or one of the many that only resemble it.</summary>
public static class UpstreamError
{
    private const int MessageLengthMax = 2_000;

    // Members of an error that clients of one provider know, such as failed_generation, innererror and metadata.
    private const int DetailsLengthMax = 8 << 10;

    // Of a body in which no words of an error are found.
    private const int ExcerptLengthMax = 200;

    private static readonly string[] s_messageNames =
        ["message", "error_message", "errorMessage", "error_msg", "status_msg", "msg", "Message", "detail", "details", "error_description", "title", "reason", "error", "errors"];

    private static readonly string[] s_known = ["type", "param", "code", "status", "status_code", "statusCode", "object", "error_type", "timestamp", "path", "success"];

    /// <summary>Reads the body of an answer that is no success.</summary>
    /// <param name="status">Its HTTP status, 300 to 599.</param>
    /// <param name="body">The body, or its beginning; may be anything.</param>
    /// <returns>The error with that status; the message says what is known.</returns>
    public static ApiError Read(int status, ReadOnlySpan<byte> body)
    {
        body = body.Trim(" \t\r\n\uFEFF"u8);
        // Events in place of an object: the first has the error.
        if (body.StartsWith("data:"u8) || body.StartsWith("event:"u8))
        {
            var data = body.IndexOf("data:"u8);
            if (data < 0) return Create(status, null, null, null, null);
            body = body[(data + "data:"u8.Length)..].TrimStart((byte)' ');
            var end = body.IndexOfAny((byte)'\r', (byte)'\n');
            if (end >= 0) body = body[..end];
        }
        try
        {
            var reader = new Utf8JsonReader(body);
            using var document = JsonDocument.ParseValue(ref reader);
            return ReadBody(status, document.RootElement, isStatusKnown: true);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return ReadText(status, body);
        }
    }

    /// <summary>Reads an answer with status 200 that is an error; null where nothing in it says so.</summary>
    /// <param name="body">JSON that is not an answer.</param>
    /// <exception cref="JsonException">It is not JSON.</exception>
    public static ApiError? Find(ReadOnlySpan<byte> body) => FindInFrame(body, hasChoices: false);

    /// <summary>The error in a frame of a stream; null where it is none.</summary>
    /// <param name="json">The frame.</param>
    /// <param name="hasChoices">Whether it has choices, so that words beside them are no error.</param>
    internal static ApiError? FindInFrame(ReadOnlySpan<byte> json, bool hasChoices)
    {
        // Most frames don't have the words.
        if (hasChoices && json.IndexOf("error"u8) < 0 && json.IndexOf("base_resp"u8) < 0) return null;
        var reader = new Utf8JsonReader(json);
        using var document = JsonDocument.ParseValue(ref reader);
        var root = document.RootElement;
        if (root.ValueKind == JsonValueKind.Array && !hasChoices && root.GetArrayLength() > 0) root = root[0];
        if (root.ValueKind != JsonValueKind.Object) return null;
        if (root.TryGetProperty("error"u8, out var error) && IsError(error)) return ReadBody(500, root, isStatusKnown: false);
        if (root.TryGetProperty("errors"u8, out var errors) && IsError(errors)) return ReadBody(500, root, isStatusKnown: false);
        // MiniMax says so beside an answer that is null.
        if (root.TryGetProperty("base_resp"u8, out var state) && state.ValueKind == JsonValueKind.Object
            && state.TryGetProperty("status_code"u8, out var code) && code.ValueKind == JsonValueKind.Number && code.TryGetInt32(out var number) && number != 0)
        {
            return Read(StatusOfMiniMax(number), state);
        }
        if (hasChoices || root.TryGetProperty("usage"u8, out _)) return null;
        var isNamed = FindText(root, "object") == "error" || FindText(root, "type") == "error";
        return isNamed || FindMessage(root) is not null ? ReadBody(500, root, isStatusKnown: false) : null;
    }

    /// <summary>Whether the value of a member <c>error</c> tells of one: some have an empty one in every healthy chunk.</summary>
    internal static bool IsError(ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(value);
        using var document = JsonDocument.ParseValue(ref reader);
        return IsError(document.RootElement);
    }

    private static bool IsError(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!.Length > 0,
        JsonValueKind.True => true,
        JsonValueKind.Number => value.TryGetDouble(out var number) && number != 0,
        JsonValueKind.Object => value.EnumerateObject().Any(static member => IsError(member.Value)),
        JsonValueKind.Array => value.GetArrayLength() > 0,
        _ => false,
    };

    /// <summary>Reads the value of an <c>error</c> member in mid-stream, where there is no status: its code gives one where it is a number.</summary>
    internal static ApiError ReadEvent(ReadOnlySpan<byte> error)
    {
        var reader = new Utf8JsonReader(error);
        using var document = JsonDocument.ParseValue(ref reader);
        return ReadEvent(document.RootElement);
    }

    /// <summary>The same, of one that has been parsed.</summary>
    internal static ApiError ReadEvent(JsonElement error) => Read(FindStatus(error) ?? 500, error);

    private static ApiError ReadBody(int status, JsonElement root, bool isStatusKnown)
    {
        if (root.ValueKind == JsonValueKind.Array && root.GetArrayLength() > 0) root = root[0];
        if (root.ValueKind == JsonValueKind.String) return Create(status, root.GetString(), null, null, null);
        if (root.ValueKind != JsonValueKind.Object) return Create(status, null, null, null, null);
        var error = root;
        if (root.TryGetProperty("error"u8, out var member) && IsError(member)) error = member;
        else if (root.TryGetProperty("errors"u8, out var list) && IsError(list)) error = list;
        if (error.ValueKind == JsonValueKind.Array) error = error[0];
        // The words stand beside a flag.
        if (error.ValueKind is JsonValueKind.True or JsonValueKind.Number) error = root;
        if (!isStatusKnown) status = FindStatus(error) ?? FindStatus(root) ?? status;
        var read = Read(status, error);
        // An upstream that only wraps another one's error, or says in the outer object what kind it is.
        if (error.ValueKind != JsonValueKind.Object || FindMessage(error) is not null || error.Equals(root)) return read;
        return FindMessage(root) is { } outer ? read with { Message = Shorten(outer) } : read;
    }

    private static int? FindStatus(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object) return null;
        foreach (var name in (ReadOnlySpan<string>)["status", "status_code", "code", "http_status"])
        {
            if (element.TryGetProperty(name, out var value) && ReadStatus(value) is { } number) return number;
        }
        return StatusOf(FindText(element, "type") ?? FindText(element, "error_type")) ?? StatusOfCode(FindText(element, "code"));
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
    private static int? StatusOf(string? type) => type switch
    {
        ApiErrors.InvalidRequestType or "BadRequestError" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" or "insufficient_quota" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => null,
    };

    private static int? StatusOfCode(string? code) => code switch
    {
        "context_length_exceeded" or "invalid_prompt" or "content_filter" => 400,
        "rate_limit_exceeded" or "insufficient_quota" => 429,
        "server_is_overloaded" or "slow_down" => 503,
        _ => null,
    };

    private static int StatusOfMiniMax(int code) => code switch
    {
        1002 or 1039 => 429,
        1004 or 2049 => 401,
        1008 or 2056 => 402,
        1026 or 1027 or 2013 => 400,
        _ => 500,
    };

    private static ApiError Read(int status, JsonElement error)
    {
        if (error.ValueKind == JsonValueKind.String) return Create(status, error.GetString(), null, null, null);
        if (error.ValueKind != JsonValueKind.Object) return Create(status, null, null, null, null);
        var message = FindMessage(error) ?? Excerpt(error.GetRawText());
        // A gateway in between: what the server behind it said is the reason.
        if (error.TryGetProperty("metadata"u8, out var metadata) && metadata.ValueKind == JsonValueKind.Object && FindText(metadata, "raw") is { } raw
            && !message.Contains(raw, StringComparison.Ordinal))
        {
            message = $"{message.TrimEnd('.')}: {Words(raw)}";
        }
        var type = FindText(error, "type") ?? FindText(error, "error_type");
        return Create(status, message, type == "error" ? null : type, FindText(error, "param"), FindCode(error)) with { Details = FindDetails(error) };
    }

    // JSON within a text is read once more.
    private static string Words(string text)
    {
        if (!text.StartsWith('{')) return text;
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = document.RootElement;
            return (root.TryGetProperty("error"u8, out var inner) ? FindMessage(inner) : null) ?? FindMessage(root) ?? text;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return text;
        }
    }

    // The first words under any of the usual names, also where they stand deeper.
    private static string? FindMessage(JsonElement element, int depth = 0)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                return element.GetString() is { Length: > 0 } text ? text : null;
            case JsonValueKind.Array when depth < 4:
                foreach (var item in element.EnumerateArray())
                {
                    if (FindMessage(item, depth + 1) is { } found) return found;
                }
                return null;
            case JsonValueKind.Object when depth < 4:
                foreach (var name in s_messageNames)
                {
                    if (element.TryGetProperty(name, out var value) && FindMessage(value, depth + 1) is { } found) return found;
                }
                return null;
            default:
                return null;
        }
    }

    // Of a text that is no JSON. A page of something in between tells nobody anything.
    private static ApiError ReadText(int status, ReadOnlySpan<byte> body)
    {
        var isPage = body.StartsWith("<"u8);
        return Create(status, isPage ? null : Excerpt(Encoding.UTF8.GetString(body[..int.Min(body.Length, 4 * ExcerptLengthMax)])), null, null, null);
    }

    private static string Excerpt(string text)
    {
        text = text.Trim('\uFFFD', ' ', '\r', '\n', '\t');
        if (text is "{}" or "[]") return "";
        return text.Length > ExcerptLengthMax ? text[..ExcerptLengthMax] : text;
    }

    // As text of members, each with a comma before it; null where there is nothing more, or too much.
    private static string? FindDetails(JsonElement error)
    {
        var details = new StringBuilder();
        foreach (var member in error.EnumerateObject())
        {
            if (s_known.Contains(member.Name) || s_messageNames.Contains(member.Name) || member.Value.ValueKind == JsonValueKind.Null) continue;
            // On one line: the error may become an event.
            var value = member.Value.GetRawText();
            if (value.AsSpan().IndexOfAny('\r', '\n') >= 0) value = value.Replace('\r', ' ').Replace('\n', ' ');
            details.Append(",\"").Append(JsonEncodedText.Encode(member.Name, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping)).Append("\":").Append(value);
        }
        return details.Length is > 0 and <= DetailsLengthMax ? details.ToString() : null;
    }

    private static ApiError Create(int status, string? message, string? type, string? param, string? code)
    {
        if (string.IsNullOrWhiteSpace(message)) message = string.Create(CultureInfo.InvariantCulture, $"The upstream answered with status {status}.");
        return new ApiError(status, Shorten(message), type ?? (status < 500 ? ApiErrors.InvalidRequestType : ApiErrors.ServerErrorType), param, code);
    }

    private static string Shorten(string message) => message.Length > MessageLengthMax ? message[..MessageLengthMax] : message;

    // A code that is a number, be it as text, repeats the status; it is no code of the API.
    private static string? FindCode(JsonElement element) => FindText(element, "code") is { } code && !code.All(char.IsAsciiDigit) ? code : null;

    private static string? FindText(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;
}
