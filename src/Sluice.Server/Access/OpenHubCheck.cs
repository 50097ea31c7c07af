using Sluice.Server.Configuration;

namespace Sluice.Server.Access;

/// <summary>Whether a hub without keys would stand open to others.</summary>
internal static class OpenHubCheck
{
    /// <summary>One sentence that says why the hub must not start like this; null when it may.</summary>
    /// <param name="listen">Where it would listen.</param>
    /// <param name="hasKeys">Whether API keys are configured.</param>
    /// <param name="isInsecureAllowed">Whether the user said so explicitly: <c>--insecure</c>.</param>
    public static string? FindProblem(IReadOnlyList<ListenAddress> listen, bool hasKeys, bool isInsecureAllowed)
    {
        ArgumentNullException.ThrowIfNull(listen);
        if (hasKeys || isInsecureAllowed || listen.FirstOrDefault(address => !address.IsLoopback) is not { } open) return null;
        return $"{open} can be reached from other machines and no API key is set: set api_keys or SLUICE_API_KEYS, listen on 127.0.0.1, or pass --insecure.";
    }
}
