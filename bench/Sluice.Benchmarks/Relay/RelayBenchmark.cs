using System.Diagnostics;
using System.Globalization;

namespace Sluice.Benchmarks.Relay;

/// <summary>
/// What a relay costs: the same server and the same client, with nothing, nginx, Portkey or Sluice between them, in turn. Processor time is that of the
/// relay's process; times to the first token are what is added to the direct way in the same round.
/// </summary>
internal static class RelayBenchmark
{
    /// <summary>Name of the environment variable by which what waits for a socket runs on the thread that hears of it.</summary>
    public const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    private const int Clients = 32;
    private const int ReadingStreams = 512;
    private const int Aborts = 40;

    private static readonly string[] s_rows =
    [
        "added first token, 1 client, p50, ms", "added first token, 1 client, p99, ms",
        $"added first token, {Clients} clients, p50, ms", $"added first token, {Clients} clients, p99, ms",
        "CPU per chunk, 200 unpaced, µs", "CPU per chunk, 50 paced by 5 ms, µs",
        $"longest gap added, {ReadingStreams} streams at 20 tokens/s, ms", $"CPU per chunk, {ReadingStreams} streams, µs", $"memory with {ReadingStreams} streams, MB",
        "client left to upstream aborted, p50, ms", "client left to upstream aborted, max, ms",
    ];

    public static async Task<int> RunAsync(Arguments arguments)
    {
        // What is measured is not to wait for a thread of the measuring process; nothing here blocks one. Read when the first socket is opened.
        Environment.SetEnvironmentVariable(InlineCompletions, "1");
        var sluice = arguments.Text("sluice", Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Sluice.Cli/release/sluice")));
        var folder = Directory.CreateTempSubdirectory("sluice-relay-").FullName;
        var results = new Dictionary<string, List<double[]>>();
        var (part, open, stopped) = (arguments.Text("part", "all"), arguments.Number("streams", 2000), arguments.Number("stopped", 1000));
        string[] rows = [.. part == "many" ? [] : s_rows, .. part == "one" ? [] : ManyStreams.RowsOf(open, stopped)];
        for (var round = 0; round < arguments.Number("rounds", 3); round++)
        {
            using var upstream = new RelayUpstream();
            Func<Task<RelayTarget>> start = () => Task.FromResult(RelayTarget.Direct(upstream.Port));
            var isAlone = arguments.Text("peers", "on") == "off";
            var direct = isAlone ? null : await MeasureAllAsync(null, 1);
            start = () => RelayTarget.StartNginxAsync(arguments.Text("nginx", "nginx"), upstream.Port, folder);
            if (!isAlone) await AddAsync("nginx", 1);
            if (arguments.Text("portkey", "") is { Length: > 0 } portkey)
            {
                start = () => RelayTarget.StartPortkeyAsync(arguments.Text("node", "node"), portkey, upstream.Port);
                await AddAsync("Portkey", 10);
            }
            foreach (var store in arguments.Text("stores", "").Split(',', StringSplitOptions.RemoveEmptyEntries).Prepend("memory"))
            {
                start = () => RelayTarget.StartSluiceAsync(sluice, upstream.Port, folder, store);
                await AddAsync(store == "memory" ? "Sluice" : $"Sluice, store {store}", 1);
            }
            Console.Error.WriteLine($"round {round + 1} done");

            async Task AddAsync(string name, int fewer)
            {
                if (!results.TryGetValue(name, out var measured)) results[name] = measured = [];
                measured.Add(await MeasureAllAsync(direct, fewer));
            }

            async Task<double[]> MeasureAllAsync(double[]? direct, int fewer)
            {
                double[] measured = [];
                if (part != "many")
                {
                    await using var target = await start();
                    measured = await MeasureAsync(target, upstream, direct, fewer);
                }
                return part == "one" ? measured : [.. measured, .. await ManyStreams.MeasureAsync(start, direct?[measured.Length..], open, stopped)];
            }
        }
        Directory.Delete(folder, recursive: true);
        Print(rows, results);
        return 0;
    }

    // In the order of s_rows. For the direct way, first tokens and gaps are what they are, and the rest is 0.
    private static async Task<double[]> MeasureAsync(RelayTarget target, RelayUpstream upstream, double[]? direct, int fewer)
    {
        var rows = new double[s_rows.Length];
        // A relay that compiles itself while it runs is measured when it has done so.
        await LoadAsync(target, RelayLoad.Unpaced, Clients, 60 / fewer);
        await LoadAsync(target, RelayLoad.Paced, Clients, 12);
        var one = await LoadAsync(target, RelayLoad.First, 1, 1000 / fewer);
        (rows[0], rows[1]) = (Percentile(one, 0.5), Percentile(one, 0.99));
        var many = await LoadAsync(target, RelayLoad.First, Clients, 100 / fewer);
        (rows[2], rows[3]) = (Percentile(many, 0.5), Percentile(many, 0.99));
        if (!target.IsDirect)
        {
            for (var i = 0; i < 4; i++) rows[i] -= direct?[i] ?? 0;
            rows[4] = await CostAsync(target, RelayLoad.Unpaced, Clients, 60 / fewer);
            rows[5] = await CostAsync(target, RelayLoad.Paced, Clients, 12);
        }
        var before = target.IsDirect ? default : target.Processor;
        var watching = WatchMemoryAsync(target, !target.IsDirect);
        var gaps = await Task.WhenAll(Enumerable.Range(0, ReadingStreams).Select(async _ =>
        {
            using var connection = new RelayConnection(target);
            return (await connection.AskAsync(RelayLoad.Reading)).LongestGap;
        }));
        rows[6] = gaps.Max() - (direct?[6] ?? 0);
        if (target.IsDirect) return rows;
        rows[7] = (target.Processor - before).TotalMicroseconds / (ReadingStreams * RelayLoad.Reading.ChunkCount);
        rows[8] = await watching;
        var aborts = await AbortAsync(target, upstream);
        (rows[9], rows[10]) = (Percentile(aborts, 0.5), aborts.Max());
        return rows;
    }

    private static async Task<double> WatchMemoryAsync(RelayTarget target, bool isProcess)
    {
        await Task.Delay(TimeSpan.FromSeconds(4));
        return isProcess ? target.Megabytes : 0;
    }

    public static async Task<List<double>> LoadAsync(RelayTarget target, RelayLoad workload, int clients, int requests)
    {
        var times = await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            using var connection = new RelayConnection(target);
            var own = new List<double>();
            for (var i = 0; i < int.Max(1, requests); i++) own.Add((await connection.AskAsync(workload)).First);
            return own;
        }));
        return [.. times.SelectMany(own => own)];
    }

    private static async Task<double> CostAsync(RelayTarget target, RelayLoad workload, int clients, int requests)
    {
        var before = target.Processor;
        await LoadAsync(target, workload, clients, requests);
        return (target.Processor - before).TotalMicroseconds / (clients * (double)requests * workload.ChunkCount);
    }

    // Some never tell their upstream: then the patience is what stands there.
    private static async Task<List<double>> AbortAsync(RelayTarget target, RelayUpstream upstream)
    {
        var patience = TimeSpan.FromSeconds(10);
        var times = new List<double>();
        for (var i = 0; i < Aborts; i++)
        {
            var tag = string.Create(CultureInfo.InvariantCulture, $"{target.Name}-{i}");
            using var connection = new RelayConnection(target);
            var left = await connection.LeaveAsync(tag);
            var aborted = upstream.WhenAbortedAsync(tag);
            await Task.WhenAny(aborted, Task.Delay(patience));
            if (!aborted.IsCompleted) return [patience.TotalMilliseconds];
            times.Add(Stopwatch.GetElapsedTime(left, await aborted).TotalMilliseconds);
        }
        return times;
    }

    public static double Percentile(List<double> values, double quantile)
    {
        var sorted = values.Order().ToArray();
        return sorted[(int)(quantile * (sorted.Length - 1))];
    }

    private static void Print(string[] names, Dictionary<string, List<double[]>> results)
    {
        var others = results.Keys.Where(static name => name == "nginx" || name.StartsWith("Sluice,", StringComparison.Ordinal)).ToArray();
        Console.WriteLine($"| row | {string.Join(" | ", results.Keys)} | {string.Join(" | ", others.Select(static name => $"Sluice / {name}, by round"))} |");
        Console.WriteLine($"|---|{string.Concat(results.Keys.Concat(others).Select(_ => "---|"))}");
        for (var row = 0; row < names.Length; row++)
        {
            var cells = results.Values.Select(rounds => Format([.. rounds.Select(values => values[row])]));
            var ratios = others.Select(name => Format([.. results["Sluice"].Zip(results[name], (ours, theirs) => ours[row] / theirs[row])]));
            Console.WriteLine($"| {names[row]} | {string.Join(" | ", cells)} | {string.Join(" | ", ratios)} |");
        }
    }

    private static string Format(List<double> values) => FormattableString.Invariant($"{Percentile(values, 0.5):0.00} ({values.Min():0.00}-{values.Max():0.00})");
}
