using System.Buffers;
using System.Text;
using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Storage;

/// <summary>An <see cref="ApiError"/> as text that can be read again, with what is not part of the object on the wire.</summary>
internal static class StoredFailure
{
    public static string Write(ApiError error)
    {
        var text = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(text))
        {
            writer.WriteStartObject();
            writer.WriteNumber("status"u8, error.Status);
            writer.WriteString("message"u8, error.Message);
            writer.WriteString("type"u8, error.Type);
            if (error.Param is { } param) writer.WriteString("param"u8, param);
            if (error.Code is { } code) writer.WriteString("code"u8, code);
            if (error.Details is { } details) writer.WriteString("details"u8, details);
            if (error.RetryAfter is { } wait) writer.WriteNumber("retry_after_ms"u8, (long)wait.TotalMilliseconds);
            if (error.ShouldRetry is { } retry) writer.WriteBoolean("should_retry"u8, retry);
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(text.WrittenSpan);
    }

    /// <exception cref="JsonException">The text is not one that was written here.</exception>
    public static ApiError Read(string text)
    {
        using var document = JsonDocument.Parse(text);
        var root = document.RootElement;
        string? Text(string name) => root.TryGetProperty(name, out var value) ? value.GetString() : null;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("status"u8, out var status)) throw new JsonException("This is no failure of an answer.");
        return new ApiError(status.GetInt32(), Text("message") ?? "", Text("type") ?? ApiErrors.ServerErrorType, Text("param"), Text("code"))
        {
            Details = Text("details"),
            RetryAfter = root.TryGetProperty("retry_after_ms"u8, out var wait) ? TimeSpan.FromMilliseconds(wait.GetInt64()) : null,
            ShouldRetry = root.TryGetProperty("should_retry"u8, out var retry) ? retry.GetBoolean() : null,
        };
    }
}
