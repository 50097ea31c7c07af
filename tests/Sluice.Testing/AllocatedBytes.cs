namespace Sluice.Testing;

/// <summary>
/// What code allocates on the calling thread. The runtime itself allocates there now and then, when it compiles a method again or trims a
/// pool, so a budget holds if one of a few rounds keeps it.
/// </summary>
public static class AllocatedBytes
{
    private const int RoundCount = 5;

    /// <summary>Bytes of the cheapest round.</summary>
    public static long Least(Action round)
    {
        ArgumentNullException.ThrowIfNull(round);
        var least = long.MaxValue;
        for (var i = 0; i < RoundCount && least > 0; i++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            round();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
