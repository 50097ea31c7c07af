namespace Sluice.Benchmarks.Relay;

/// <summary>An answer to be relayed.</summary>
/// <param name="Name">The word of a request that asks for it.</param>
/// <param name="ChunkCount">Pieces of text.</param>
/// <param name="Apart">Time between two of them.</param>
internal sealed record RelayLoad(string Name, int ChunkCount, TimeSpan Apart)
{
    public static RelayLoad First { get; } = new("work-first", 1, default);

    public static RelayLoad Unpaced { get; } = new("work-unpaced", 200, default);

    public static RelayLoad Paced { get; } = new("work-paced", 50, TimeSpan.FromMilliseconds(5));

    /// <summary>Of many at a time: 20 tokens a second, as a person reads.</summary>
    public static RelayLoad Reading { get; } = new("work-reading", 100, TimeSpan.FromMilliseconds(50));

    /// <summary>Of thousands at a time: the same pace, each open for six seconds.</summary>
    public static RelayLoad Many { get; } = new("work-many", 120, TimeSpan.FromMilliseconds(50));

    /// <summary>For readers that don't read: 120 kB at once.</summary>
    public static RelayLoad Flood { get; } = new("work-flood", 500, default);

    public static RelayLoad Endless { get; } = new("work-endless", int.MaxValue, TimeSpan.FromMilliseconds(10));

    public bool IsEndless => ChunkCount == int.MaxValue;

    public static RelayLoad Find(string body) =>
        Array.Find([Unpaced, Paced, Reading, Many, Flood, Endless, First], workload => body.Contains(workload.Name, StringComparison.Ordinal))
        ?? throw new ArgumentException("The request names no workload.", nameof(body));
}
