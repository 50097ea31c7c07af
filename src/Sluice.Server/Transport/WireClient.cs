using System.Buffers;
using System.Buffers.Text;
using Sluice.Server.Runtime;

namespace Sluice.Server.Transport;

/// <summary>
/// Asks one server over HTTP/1.1 and keeps its connections: the bytes of a request leave with one system call, and those of its reply are
/// read where they lie.
/// </summary>
/// <remarks>
/// For what goes over plain TCP. <see cref="HttpClient"/> costs a request several times as much as the rest of its way through the hub, and a
/// token of a paced stream a change of threads; TLS, HTTP/2 and proxies stay with it.
/// </remarks>
internal sealed class WireClient : IDisposable
{
    // Together with its head a request up to this size is one write.
    private const int JoinedBytes = 64 << 10;

    // For ": ", a length, and two ends of lines.
    private const int LengthBytes = 48;

    private readonly WirePool _pool;
    private readonly Limits _limits;

    /// <param name="host">Name or address.</param>
    /// <param name="port">Port.</param>
    /// <param name="connect">How long a connection may take.</param>
    /// <param name="limits">Lifetimes and bounds.</param>
    /// <param name="time">Clock of the lifetimes.</param>
    /// <param name="usesReactor">Whether the reactor waits for its sockets.</param>
    public WireClient(string host, int port, TimeSpan connect, Limits limits, TimeProvider time, bool usesReactor)
    {
        _limits = limits;
        _pool = new WirePool(host, port, connect, limits, time, usesReactor);
    }

    /// <summary>Sends a request.</summary>
    /// <param name="head">The request line and the fields, each with its end of line, without a length and the blank line.</param>
    /// <param name="body">The content; needed until the reply is there.</param>
    /// <param name="cancellation">Ends the exchange, the reading of its body too, and closes the connection before the call that cancels returns.</param>
    /// <returns>The reply as soon as its head has come; belongs to the caller.</returns>
    /// <exception cref="IOException">The server can't be reached, or breaks off.</exception>
    /// <exception cref="OperationCanceledException">It was canceled, or the connection took too long.</exception>
    public async ValueTask<WireReply> SendAsync(ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        for (var isFresh = false; ; isFresh = true)
        {
            var wire = isFresh ? null : _pool.TryTake();
            var isUsed = wire is not null;
            wire ??= await _pool.ConnectAsync(cancellation);
            var reply = new WireReply(wire, _pool, _limits, cancellation);
            IOException? failure = null;
            try
            {
                failure = await TrySendAsync(wire, head, body);
                // A server may refuse a long request before it has read it; what it says is worth more than that it went away.
                await reply.ReadHeadAsync(failure);
                return reply;
            }
            catch (IOException) when (isUsed && failure is not null && !reply.HasBegun && !cancellation.IsCancellationRequested)
            {
                // The server has closed the idle connection before it had the whole request. One that it had whole it may have worked on.
                reply.Dispose();
            }
            catch (IOException) when (cancellation.IsCancellationRequested)
            {
                reply.Dispose();
                throw new OperationCanceledException(cancellation);
            }
            catch
            {
                reply.Dispose();
                throw;
            }
        }
    }

    public void Dispose() => _pool.Dispose();

    private static async ValueTask<IOException?> TrySendAsync(Wire wire, ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> body)
    {
        var isJoined = head.Length + LengthBytes + body.Length <= JoinedBytes;
        var buffer = ArrayPool<byte>.Shared.Rent(head.Length + LengthBytes + (isJoined ? body.Length : 0));
        try
        {
            var count = Write(buffer, head.Span, isJoined ? body.Span : default, body.Length);
            await wire.SendAsync(buffer.AsMemory(0, count));
            if (!isJoined) await wire.SendAsync(body);
            return null;
        }
        catch (IOException exception)
        {
            return exception;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static int Write(Span<byte> output, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body, int length)
    {
        head.CopyTo(output);
        var count = head.Length;
        "Content-Length: "u8.CopyTo(output[count..]);
        count += "Content-Length: "u8.Length;
        Utf8Formatter.TryFormat(length, output[count..], out var digits);
        count += digits;
        "\r\n\r\n"u8.CopyTo(output[count..]);
        count += "\r\n\r\n"u8.Length;
        body.CopyTo(output[count..]);
        return count + body.Length;
    }
}
