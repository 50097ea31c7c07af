using System.Diagnostics;
using System.Globalization;

namespace Sluice.Benchmarks;

/// <summary>
/// What a user waits for after typing the command: from process start until a hub without a local model is ready, and until the first token of the
/// shipped model, for one or more builds of the program and llama-server in turn. Files come from a warm page cache; the first round isn't counted.
/// </summary>
internal static class StartBenchmark
{
    private const string ReadyRow = "no model: ready";
    private const string TokenRow = "model: first token";

    public static async Task<int> RunAsync(Arguments arguments)
    {
        string[] programs = arguments.Text("sluice", Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Sluice.Cli/release/sluice"))).Split(',');
        string llama = Peer.Prepare(arguments.Text("llama", "../shared/peers/llama.cpp"));
        string configuration = Path.Combine(llama, "no-model.yaml");
        // Nothing listens there, and nobody asks it.
        await File.WriteAllTextAsync(configuration, """
            models:
              - id: elsewhere
                upstreams: [{url: "http://127.0.0.1:9/v1"}]
            """);
        var rows = new Dictionary<(string Row, string Program), List<double>>();
        int rounds = arguments.Number("rounds", 10);
        for (int round = 0; round <= rounds; round++)
        {
            var measured = new Dictionary<(string, string), double>();
            foreach (string program in programs)
            {
                measured[(ReadyRow, program)] = await TimeAsync(
                    start => MeasuredServer.StartAsync(start, "/readyz"), port => Peer.Start(program, "serve", "--config", configuration, "--urls", Url(port)));
                measured[(TokenRow, program)] = await TimeAsync(
                    MeasuredServer.StartAsync, port => Peer.Start(program, "serve", "--models", Path.GetDirectoryName(arguments.Model)!, "--urls", Url(port)));
            }

            measured[(TokenRow, "llama-server")] = await TimeAsync(MeasuredServer.StartAsync, port => Peer.Start(
                Path.Combine(llama, "llama-server"),
                "-m", arguments.Model, "--port", port.ToString(CultureInfo.InvariantCulture), "-t", arguments.Threads.ToString(CultureInfo.InvariantCulture)));
            foreach (var (row, milliseconds) in measured)
            {
                if (round > 0)
                {
                    (rows.TryGetValue(row, out List<double>? list) ? list : rows[row] = []).Add(milliseconds);
                }
            }

            Console.Error.WriteLine($"round {round} of {rounds} done");
        }

        Print(rows);
        Directory.Delete(llama, recursive: true);
        return 0;
    }

    private static string Url(int port) => $"http://127.0.0.1:{port}";

    private static async Task<double> TimeAsync(Func<Func<int, Process>, Task<MeasuredServer>> ready, Func<int, Process> start)
    {
        long begin = 0;
        await using MeasuredServer server = await ready(port =>
        {
            begin = Stopwatch.GetTimestamp();
            return start(port);
        });
        return Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
    }

    private static void Print(Dictionary<(string Row, string Program), List<double>> rows)
    {
        Console.WriteLine("| row, ms | program | median | range |");
        Console.WriteLine("|---|---|---|---|");
        foreach (((string row, string program), List<double> values) in rows.OrderBy(static pair => pair.Key.Row))
        {
            values.Sort();
            double median = (values[(values.Count - 1) / 2] + values[values.Count / 2]) / 2;
            Console.WriteLine(FormattableString.Invariant($"| {row} | {program} | {median:F0} | {values[0]:F0}-{values[^1]:F0} |"));
        }
    }
}
