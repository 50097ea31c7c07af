using System.Globalization;

namespace Sluice.Inference.Transformer;

/// <summary>What the machine, or the container, has left.</summary>
internal static class MemoryBudget
{
    /// <summary>
    /// Bytes that can still be taken: the least of what the runtime's limit, the kernel's estimate (MemAvailable, which counts caches that
    /// can be dropped) and the control group leave.
    /// </summary>
    public static long FreeBytes()
    {
        GCMemoryInfo memory = GC.GetGCMemoryInfo();
        long free = memory.TotalAvailableMemoryBytes > 0
            ? Math.Max(0, memory.TotalAvailableMemoryBytes - Environment.WorkingSet)
            : long.MaxValue;
        if (OperatingSystem.IsLinux())
        {
            free = Math.Min(free, AvailableBytes() ?? long.MaxValue);
            if (ReadNumber("/sys/fs/cgroup/memory.max") is { } limit && ReadNumber("/sys/fs/cgroup/memory.current") is { } used)
            {
                free = Math.Min(free, Math.Max(0, limit - used));
            }
        }

        return free;
    }

    private static long? AvailableBytes()
    {
        const string Prefix = "MemAvailable:";
        try
        {
            string? line = File.ReadLines("/proc/meminfo").FirstOrDefault(static l => l.StartsWith(Prefix, StringComparison.Ordinal));
            string? number = line?[Prefix.Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
            return long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long kibibytes) ? kibibytes * 1024 : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long? ReadNumber(string path)
    {
        try
        {
            return File.Exists(path) && long.TryParse(File.ReadAllText(path).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long value)
                ? value
                : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
