using Sluice.Server.Runtime;

namespace Sluice.Server.Routing;

/// <summary>Where a breaker stands.</summary>
internal enum BreakerState
{
    /// <summary>Requests go to the upstream.</summary>
    Closed = 0,

    /// <summary>Its time is up, or one request probes: the next outcome decides.</summary>
    Probing = 1,

    /// <summary>The upstream is left alone.</summary>
    Open = 2,
}

/// <summary>
/// Leaves an upstream alone that fails again and again: after some faults in a row for a while, then one request probes it, and its
/// outcome closes the breaker or opens it for longer. Thread-safe.
/// </summary>
/// <param name="limits">How many faults, and how long.</param>
/// <param name="time">Clock of the openings.</param>
internal sealed class Breaker(Limits limits, TimeProvider time)
{
    private readonly Lock _lock = new();
    private int _faultCount;
    private int _openingCount;
    private long _openedAt;
    private TimeSpan _openFor;
    private bool _isProbing;

    /// <summary>Whether requests are kept from it at this moment.</summary>
    public bool IsOpen
    {
        get { lock (_lock) return _openFor > TimeSpan.Zero && (_isProbing || time.GetElapsedTime(_openedAt) < _openFor); }
    }

    /// <summary>How long a key is left alone that was refused.</summary>
    public TimeSpan RejectedRest => limits.RejectedRest;

    public BreakerState State
    {
        get
        {
            lock (_lock)
            {
                if (_openFor <= TimeSpan.Zero) return BreakerState.Closed;
                return _isProbing || time.GetElapsedTime(_openedAt) >= _openFor ? BreakerState.Probing : BreakerState.Open;
            }
        }
    }

    /// <summary>Tells that a request goes to it. After an opening the first one is the probe.</summary>
    public void Enter()
    {
        lock (_lock) _isProbing = _openFor > TimeSpan.Zero;
    }

    /// <summary>It has answered, if only with a refusal.</summary>
    public void Succeed()
    {
        lock (_lock)
        {
            _faultCount = _openingCount = 0;
            _openFor = TimeSpan.Zero;
            _isProbing = false;
        }
    }

    /// <summary>It has failed, and the request was not to blame.</summary>
    public void Fail()
    {
        lock (_lock)
        {
            // It began before the opening, and says no more than those that led to it.
            if (_openFor > TimeSpan.Zero && !_isProbing) return;
            _faultCount++;
            if (_faultCount < limits.BreakerFaults) return;
            var doubled = limits.BreakerOpenFirst * Math.Pow(2, int.Min(_openingCount++, 16));
            _openFor = doubled < limits.BreakerOpenMax ? doubled : limits.BreakerOpenMax;
            _openedAt = time.GetTimestamp();
            _isProbing = false;
        }
    }

    /// <summary>Nothing was learned: the client left before there was an outcome. Another request may probe.</summary>
    public void Forget()
    {
        lock (_lock) _isProbing = false;
    }
}
