namespace Sluice.Server.Configuration;

/// <summary>Which texts of prompts and answers go into spans. Without it none does.</summary>
/// <param name="Projects">Ids of the projects whose requests may be captured; others never are.</param>
public sealed record ContentOptions(IReadOnlyList<string> Projects)
{
    /// <summary>Bytes of one attribute where nothing else is said: 64 KiB.</summary>
    public const int DefaultBytesMax = 64 << 10;

    /// <summary>Share of their requests, above 0 and at most 1. The default value is 1.</summary>
    public double Sample { get; init; } = 1;

    /// <summary>Most bytes of one attribute: texts are cut at it. The default value is <see cref="DefaultBytesMax"/>.</summary>
    public int BytesMax { get; init; } = DefaultBytesMax;
}
