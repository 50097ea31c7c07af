using System.Diagnostics.CodeAnalysis;
using Sluice.Server.Runtime;

namespace Sluice.Server.Transport;

/// <summary>The idle connections to one server. Those of a reactor are used again by that reactor, the last one first.</summary>
internal sealed class WirePool : IDisposable
{
    private readonly string _host;
    private readonly int _port;
    private readonly TimeSpan _connect;
    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly bool _usesReactor;
    private readonly ITimer _timer;

    // Guards all below.
    private readonly Lock _lock = new();
    private readonly List<(Wire Wire, long Since)>[] _shelves;
    private readonly Dictionary<Wire, long> _born = [];
    private bool _isSweeping;
    private bool _isDisposed;

    public WirePool(string host, int port, TimeSpan connect, Limits limits, TimeProvider time, bool usesReactor)
    {
        (_host, _port, _connect, _limits, _time, _usesReactor) = (host, port, connect, limits, time, usesReactor);
        _shelves = new List<(Wire, long)>[usesReactor && OperatingSystem.IsLinux() ? Reactor.Count + 1 : 1];
        for (var i = 0; i < _shelves.Length; i++) _shelves[i] = [];
        _timer = time.CreateTimer(static state => ((WirePool)state!).Sweep(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>An idle connection that the server has not closed; null where there is none.</summary>
    public Wire? TryTake()
    {
        // On another thread any shelf will do: the bytes go to a reactor's thread whichever it is.
        var own = _usesReactor && OperatingSystem.IsLinux() && Reactor.Current is { } current ? current.Index + 1 : -1;
        while (TryPop(own, out var wire))
        {
            if (wire.IsQuiet()) return wire;
            Close(wire);
        }
        return null;
    }

    /// <summary>Opens a connection.</summary>
    /// <exception cref="IOException">The server can't be reached.</exception>
    /// <exception cref="OperationCanceledException">It was canceled, or took too long.</exception>
    public async Task<Wire> ConnectAsync(CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (_connect != Timeout.InfiniteTimeSpan) patience.CancelAfter(_connect);
        Wire wire;
        try
        {
            wire = await Wire.ConnectAsync(_host, _port, _usesReactor, patience.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException && patience.IsCancellationRequested)
        {
            throw new OperationCanceledException("The connection took too long, or is not wanted any more.", exception, cancellation.IsCancellationRequested ? cancellation : patience.Token);
        }
        lock (_lock) _born[wire] = _time.GetTimestamp();
        return wire;
    }

    /// <summary>Takes a connection back that can serve again.</summary>
    public void Return(Wire wire)
    {
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            if (!_isDisposed && _time.GetElapsedTime(_born[wire], now) < _limits.UpstreamConnectionLifetime)
            {
                _shelves[wire.Shelf].Add((wire, now));
                if (_isSweeping) return;
                _isSweeping = true;
                _timer.Change(_limits.UpstreamConnectionIdle, Timeout.InfiniteTimeSpan);
                return;
            }
        }
        Close(wire);
    }

    /// <summary>Closes a connection.</summary>
    public void Close(Wire wire)
    {
        lock (_lock) _born.Remove(wire);
        wire.Dispose();
    }

    public void Dispose()
    {
        List<Wire> idle = [];
        lock (_lock)
        {
            _isDisposed = true;
            foreach (var shelf in _shelves)
            {
                idle.AddRange(shelf.Select(static entry => entry.Wire));
                shelf.Clear();
            }
        }
        _timer.Dispose();
        idle.ForEach(Close);
    }

    private bool TryPop(int own, [NotNullWhen(true)] out Wire? wire)
    {
        lock (_lock)
        {
            var from = own >= 0 ? own : 0;
            var to = own >= 0 ? own + 1 : _shelves.Length;
            for (var i = from; i < to; i++)
            {
                if (_shelves[i] is not [.., var (last, _)] shelf) continue;
                shelf.RemoveAt(shelf.Count - 1);
                wire = last;
                return true;
            }
        }
        wire = null;
        return false;
    }

    private void Sweep()
    {
        List<Wire> old = [];
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            foreach (var shelf in _shelves)
            {
                // The oldest stand in front.
                var count = shelf.FindIndex(entry => _time.GetElapsedTime(entry.Since, now) < _limits.UpstreamConnectionIdle);
                if (count < 0) count = shelf.Count;
                old.AddRange(shelf.Take(count).Select(static entry => entry.Wire));
                shelf.RemoveRange(0, count);
            }
            _isSweeping = Array.Exists(_shelves, static shelf => shelf.Count > 0);
            if (_isSweeping && !_isDisposed) _timer.Change(_limits.UpstreamConnectionIdle, Timeout.InfiniteTimeSpan);
        }
        old.ForEach(Close);
    }
}
