using System.Net;
using System.Net.Sockets;

namespace Sluice.Server.Transport;

/// <summary>
/// A connected socket, for one reader and one writer at a time. Without tokens: whoever has had enough aborts it, and what is pending fails.
/// </summary>
internal abstract class Wire : IDisposable
{
    /// <summary>What the pool of idle wires sorts by: those of one reactor stay with it.</summary>
    public abstract int Shelf { get; }

    /// <summary>Receives at least a byte.</summary>
    /// <returns>0 at the end.</returns>
    /// <exception cref="IOException">The connection is broken or aborted.</exception>
    public abstract ValueTask<int> ReceiveAsync(Memory<byte> buffer);

    /// <summary>Receives what is there, without waiting.</summary>
    /// <returns>False where there is nothing; a count of 0 at the end.</returns>
    /// <exception cref="IOException">The connection is broken or aborted.</exception>
    public abstract bool TryReceive(Span<byte> buffer, out int count);

    /// <summary>Sends all.</summary>
    /// <exception cref="IOException">The connection is broken or aborted.</exception>
    public abstract ValueTask SendAsync(ReadOnlyMemory<byte> bytes);

    /// <summary>Whether nothing has come that nobody asked for, an end among it.</summary>
    public abstract bool IsQuiet();

    /// <summary>Ends both directions in order, and what is pending with an exception, on another thread. From any thread; later calls do nothing.</summary>
    public abstract void Abort();

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);

    /// <summary>Connects to the first address that answers.</summary>
    /// <param name="host">Name or address.</param>
    /// <param name="port">Port.</param>
    /// <param name="usesReactor">Whether the reactor waits for it.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="IOException">None answers.</exception>
    public static async Task<Wire> ConnectAsync(string host, int port, bool usesReactor, CancellationToken cancellation)
    {
        // The reactor of the request, which is forgotten behind the first wait.
        var reactor = usesReactor && OperatingSystem.IsLinux() ? Reactor.Choose() : null;
        IPAddress[] addresses;
        try
        {
            addresses = IPAddress.TryParse(host, out var address) ? [address] : await Dns.GetHostAddressesAsync(host, cancellation);
        }
        catch (SocketException exception)
        {
            throw new IOException($"{host} is unknown.", exception);
        }
        Exception? last = null;
        foreach (var address in addresses)
        {
            Socket? socket = null;
            try
            {
                socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                var endpoint = new IPEndPoint(address, port);
                if (reactor is not null && OperatingSystem.IsLinux()) return await ReactorWire.ConnectAsync(socket, endpoint, reactor, cancellation);
                await socket.ConnectAsync(endpoint, cancellation);
                return new SocketWire(socket);
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                socket?.Dispose();
                last = exception;
            }
            catch
            {
                socket?.Dispose();
                throw;
            }
        }
        throw new IOException($"{host} can't be reached.", last);
    }
}
