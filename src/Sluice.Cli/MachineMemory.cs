namespace Sluice.Cli;

/// <summary>The memory that a model can have.</summary>
internal static class MachineMemory
{
    /// <summary>Bytes of the machine, or of the container that the process is in.</summary>
    public static long Bytes => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
}
