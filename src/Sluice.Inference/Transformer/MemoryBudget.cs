namespace Sluice.Inference.Transformer;

/// <summary>What the machine, or the container, has left.</summary>
internal static class MemoryBudget
{
    /// <summary>Bytes that can still be taken: the limit that the runtime sees, less what it sees in use.</summary>
    public static long FreeBytes()
    {
        GCMemoryInfo memory = GC.GetGCMemoryInfo();
        if (memory.TotalAvailableMemoryBytes == 0)
        {
            return long.MaxValue;
        }

        return Math.Max(0, memory.TotalAvailableMemoryBytes - Math.Max(memory.MemoryLoadBytes, Environment.WorkingSet));
    }
}
