using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>Answers that are one JSON text.</summary>
internal static class JsonReply
{
    /// <summary>Sends the error object with its status and headers. The response must not have started.</summary>
    public static Task WriteErrorAsync(HttpContext context, ApiError error)
    {
        var response = context.Response;
        var dialect = context.Features.Get<Door>()?.Dialect ?? ChatDialect.Instance;
        response.StatusCode = dialect.StatusOf(error);
        if (error.RetryAfter is { } retryAfter)
        {
            response.Headers.RetryAfter = ((long)Math.Ceiling(retryAfter.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
            // What the SDKs wait by, where there is one.
            response.Headers["retry-after-ms"] = ((long)Math.Ceiling(retryAfter.TotalMilliseconds)).ToString(CultureInfo.InvariantCulture);
        }
        if (error.ShouldRetry is { } shouldRetry) response.Headers["x-should-retry"] = shouldRetry ? "true" : "false";
        if (error.Status == StatusCodes.Status401Unauthorized) response.Headers.WWWAuthenticate = "Bearer";
        var body = new ArrayBufferWriter<byte>();
        dialect.WriteErrorBody(body, error, response.Headers[RequestScope.IdHeader].ToString());
        return WriteAsync(context, body.WrittenMemory);
    }

    /// <summary>Sends an object with status 200, unless another one is set.</summary>
    public static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type) =>
        WriteAsync(context, JsonSerializer.SerializeToUtf8Bytes(value, type));

    /// <summary>Sends JSON that is made already.</summary>
    public static async Task WriteAsync(HttpContext context, ReadOnlyMemory<byte> json)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        if (HttpMethods.IsHead(context.Request.Method)) return;
        await context.Response.BodyWriter.WriteAsync(json, context.RequestAborted);
    }

    /// <summary>Sends JSON of any size, and cuts the connection of a client that takes nothing for <see cref="Limits.WriteStalled"/>.</summary>
    public static async Task WriteAsync(HttpContext context, ReadOnlyMemory<byte> json, Limits limits, TimeProvider time)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        await using var timer = time.CreateTimer(static state => ((HttpContext)state!).Abort(), context, limits.WriteStalled, Timeout.InfiniteTimeSpan);
        while (json.Length > 0)
        {
            var batch = json[..int.Min(json.Length, limits.ReadBatchBytes)];
            json = json[batch.Length..];
            var result = await context.Response.BodyWriter.WriteAsync(batch, context.RequestAborted);
            if (result.IsCompleted) return;
            timer.Change(limits.WriteStalled, Timeout.InfiniteTimeSpan);
        }
    }
}
