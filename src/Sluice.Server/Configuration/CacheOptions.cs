namespace Sluice.Server.Configuration;

/// <summary>How a model's answers are given again to requests of the same words.</summary>
/// <param name="Time">How long after an answer.</param>
public sealed record CacheOptions(TimeSpan Time)
{
    /// <summary>
    /// Whether that is so for answers that are drawn by lot too. The default value, false, is those of a temperature of 0 and embeddings.
    /// </summary>
    public bool IncludesSampled { get; init; }

    /// <summary>Whether the keys of a project have caches of their own. The default value, false, is one for a project.</summary>
    public bool IsPerKey { get; init; }
}
