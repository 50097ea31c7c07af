using System.Net;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Sluice.Server.Endpoints;

/// <summary>
/// Accepts no connection before there is a file for it: others wait in the system's queue. <see cref="ConnectionBound"/> sees to it that
/// places become free; but a burst is accepted faster than connections close, and a process without files dies.
/// </summary>
/// <param name="transports">Listen; the first that can have an address does.</param>
/// <param name="bound">How many connections there may be.</param>
internal sealed class BoundedListenerFactory(IReadOnlyList<IConnectionListenerFactory> transports, ConnectionBound bound)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector, IDisposable
{
    // Those that are being closed or refused.
    public const int Slack = 8;

    private readonly SemaphoreSlim _places = new(bound.CountMax + Slack);

    public bool CanBind(EndPoint endpoint) => Find(endpoint) is not null;

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(await Find(endpoint)!.BindAsync(endpoint, cancellationToken), _places);

    public void Dispose() => _places.Dispose();

    private IConnectionListenerFactory? Find(EndPoint endpoint) =>
        transports.FirstOrDefault(transport => transport is not IConnectionListenerFactorySelector selector || selector.CanBind(endpoint));

    private sealed class Listener(IConnectionListener sockets, SemaphoreSlim places) : IConnectionListener
    {
        private readonly CancellationTokenSource _unbound = new();

        public EndPoint EndPoint => sockets.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            try
            {
                await places.WaitAsync(_unbound.Token);
            }
            catch (OperationCanceledException)
            {
                return null;
            }
            ConnectionContext? connection = null;
            try
            {
                connection = await sockets.AcceptAsync(cancellationToken);
            }
            finally
            {
                if (connection is null) places.Release();
            }
            return connection is null ? null : new Connection(connection, places);
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await _unbound.CancelAsync();
            await sockets.UnbindAsync(cancellationToken);
        }

        public ValueTask DisposeAsync()
        {
            _unbound.Dispose();
            return sockets.DisposeAsync();
        }
    }

    // The same connection, which says when it is closed.
    private sealed class Connection(ConnectionContext socket, SemaphoreSlim places) : ConnectionContext
    {
        private int _isDisposed;

        public override string ConnectionId
        {
            get => socket.ConnectionId;
            set => socket.ConnectionId = value;
        }

        public override IFeatureCollection Features => socket.Features;

        public override IDictionary<object, object?> Items
        {
            get => socket.Items;
            set => socket.Items = value;
        }

        public override IDuplexPipe Transport
        {
            get => socket.Transport;
            set => socket.Transport = value;
        }

        public override CancellationToken ConnectionClosed
        {
            get => socket.ConnectionClosed;
            set => socket.ConnectionClosed = value;
        }

        public override EndPoint? LocalEndPoint
        {
            get => socket.LocalEndPoint;
            set => socket.LocalEndPoint = value;
        }

        public override EndPoint? RemoteEndPoint
        {
            get => socket.RemoteEndPoint;
            set => socket.RemoteEndPoint = value;
        }

        public override void Abort() => socket.Abort();

        public override void Abort(ConnectionAbortedException abortReason) => socket.Abort(abortReason);

        public override async ValueTask DisposeAsync()
        {
            await socket.DisposeAsync();
            if (Interlocked.Exchange(ref _isDisposed, 1) == 0) places.Release();
            await base.DisposeAsync();
        }
    }
}
