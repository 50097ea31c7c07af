namespace Sluice.Server.Routing;

/// <summary>An upstream's key, which all deployments that send it leave alone for a while after it was rejected. Thread-safe.</summary>
/// <param name="time">Clock of the rests.</param>
internal sealed class KeyRest(TimeProvider time)
{
    private long _until;

    /// <summary>Whether it was rejected a short time ago.</summary>
    public bool IsResting => time.GetUtcNow().UtcTicks < Volatile.Read(ref _until);

    /// <summary>It was rejected.</summary>
    public void Begin(TimeSpan rest) => Volatile.Write(ref _until, time.GetUtcNow().UtcTicks + rest.Ticks);
}
