using System.Buffers;
using System.Text;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Errors;

/// <summary>A refusal or failure as the API tells it: an HTTP status and the error object.</summary>
/// <param name="Status">HTTP status, 400 to 599. Not part of the object.</param>
/// <param name="Message">One sentence for a person.</param>
/// <param name="Type">Class of error, such as <c>invalid_request_error</c>.</param>
/// <param name="Param">Path of the parameter that is at fault, such as <c>messages[0].role</c>.</param>
/// <param name="Code">Machine-readable reason, such as <c>invalid_type</c>.</param>
public sealed record ApiError(int Status, string Message, string Type, string? Param, string? Code)
{
    /// <summary>When to try again: the <c>Retry-After</c> header. Null sends none.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Value of the <c>x-should-retry</c> header, which overrides an SDK's rule for the status. Null sends none.</summary>
    public bool? ShouldRetry { get; init; }

    /// <summary>
    /// What an upstream says beyond the four keys: members as JSON on one line, each with a comma before it. Null for nothing.
    /// </summary>
    public string? Details { get; init; }

    /// <summary>
    /// Writes <c>{"error":{"message":…,"type":…,"param":…,"code":…}}</c>: always four keys, in this order, on one line, and then
    /// <see cref="Details"/>.
    /// </summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonText.WriteRaw(output, "{\"error\":{\"message\":"u8);
        JsonText.WriteStringOrNull(output, Message);
        JsonText.WriteRaw(output, ",\"type\":"u8);
        JsonText.WriteStringOrNull(output, Type);
        JsonText.WriteRaw(output, ",\"param\":"u8);
        JsonText.WriteStringOrNull(output, Param);
        JsonText.WriteRaw(output, ",\"code\":"u8);
        JsonText.WriteStringOrNull(output, Code);
        if (Details is not null) Encoding.UTF8.GetBytes(Details, output);
        JsonText.WriteRaw(output, "}}"u8);
    }
}
