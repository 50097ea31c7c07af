namespace Sluice.Server.Configuration;

/// <summary>A server that the hub calls before an answer or after it.</summary>
/// <param name="Url">Where the hub posts to: <c>http</c> or <c>https</c>.</param>
public sealed record HookOptions(string Url)
{
    /// <summary>Longest <see cref="Timeout"/>: clients give up not much later.</summary>
    public static readonly TimeSpan TimeoutMax = TimeSpan.FromMinutes(1);

    /// <summary>Sent as a bearer; never shown. The default value, null, sends none.</summary>
    public string? ApiKey { get; init; }

    /// <summary>For the whole call, its reply included. The default value is 2 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Without a valid reply; counts only before an answer. The default value is <see cref="HookFailure.Refuse"/>.</summary>
    public HookFailure OnFailure { get; init; }

    /// <summary>
    /// For applications: takes the calls in place of the network, such as one that answers within the process. It is the application's,
    /// which disposes it. The default value is null.
    /// </summary>
    public HttpMessageHandler? Handler { get; init; }

    /// <summary>Without the key, which is a secret.</summary>
    public override string ToString() => Url;
}
