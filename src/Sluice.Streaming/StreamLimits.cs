namespace Sluice.Streaming;

/// <summary>Every bound of the stream logs, with its unit and reason. The defaults suit a hub with thousands of streams.</summary>
public sealed record StreamLimits
{
    /// <summary>
    /// Bytes of events one log keeps. Beyond it the oldest events go, and a reader that still wanted them has lost its place.
    /// The newest event always stays, whatever its size. The default value is 1 MiB: about 4,000 text chunks.
    /// </summary>
    public int HotBytes { get; init; } = 1 << 20;

    /// <summary>Bytes of one pooled segment of a log. The default value is 8 KiB: 30 text chunks, and little waste for a short answer.</summary>
    public int SegmentBytes { get; init; } = 8 << 10;

    /// <summary>
    /// Bytes of an array that ended logs share. The default value is 1 MiB: some forty answers of 100 chunks, far above the size (85,000 bytes) from which on the garbage
    /// collector moves nothing, and 1/64 of what is kept.
    /// </summary>
    public int PackedBlockBytes { get; init; } = 1 << 20;

    /// <summary>Such arrays that wait for another use. The default value is 2: where answers come and go one is filled while another one is emptied.</summary>
    public int FreeBlocksMax { get; init; } = 2;

    /// <summary>Readers attached to one log at a time. The default value is 16: every append looks at each of them.</summary>
    public int ReadersPerLogMax { get; init; } = 16;

    /// <summary>
    /// Generations known at a time, ended ones included, which give way. The default value is 10,000: running with full logs that is 10 GiB, with
    /// usual ones 200 MiB. A log with a bound of its own may keep more.
    /// </summary>
    public int GenerationsMax { get; init; } = 10_000;
}
