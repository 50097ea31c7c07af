using System.Net.Sockets;

namespace Sluice.Benchmarks.Relay;

/// <summary>Thousands of streams at reading speed through a relay that has just been started, and some of them beside readers that have stopped.</summary>
internal static class ManyStreams
{
    private const int BesideCount = 100;
    private const int StoppedReceiveBytes = 4 << 10;

    private static readonly TimeSpan s_ramp = TimeSpan.FromSeconds(2);

    /// <param name="open">Streams at a time.</param>
    /// <param name="stopped">Readers that stop.</param>
    public static string[] RowsOf(int open, int stopped) =>
    [
        $"longest gap added, {open} streams at 20 tokens/s, ms", "longest gap added, median of these streams, ms", "of them incomplete", "CPU per chunk, µs", "waits of a thread per chunk",
        "memory while all are open, MB", "memory per open stream, kB",
        $"longest gap added, {BesideCount} streams beside {stopped} readers that stopped, ms", "of them incomplete", "memory per stopped reader, kB",
    ];

    /// <summary>In the order of <see cref="RowsOf"/>; for the direct way gaps are what they are.</summary>
    /// <param name="start">Starts the relay.</param>
    /// <param name="direct">The direct way's rows of the same round; null for itself.</param>
    /// <param name="open">As in <see cref="RowsOf"/>.</param>
    /// <param name="stopped">As in <see cref="RowsOf"/>.</param>
    public static async Task<double[]> MeasureAsync(Func<Task<RelayTarget>> start, double[]? direct, int open, int stopped)
    {
        await using var target = await start();
        double[] rows = [.. await OpenAsync(target, open), .. await StoppedAsync(target, stopped)];
        if (direct is not null) foreach (var row in (int[])[0, 1, 7]) rows[row] -= direct[row];
        return rows;
    }

    private static async Task<double[]> OpenAsync(RelayTarget target, int count)
    {
        await RelayBenchmark.LoadAsync(target, RelayLoad.Paced, 32, 12);
        var (processor, waits, idle) = target.IsDirect ? default : (target.Processor, target.Waits, target.Megabytes);
        var watching = WatchAsync(target);
        var (gaps, incomplete) = await ReadAsync(target, count);
        var chunkCount = (double)count * RelayLoad.Many.ChunkCount;
        var megabytes = await watching;
        return
        [
            gaps.Max(), RelayBenchmark.Percentile(gaps, 0.5), incomplete,
            target.IsDirect ? 0 : (target.Processor - processor).TotalMicroseconds / chunkCount, target.IsDirect ? 0 : (target.Waits - waits) / chunkCount,
            megabytes, (megabytes - idle) * 1000 / count,
        ];
    }

    private static async Task<double[]> StoppedAsync(RelayTarget target, int count)
    {
        var idle = target.IsDirect ? 0 : target.Megabytes;
        var stopped = Enumerable.Range(0, count).Select(_ => new RelayConnection(target, StoppedReceiveBytes)).ToArray();
        foreach (var connections in stopped.Chunk(50)) await Task.WhenAll(connections.Select(static connection => connection.StopAsync(RelayLoad.Flood)));
        var megabytes = target.IsDirect ? 0 : target.Megabytes;
        var (gaps, incomplete) = await ReadAsync(target, BesideCount);
        foreach (var connection in stopped) connection.Dispose();
        return [gaps.Max(), incomplete, (megabytes - idle) * 1000 / count];
    }

    // The longest gap of each stream, and how many did not come to their end.
    private static async Task<(List<double> Gaps, int Incomplete)> ReadAsync(RelayTarget target, int count)
    {
        var incomplete = 0;
        var gaps = await Task.WhenAll(Enumerable.Range(0, count).Select(async i =>
        {
            await Task.Delay(s_ramp * i / count);
            try
            {
                using var connection = new RelayConnection(target);
                return (await connection.AskAsync(RelayLoad.Many)).LongestGap;
            }
            catch (Exception exception) when (exception is InvalidDataException or SocketException)
            {
                if (Interlocked.Increment(ref incomplete) == 1) Console.Error.WriteLine(exception.Message);
                return 0;
            }
        }));
        return ([.. gaps], incomplete);
    }

    // When all are open, and about half of what they say has been said.
    private static async Task<double> WatchAsync(RelayTarget target)
    {
        await Task.Delay(s_ramp + (RelayLoad.Many.ChunkCount * RelayLoad.Many.Apart) / 2);
        return target.IsDirect ? 0 : target.Megabytes;
    }
}
