using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Sluice.Server.Transport;

/// <summary>A client's connection, as Kestrel wants it, on a <see cref="Reactor"/>.</summary>
[SupportedOSPlatform("linux")]
internal sealed class ReactorConnection : ConnectionContext, IConnectionIdFeature, IConnectionItemsFeature, IConnectionTransportFeature, IConnectionLifetimeFeature,
    IConnectionEndPointFeature, IConnectionSocketFeature, IMemoryPoolFeature, IDuplexPipe
{
    // What Kestrel's own transport reads ahead at most.
    private const int ReadAheadBytes = 1 << 20;
    private const int ReceiveBytes = 2048;

    private readonly ReactorWire _wire;
    private readonly Pipe _input;
    private readonly WireWriter _output;
    private readonly CancellationTokenSource _closed = new();
    private readonly TaskCompletionSource _told = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IDictionary<object, object?>? _items;
    private string? _id;
    private volatile ConnectionAbortedException? _reason;
    private Task _receiving = Task.CompletedTask;

    public ReactorConnection(Socket socket, MemoryPool<byte> pool)
    {
        MemoryPool = pool;
        (LocalEndPoint, RemoteEndPoint) = (socket.LocalEndPoint, socket.RemoteEndPoint);
        _wire = new ReactorWire(socket, Reactor.FindIdlest());
        // What reads goes on where the bytes came in.
        _input = new Pipe(new PipeOptions(
            pool, PipeScheduler.Inline, PipeScheduler.Inline, ReadAheadBytes, ReadAheadBytes / 2, useSynchronizationContext: false));
        _output = new WireWriter(_wire, pool);
        Transport = this;
        ConnectionClosed = _closed.Token;
        Features = CreateFeatures();
    }

    public override string ConnectionId
    {
        get => _id ??= Guid.NewGuid().ToString("N");
        set => _id = value;
    }

    public override IFeatureCollection Features { get; }

    public override IDictionary<object, object?> Items
    {
        get => _items ??= new ConnectionItems();
        set => _items = value;
    }

    public override IDuplexPipe Transport { get; set; }

    public override CancellationToken ConnectionClosed { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    public MemoryPool<byte> MemoryPool { get; }

    public Socket Socket => _wire.Socket;

    PipeReader IDuplexPipe.Input => _input.Reader;

    PipeWriter IDuplexPipe.Output => _output;

    /// <summary>Begins to receive.</summary>
    public void Start() => _receiving = ReceiveAsync();

    public override void Abort() => Abort(new ConnectionAbortedException());

    public override void Abort(ConnectionAbortedException abortReason)
    {
        Interlocked.CompareExchange(ref _reason, abortReason, null);
        _wire.Abort();
    }

    public override async ValueTask DisposeAsync()
    {
        _input.Reader.Complete();
        _output.Complete();
        await _output.DrainAsync();
        _wire.Abort();
        await _receiving;
        await _told.Task;
        _wire.Dispose();
        _closed.Dispose();
        await base.DisposeAsync();
    }

    private async Task ReceiveAsync()
    {
        Exception? error = null;
        try
        {
            while (true)
            {
                // No memory is held for it.
                await _wire.WaitReadableAsync();
                if (!_wire.TryReceive(_input.Writer.GetSpan(ReceiveBytes), out var count)) continue;
                if (count == 0) break;
                _input.Writer.Advance(count);
                var result = await _input.Writer.FlushAsync();
                if (result.IsCompleted || result.IsCanceled) break;
            }
        }
#pragma warning disable CA1031 // Whatever it is, the connection ends by it, and whoever reads hears of it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            error = _reason is { } reason ? reason
                : exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset } ? new ConnectionResetException(exception.Message, exception)
                : new ConnectionAbortedException(exception.Message, exception);
        }
        await _input.Writer.CompleteAsync(_reason ?? error);
        // What hears of it may be long, and the reactor has others to serve.
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.TellClosed(), this, preferLocal: false);
    }

    private void TellClosed()
    {
        try
        {
            _closed.Cancel();
        }
        finally
        {
            _told.TrySetResult();
        }
    }

    private FeatureCollection CreateFeatures()
    {
        var features = new FeatureCollection(initialCapacity: 12);
        features.Set<IConnectionIdFeature>(this);
        features.Set<IConnectionItemsFeature>(this);
        features.Set<IConnectionTransportFeature>(this);
        features.Set<IConnectionLifetimeFeature>(this);
        features.Set<IConnectionEndPointFeature>(this);
        features.Set<IConnectionSocketFeature>(this);
        features.Set<IMemoryPoolFeature>(this);
        return features;
    }
}
