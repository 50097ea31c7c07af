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
            Dictionary<string, double> theirs = Theirs(llama, arguments.Model, threads);
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
            "dotnet", Path.Combine(AppContext.BaseDirectory, "Sluice.Benchmarks.dll"), "engine", "--model", arguments.Model, "--threads", threads);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split('='))
            .ToDictionary(static parts => parts[0], static parts => double.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    // The better of its two benchmarks, row by row.
    private static Dictionary<string, double> Theirs(string llama, string model, string threads)
    {
        var best = new Dictionary<string, double>();
        void Offer(string row, double value) => best[row] = Math.Max(value, best.GetValueOrDefault(row));

        string batched = Peer.Run(
            Path.Combine(llama, "llama-batched-bench"),
            "-m", model, "-t", threads, "-tb", threads, "-c", "16384", "-b", "2048", "-ub", "512", "-npp", "512", "-ntg", "64", "-npl", "1,4,16");
        foreach (string[] cells in Rows(batched))
        {
            // PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG
            if (cells.Length > 8 && int.TryParse(cells[3], out int streams))
            {
                Offer($"decode {streams} tokens/s", double.Parse(cells[8], CultureInfo.InvariantCulture));
                Offer("prompt 512 tokens/s", double.Parse(cells[6], CultureInfo.InvariantCulture));
            }
        }

        string single = Peer.Run(Path.Combine(llama, "llama-bench"), "-m", model, "-t", threads, "-p", "512", "-n", "64", "-r", "3");
        foreach (string[] cells in Rows(single))
        {
            string? row = cells.Contains("pp512") ? "prompt 512 tokens/s" : cells.Contains("tg64") ? "decode 1 tokens/s" : null;
            if (row != null)
            {
                Offer(row, double.Parse(cells[^2].Split(' ')[0], CultureInfo.InvariantCulture));
            }
        }

        return best;
    }

    private static IEnumerable<string[]> Rows(string output) =>
        output.Split('\n').Where(static line => line.StartsWith('|')).Select(static line => line.Split('|', StringSplitOptions.TrimEntries));
}
