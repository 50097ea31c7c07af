using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;

namespace Sluice.Server.Endpoints;

/// <summary>Reads JSON bodies within the limit.</summary>
internal static class RequestBody
{
    /// <summary>Null when the request declares JSON.</summary>
    public static ApiError? CheckContentType(HttpRequest request)
    {
        var isJson = MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase);
        return isJson ? null : ApiErrors.UnsupportedMediaType(request.ContentType);
    }

    /// <summary>Reads the whole body into the request's own buffers.</summary>
    /// <returns>The body, to be handed to <see cref="PipeReader.AdvanceTo(SequencePosition)"/> by its end when it is no longer used; or an error.</returns>
    public static async Task<(ReadOnlySequence<byte> Body, ApiError? Error)> ReadAsync(HttpContext context, Limits limits)
    {
        // Kestrel's own limit would close the connection in the client's face.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } kestrel) kestrel.MaxRequestBodySize = null;
        var reader = context.Request.BodyReader;
        if (context.Request.ContentLength > limits.RequestBodyBytes) return (default, await RefuseAsync(reader, limits, context));
        while (true)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            if (result.Buffer.Length > limits.RequestBodyBytes)
            {
                reader.AdvanceTo(result.Buffer.End);
                return (default, await RefuseAsync(reader, limits, context));
            }
            if (result.IsCompleted) return (result.Buffer, null);
            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    // A client reads its answer when it has sent its body; cut off before, it sees a broken connection and no reason.
    private static async Task<ApiError> RefuseAsync(PipeReader reader, Limits limits, HttpContext context)
    {
        var error = ApiErrors.BodyTooLarge(limits.RequestBodyBytes);
        // Who asks before sending is told no, and then sends nothing.
        var asksFirst = context.Request.Headers.Expect.Any(static value => string.Equals(value, "100-continue", StringComparison.OrdinalIgnoreCase));
        if (context.Request.ContentLength > limits.DiscardedBodyBytes || (asksFirst && context.Request.ContentLength > limits.RequestBodyBytes))
        {
            context.Response.Headers.Connection = "close";
            return error;
        }
        for (long discarded = 0; discarded <= limits.DiscardedBodyBytes;)
        {
            var result = await reader.ReadAsync(context.RequestAborted);
            discarded += result.Buffer.Length;
            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted) return error;
        }
        context.Response.Headers.Connection = "close";
        return error;
    }
}
