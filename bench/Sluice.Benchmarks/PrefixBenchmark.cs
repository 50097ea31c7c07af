using System.Diagnostics;
using System.Globalization;

namespace Sluice.Benchmarks;

/// <summary>
/// What prompts have in common, beside llama-server with its own prompt cache, over HTTP with the same client: the second turn of a chat whose
/// first has a thousand tokens, eight clients with one system prompt at once, and three chats beside a prompt of 4,000 tokens. Each round has
/// processes of its own and words that none had before.
/// </summary>
internal static class PrefixBenchmark
{
    private const int Clients = 8;
    private const int Chats = 3;
    private const int ChatTokens = 3000;

    private static readonly string[] s_words =
    [
        "river", "stone", "garden", "winter", "market", "letter", "bridge", "copper", "signal", "harbour", "orange", "window", "forest", "engine", "silver",
        "candle", "valley", "planet", "morning", "paper", "island", "mirror", "teacher", "summer",
    ];

    public static async Task<int> RunAsync(Arguments arguments)
    {
        string sluice = arguments.Text("sluice", Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Sluice.Cli/release/sluice")));
        string? llama = arguments.Text("llama", "") is { Length: > 0 } folder ? Peer.Prepare(folder) : null;
        string threads = arguments.Threads.ToString(CultureInfo.InvariantCulture);
        var series = new Series();
        for (int round = 0; round < arguments.Number("rounds", 3); round++)
        {
            Dictionary<string, double> ours = await MeasureAsync(
                port => Peer.Start(sluice, "serve", "--models", Path.GetDirectoryName(arguments.Model)!, "--urls", $"http://127.0.0.1:{port}"), round);
            Dictionary<string, double>? theirs = llama == null ? null : await MeasureAsync(
                port => Peer.Start(
                    Path.Combine(llama, "llama-server"), "-m", arguments.Model, "--port", port.ToString(CultureInfo.InvariantCulture), "-t", threads,
                    "-np", "16", "-c", "32768", "--kv-unified"),
                round);
            foreach ((string row, double value) in ours)
            {
                series.Add(row, value, theirs?[row]);
            }

            Console.Error.WriteLine($"round {round + 1} done");
        }

        series.Print("llama-server", smallerIsBetter: true);
        if (llama != null)
        {
            Directory.Delete(llama, recursive: true);
        }

        return 0;
    }

    private static async Task<Dictionary<string, double>> MeasureAsync(Func<int, Process> start, int seed)
    {
        var random = new Random(seed);
        var rows = new Dictionary<string, double>();
        await using MeasuredServer server = await MeasuredServer.StartAsync(start);
        await server.AskAsync([("user", Words(random, 300))], 64);
        await SecondTurnAsync(server, random, rows);
        await SystemPromptAsync(server, random, rows);
        await GapsAsync(server, random, rows);
        return rows;
    }

    private static async Task SecondTurnAsync(MeasuredServer server, Random random, Dictionary<string, double> rows)
    {
        List<(string, string)> messages = [("user", "Remember these words: " + Words(random, 900))];
        MeasuredStream first = await server.AskAsync(messages, 48);
        messages.AddRange([("assistant", first.Text), ("user", "And now tell me which of them you like best.")]);
        MeasuredStream second = await server.AskAsync(messages, 48);
        rows["first turn, prompt tokens"] = first.PromptTokens;
        rows["first turn, first token, ms"] = first.First;
        rows["second turn, first token, ms"] = second.First;
        rows["second turn / first turn, %"] = 100 * second.First / first.First;
        rows["second turn, prompt tokens computed"] = second.PromptTokens - second.CachedTokens;
    }

    private static async Task SystemPromptAsync(MeasuredServer server, Random random, Dictionary<string, double> rows)
    {
        string system = "You are an assistant who knows these words: " + Words(random, 550);
        MeasuredStream[] streams = await Task.WhenAll(Enumerable.Range(0, Clients).Select(
            i => server.AskAsync([("system", system), ("user", $"What is {17 * i} plus {i + 3}?")], 32)));
        rows["8 clients, one system prompt: mean first token, ms"] = streams.Average(static s => s.First);
        rows["8 clients, one system prompt: last first token, ms"] = streams.Max(static s => s.First);
        rows["8 clients, one system prompt: prompt tokens computed"] = streams.Sum(static s => s.PromptTokens - s.CachedTokens);
    }

    private static async Task GapsAsync(MeasuredServer server, Random random, Dictionary<string, double> rows)
    {
        long start = Stopwatch.GetTimestamp();
        using var enough = new CancellationTokenSource();
        Task<MeasuredStream>[] chats = [.. Enumerable.Range(0, Chats).Select(
            i => server.AskAsync([("user", $"Write a long story about the number {i}: " + Words(random, 60))], ChatTokens, cancellation: enough.Token))];

        // One second until all decode, one to see what their gaps are alone.
        await Task.Delay(TimeSpan.FromSeconds(2));
        double asked = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        MeasuredStream prompt = await server.AskAsync([("user", Words(random, 3800))], 1);
        double answered = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        await enough.CancelAsync();
        MeasuredStream[] streams = await Task.WhenAll(chats);
        double alone = streams.Max(stream => stream.LargestGap(1000, asked - 1));
        double beside = streams.Max(stream => stream.LargestGap(asked, answered));
        rows["long prompt, tokens"] = prompt.PromptTokens;
        rows["3 chats alone: largest gap, ms"] = alone;
        rows["3 chats beside the long prompt: largest gap, ms"] = beside;
        rows["what the long prompt adds to the gap, ms"] = beside - alone;
        rows["first token of the long prompt, ms"] = prompt.First;
    }

    private static string Words(Random random, int count) => string.Join(' ', Enumerable.Range(0, count).Select(_ => s_words[random.Next(s_words.Length)]));
}
