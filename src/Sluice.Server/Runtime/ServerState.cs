using Microsoft.Extensions.Hosting;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Runtime;

/// <summary>Knows that the hub stops, in two steps: it takes no more requests, and it ends what still runs.</summary>
internal sealed class ServerState : IDisposable
{
    private readonly CancellationTokenRegistration _registration;
    private int _isStopping;
    private int _isEnding;
    private int _isLeading;

    public ServerState(IHostApplicationLifetime lifetime) => _registration = lifetime.ApplicationStopping.Register(() => Interlocked.Exchange(ref _isStopping, 1));

    /// <summary>What a request gets that comes when the hub stops, or is cut off by it.</summary>
    public static ApiError StoppingError { get; } = ApiErrors.ServerStopping(TimeSpan.FromSeconds(1));

    /// <summary>Whether the hub has been told to stop. What runs goes on, and what there is can be read.</summary>
    public bool IsStopping => Interlocked.CompareExchange(ref _isStopping, 0, 0) != 0;

    /// <summary>Whether new requests are refused: at once when the hub stops, unless it is one of several.</summary>
    public bool IsRefusing => IsStopping && Interlocked.CompareExchange(ref _isLeading, 0, 0) == 0;

    /// <summary>Whether new requests are served for a while when the hub stops. Whoever spreads them over several hubs learns of it seconds later.</summary>
    public bool IsLeading { set => Interlocked.Exchange(ref _isLeading, value ? 1 : 0); }

    /// <summary>
    /// Whether what runs is being ended. A full fence, on both sides: who reads false has put what it created into the table before those that are ended
    /// are looked up.
    /// </summary>
    public bool IsEnding => Interlocked.CompareExchange(ref _isEnding, 0, 0) != 0;

    /// <summary>From now on <see cref="IsEnding"/>.</summary>
    public void SetEnding() => Interlocked.Exchange(ref _isEnding, 1);

    public void Dispose() => _registration.Dispose();
}
