using System.Buffers;
using System.Globalization;
using System.Text;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Messages;

/// <summary>Errors as the Messages API tells them.</summary>
internal static class MessagesErrors
{
    private const string ContextCode = "context_length_exceeded";
    private const string ContextWords = "prompt is too long";

    /// <summary>The API has its own statuses for what is overloaded and for what must be paid.</summary>
    public static int StatusOf(ApiError error) => error switch
    {
        { Code: "insufficient_quota" } => 402,
        { Status: 503 } => 529,
        { Status: 502 } => 500,
        _ => error.Status,
    };

    /// <summary>Writes <c>{"type":"error","error":{"type":…,"message":…},"request_id":…}</c> on one line.</summary>
    public static void WriteTo(IBufferWriter<byte> output, ApiError error, string requestId)
    {
        JsonText.WriteRaw(output, "{\"type\":\"error\",\"error\":{\"type\":\""u8);
        JsonText.WriteRaw(output, TypeOf(StatusOf(error)));
        JsonText.WriteRaw(output, "\",\"message\":"u8);
        JsonText.WriteStringOrNull(output, error.Code == ContextCode ? SayContext(error.Message) : error.Message);
        if (error.Details is not null) Encoding.UTF8.GetBytes(error.Details, output);
        JsonText.WriteRaw(output, "},\"request_id\":"u8);
        JsonText.WriteStringOrNull(output, requestId);
        JsonText.WriteRaw(output, "}"u8);
    }

    private static ReadOnlySpan<byte> TypeOf(int status) => status switch
    {
        401 => "authentication_error"u8,
        402 => "billing_error"u8,
        403 => "permission_error"u8,
        404 or 410 => "not_found_error"u8,
        408 or 504 => "timeout_error"u8,
        409 => "conflict_error"u8,
        413 => "request_too_large"u8,
        429 => "rate_limit_error"u8,
        529 => "overloaded_error"u8,
        < 500 => "invalid_request_error"u8,
        _ => "api_error"u8,
    };

    // Agents look for these words, and shorten their next request by the numbers.
    private static string SayContext(string message)
    {
        if (message.StartsWith(ContextWords, StringComparison.Ordinal)) return message;
        Span<long> numbers = stackalloc long[2];
        var count = 0;
        for (var at = 0; at < message.Length && count < numbers.Length;)
        {
            var end = at;
            while (end < message.Length && char.IsAsciiDigit(message[end])) end++;
            // A digit within a word belongs to a name.
            if (end > at && (at == 0 || !char.IsAsciiLetter(message[at - 1])) && long.TryParse(message.AsSpan(at, end - at), out var number)) numbers[count++] = number;
            at = end + 1;
        }
        return count < numbers.Length
            ? $"{ContextWords}: {message}"
            : string.Create(CultureInfo.InvariantCulture, $"{ContextWords}: {long.Max(numbers[0], numbers[1])} tokens > {long.Min(numbers[0], numbers[1])} maximum");
    }
}
