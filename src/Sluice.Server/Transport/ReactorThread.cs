namespace Sluice.Server.Transport;

/// <summary>What is long, or may wait, does not belong on a reactor's thread.</summary>
internal static class ReactorThread
{
    /// <summary>Whether there are reactors here.</summary>
    public static bool Exists { get; } = OperatingSystem.IsLinux() && nint.Size == 8;

    /// <summary>Goes on in the thread pool where this is a reactor's thread, and at once elsewhere.</summary>
    public static async ValueTask LeaveAsync()
    {
        if (OperatingSystem.IsLinux() && Reactor.Current is not null) await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
    }
}
