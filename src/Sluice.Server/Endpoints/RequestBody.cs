using System.Buffers;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;
using Sluice.Server.Transport;

namespace Sluice.Server.Endpoints;

/// <summary>Reads JSON bodies within the limits: of one body, of all together, and of the time that one takes.</summary>
internal sealed class RequestBody(BodyBudget budget, Limits limits, TimeProvider time)
{
    // Below the size from which arrays are no longer moved and collected with the young ones.
    private const int PieceBytes = 64 << 10;

    /// <summary>Null when the request declares JSON.</summary>
    /// <param name="request">The request.</param>
    /// <param name="dialect">Of the door, whose clients may declare something else; not those in a browser, which would send that without asking.</param>
    public static ApiError? CheckContentType(HttpRequest request, AnswerDialect? dialect = null)
    {
        if (dialect is { TakesAnyContentType: true } && request.Headers.Origin.Count == 0) return null;
        var isJson = MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase);
        return isJson ? null : ApiErrors.UnsupportedMediaType(request.ContentType);
    }

    /// <summary>Reads the whole body, decompressed. It counts in the budget until the end of the request.</summary>
    /// <returns>The body in one piece, which belongs to the caller; or an error, and the client can read it.</returns>
    /// <exception cref="OperationCanceledException">The client has left.</exception>
    public async Task<(byte[] Body, ApiError? Error)> ReadAsync(HttpContext context)
    {
        // Kestrel's own limit would close the connection in the client's face.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } kestrel) kestrel.MaxRequestBodySize = null;
        using var deadline = new CancellationTokenSource(limits.RequestBodyRead, time);
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, context.RequestAborted);
        var share = budget.Open();
        context.Response.RegisterForDispose(share);
        try
        {
            return await ReadAsync(context, share, cancellation.Token);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !context.RequestAborted.IsCancellationRequested)
        {
            Close(context);
            return ([], ApiErrors.BodyTimeout());
        }
        catch (IOException error) when (error is not BadHttpRequestException && !HasLeft(error, context))
        {
            // What frames the body is wrong, such as the size of a chunk: where the next request begins is not known.
            Close(context);
            return ([], ApiErrors.UnreadableBody());
        }
    }

    /// <summary>Whether what went wrong in reading is that nobody sends any more.</summary>
    public static bool HasLeft(IOException error, HttpContext context) =>
        error is ConnectionResetException || error.InnerException is ConnectionAbortedException || context.RequestAborted.IsCancellationRequested;

    private async Task<(byte[] Body, ApiError? Error)> ReadAsync(HttpContext context, BodyBudget.Share share, CancellationToken cancellation)
    {
        if (context.Request.ContentLength > limits.RequestBodyBytes)
            return ([], await RefuseAsync(context, ApiErrors.BodyTooLarge(limits.RequestBodyBytes), cancellation));
        if (context.Request.ContentLength is { } length && !budget.HasRoom(length)) return ([], await RefuseAsync(context, Full(), cancellation));
        var source = new BoundedBody(context.Request.Body, limits.RequestBodyBytes);
        var (decoded, encodingError) = await RequestEncoding.OpenAsync(context.Request.Headers.ContentEncoding, source, cancellation);
        if (encodingError is not null)
        {
            // So that the client can send it again as it is taken (RFC 9110, 12.5.3).
            context.Response.Headers.AcceptEncoding = RequestEncoding.Accepted;
            return ([], await RefuseAsync(context, encodingError, cancellation));
        }
        // To inflate is long for a few bytes.
        if (context.Request.Headers.ContentEncoding.Count > 0) await ReactorThread.LeaveAsync();
        var pieces = new List<byte[]>();
        try
        {
            var (body, error) = await CollectAsync(decoded!, pieces, share, cancellation);
            if (error is null)
            {
                // What follows reads it several times.
                if (body.Length > PieceBytes) await ReactorThread.LeaveAsync();
                return (body, null);
            }
            share.Dispose();
            return ([], await RefuseAsync(context, error, cancellation));
        }
        catch (BodyTooLargeException)
        {
            return ([], await RefuseAsync(context, ApiErrors.BodyTooLarge(limits.RequestBodyBytes), cancellation));
        }
        catch (Exception exception) when (RequestEncoding.IsBroken(exception) && !ReferenceEquals(decoded, source))
        {
            return ([], await RefuseAsync(context, ApiErrors.UndecodableBody(context.Request.Headers.ContentEncoding.ToString()), cancellation));
        }
        finally
        {
            foreach (var piece in pieces) ArrayPool<byte>.Shared.Return(piece);
            if (!ReferenceEquals(decoded, source)) await decoded!.DisposeAsync();
        }
    }

    private async Task<(byte[] Body, ApiError? Error)> CollectAsync(Stream stream, List<byte[]> pieces, BodyBudget.Share share, CancellationToken cancellation)
    {
        var length = 0;
        while (true)
        {
            var filled = length - ((pieces.Count - 1) * PieceBytes);
            if (pieces.Count == 0 || filled == PieceBytes)
            {
                pieces.Add(ArrayPool<byte>.Shared.Rent(PieceBytes));
                filled = 0;
            }
            var read = await stream.ReadAsync(pieces[^1].AsMemory(filled, PieceBytes - filled), cancellation);
            if (read == 0) break;
            length += read;
            if (length > limits.RequestBodyBytes) return ([], ApiErrors.BodyTooLarge(limits.RequestBodyBytes));
            if (!share.TryGrow(read)) return ([], Full());
        }
        var body = GC.AllocateUninitializedArray<byte>(length);
        for (var i = 0; i < pieces.Count; i++)
        {
            var start = i * PieceBytes;
            pieces[i].AsSpan(0, int.Min(PieceBytes, length - start)).CopyTo(body.AsSpan(start));
        }
        return (body, null);
    }

    private static ApiError Full() => ApiErrors.Unavailable(TimeSpan.FromSeconds(1));

    // A client reads its answer when it has sent its body; cut off before, it sees a broken connection and no reason.
    private async Task<ApiError> RefuseAsync(HttpContext context, ApiError error, CancellationToken cancellation)
    {
        // Who asks before sending is told no, and then sends nothing.
        var asksFirst = context.Request.Headers.Expect.Any(static value => string.Equals(value, "100-continue", StringComparison.OrdinalIgnoreCase));
        if (context.Request.ContentLength > limits.DiscardedBodyBytes || asksFirst)
        {
            Close(context);
            return error;
        }
        var buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            for (long discarded = 0; discarded <= limits.DiscardedBodyBytes;)
            {
                var read = await context.Request.Body.ReadAsync(buffer, cancellation);
                if (read == 0) return error;
                discarded += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        Close(context);
        return error;
    }

    private static void Close(HttpContext context)
    {
        if (HttpProtocol.IsHttp11(context.Request.Protocol)) context.Response.Headers.Connection = "close";
    }
}
