using System.Diagnostics;
using System.Globalization;

namespace Sluice.Benchmarks;

/// <summary>
/// Both servers over HTTP with the same client: time from process start to the first token, time to the first token of a short chat on a warm
/// server (each time another question, so that no cache answers), tokens/s of 1, 4 and 16 clients, and the times between a client's tokens.
/// </summary>
internal static class HttpBenchmark
{
    private const int WarmRequests = 15;
    private const int StreamTokens = 96;

    // Names that are forced, a choice, a number, and texts of some length.
    private const string Schema = """
        ,"response_format":{"type":"json_schema","json_schema":{"name":"town","strict":true,"schema":{"type":"object","additionalProperties":false,
          "properties":{"name":{"type":"string"},"size":{"type":"string","enum":["village","town","city"]},"inhabitants":{"type":"integer"},
            "sights":{"type":"array","minItems":3,"items":{"type":"object","additionalProperties":false,
              "properties":{"name":{"type":"string"},"description":{"type":"string","minLength":40}},"required":["name","description"]}}},
          "required":["name","size","inhabitants","sights"]}}}
        """;

    private static readonly int[] SchemaStreamCounts = [1, 4];

    public static async Task<int> RunAsync(Arguments arguments)
    {
        string llama = Peer.Prepare(arguments.Text("llama", "../shared/peers/llama.cpp"));
        string sluice = arguments.Text("sluice", Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Sluice.Cli/release/sluice")));
        string threads = arguments.Threads.ToString(CultureInfo.InvariantCulture);
        using var neighbours = new CancellationTokenSource();
        for (int i = 0; i < arguments.Number("busy", 0); i++)
        {
            // What a machine of its own never shows: other programs want the processors as well.
            new Thread(() =>
            {
                while (!neighbours.IsCancellationRequested)
                {
                    Thread.SpinWait(1000);
                }
            })
            { IsBackground = true }.Start();
        }

        var times = new Series();
        var rates = new Series();
        for (int round = 0; round < arguments.Number("rounds", 3); round++)
        {
            Dictionary<string, double> ours = await MeasureAsync(
                port => Peer.Start(sluice, "serve", "--urls", $"http://127.0.0.1:{port}"));
            Dictionary<string, double> theirs = await MeasureAsync(port => Peer.Start(
                Path.Combine(llama, "llama-server"),
                "-m", arguments.Model, "--port", port.ToString(CultureInfo.InvariantCulture), "-t", threads, "-np", "16", "-c", "32768"));
            foreach ((string row, double value) in ours)
            {
                (row.EndsWith("ms", StringComparison.Ordinal) ? times : rates).Add(row, value, theirs[row]);
            }

            Console.Error.WriteLine($"round {round + 1} done");
        }

        times.Print("llama-server", smallerIsBetter: true);
        Console.WriteLine();
        rates.Print("llama-server", smallerIsBetter: false);
        Directory.Delete(llama, recursive: true);
        await neighbours.CancelAsync();
        return 0;
    }

    private static async Task<Dictionary<string, double>> MeasureAsync(Func<int, Process> start)
    {
        var rows = new Dictionary<string, double>();
        long begin = Stopwatch.GetTimestamp();
        await using MeasuredServer server = await MeasuredServer.StartAsync(start);
        rows["process start to first token, ms"] = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
        await AskAsync(server, "Warm up with a longer answer, please.", 64);
        var first = new List<double>();
        for (int i = 0; i < WarmRequests; i++)
        {
            first.Add((await AskAsync(server, $"What is {17 * i} plus {i + 3}?", 4)).First);
        }

        first.Sort();
        rows["first token of a short chat, warm, p50, ms"] = first[first.Count / 2];
        rows["first token of a short chat, warm, max, ms"] = first[^1];
        foreach (int streams in (int[])[1, 4, 16])
        {
            (double rate, double[] gaps) = await RateAsync(streams, i => AskAsync(
                server, $"Write a long story about the number {i} and its friends.", StreamTokens));
            rows[$"{streams} clients, tokens/s"] = rate;
            rows[$"{streams} clients, between two tokens, p50, ms"] = gaps[gaps.Length / 2];
            rows[$"{streams} clients, between two tokens, p99, ms"] = gaps[gaps.Length * 99 / 100];
        }

        foreach (int streams in SchemaStreamCounts)
        {
            // The first answer pays for compiling; every further one is what a service sees.
            await AskAsync(server, "Describe a town.", StreamTokens, Schema);
            (rows[$"{streams} clients by a JSON schema, tokens/s"], _) = await RateAsync(streams, i => AskAsync(
                server, $"Describe the town number {i} and its people.", StreamTokens, Schema));
        }

        return rows;
    }

    // The gaps are sorted; pieces of text that arrive together count as a gap of nothing.
    private static async Task<(double Rate, double[] Gaps)> RateAsync(int streams, Func<int, Task<MeasuredStream>> ask)
    {
        long from = Stopwatch.GetTimestamp();
        MeasuredStream[] results = await Task.WhenAll(Enumerable.Range(0, streams).Select(ask));
        double rate = results.Sum(static r => r.CompletionTokens) / Stopwatch.GetElapsedTime(from).TotalSeconds;
        return (rate, [.. results.SelectMany(static r => r.Milliseconds.Zip(r.Milliseconds.Skip(1), static (a, b) => b - a)).Order()]);
    }

    private static Task<MeasuredStream> AskAsync(MeasuredServer server, string text, int maxTokens, string more = "") =>
        server.AskAsync([("user", text)], maxTokens, more);
}
