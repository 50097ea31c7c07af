using System.Globalization;

namespace Sluice.Benchmarks;

/// <summary>Alternating rounds of this engine and llama.cpp, in fresh processes, on the same file with the same number of threads.</summary>
internal static class PeerBenchmark
{
    public static int Run(Arguments arguments)
    {
        string llama = Peer.Prepare(arguments.Text("llama", "../shared/peers/llama.cpp"));
        string threads = arguments.Threads.ToString(CultureInfo.InvariantCulture);
        var series = new Series();
        for (int round = 0; round < arguments.Number("rounds", 5); round++)
        {
            Dictionary<string, double> ours = Ours(arguments, threads);
            Dictionary<string, double> theirs = Theirs(llama, arguments, threads);
            foreach ((string row, double value) in ours)
            {
                series.Add(row, value, theirs.TryGetValue(row, out double t) ? t : null);
            }

            Console.Error.WriteLine($"round {round + 1} done");
        }

        series.Print("llama.cpp", smallerIsBetter: false);
        Directory.Delete(llama, recursive: true);
        return 0;
    }

    private static Dictionary<string, double> Ours(Arguments arguments, string threads)
    {
        string output = Peer.Run(
            "dotnet", Path.Combine(AppContext.BaseDirectory, "Sluice.Benchmarks.dll"), "engine", "--model", arguments.Model, "--threads", threads,
            "--prompt", Number(EngineBenchmark.Prompt(arguments)), "--context", Number(EngineBenchmark.Context(arguments)),
            "--tokens", Number(EngineBenchmark.Decoded(arguments)), "--streams", string.Join(',', EngineBenchmark.Streams(arguments)));
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split('='))
            .ToDictionary(static parts => parts[0], static parts => double.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    // The better of its two benchmarks, row by row.
    private static Dictionary<string, double> Theirs(string llama, Arguments arguments, string threads)
    {
        var best = new Dictionary<string, double>();
        void Offer(string row, double value) => best[row] = Math.Max(value, best.GetValueOrDefault(row));
        string model = arguments.Model;
        int prompt = EngineBenchmark.Prompt(arguments);
        int context = EngineBenchmark.Context(arguments);
        int decoded = EngineBenchmark.Decoded(arguments);
        int[] streams = EngineBenchmark.Streams(arguments);
        if (streams.Length > 0)
        {
            string batched = Peer.Run(
                Path.Combine(llama, "llama-batched-bench"),
                "-m", model, "-t", threads, "-tb", threads, "-c", Number(Math.Max(streams.Max() * (context + decoded), 1024)), "-b", "2048", "-ub", "512",
                "-npp", Number(context), "-ntg", Number(decoded), "-npl", string.Join(',', streams));
            foreach (string[] cells in Rows(batched))
            {
                // PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG
                if (cells.Length > 8 && int.TryParse(cells[3], out int count))
                {
                    Offer($"decode {count} tokens/s", double.Parse(cells[8], CultureInfo.InvariantCulture));
                    if (context == prompt)
                    {
                        Offer($"prompt {prompt} tokens/s", double.Parse(cells[6], CultureInfo.InvariantCulture));
                    }
                }
            }
        }

        // Its prompts and its one stream once more; without a prompt there only the latter.
        string single = Peer.Run(
            Path.Combine(llama, "llama-bench"), "-m", model, "-t", threads, "-p", Number(prompt), "-n", Number(streams.Contains(1) ? decoded : 0), "-r",
            prompt > 512 ? "1" : "2");
        foreach (string[] cells in Rows(single))
        {
            string? row = cells.Contains($"pp{prompt}") ? $"prompt {prompt} tokens/s" : cells.Contains($"tg{decoded}") ? "decode 1 tokens/s" : null;
            if (row != null)
            {
                Offer(row, double.Parse(cells[^2].Split(' ')[0], CultureInfo.InvariantCulture));
            }
        }

        return best;
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static IEnumerable<string[]> Rows(string output) =>
        output.Split('\n').Where(static line => line.StartsWith('|')).Select(static line => line.Split('|', StringSplitOptions.TrimEntries));
}
