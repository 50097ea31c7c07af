using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sluice.Benchmarks;

/// <summary>
/// Both servers over HTTP with the same client: time from process start to the first token, time to the first token of a short chat on a warm
/// server (each time another question, so that no cache answers), and tokens/s of 1, 4 and 16 clients.
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
        return 0;
    }

    private static async Task<Dictionary<string, double>> MeasureAsync(Func<int, Process> start)
    {
        var rows = new Dictionary<string, double>();
        int port = FreePort();
        long begin = Stopwatch.GetTimestamp();
        using Process process = start(port);
        process.OutputDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        try
        {
            using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromMinutes(2) };
            while (!(await StreamAsync(client, "Hello", 1)).Ok)
            {
                await Task.Delay(5);
            }

            rows["process start to first token, ms"] = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            await StreamAsync(client, "Warm up with a longer answer, please.", 64);
            var first = new List<double>();
            for (int i = 0; i < WarmRequests; i++)
            {
                first.Add((await StreamAsync(client, $"What is {17 * i} plus {i + 3}?", 4)).FirstMilliseconds);
            }

            first.Sort();
            rows["first token of a short chat, warm, p50, ms"] = first[first.Count / 2];
            rows["first token of a short chat, warm, max, ms"] = first[^1];
            foreach (int streams in EngineBenchmark.StreamCounts)
            {
                long from = Stopwatch.GetTimestamp();
                var results = await Task.WhenAll(Enumerable.Range(0, streams).Select(
                    i => StreamAsync(client, $"Write a long story about the number {i} and its friends.", StreamTokens)));
                rows[$"{streams} clients, tokens/s"] = results.Sum(static r => r.Tokens) / Stopwatch.GetElapsedTime(from).TotalSeconds;
            }

            foreach (int streams in SchemaStreamCounts)
            {
                // The first answer pays for compiling; every further one is what a service sees.
                await StreamAsync(client, "Describe a town.", StreamTokens, Schema);
                long from = Stopwatch.GetTimestamp();
                var results = await Task.WhenAll(Enumerable.Range(0, streams).Select(
                    i => StreamAsync(client, $"Describe the town number {i} and its people.", StreamTokens, Schema)));
                rows[$"{streams} clients by a JSON schema, tokens/s"] = results.Sum(static r => r.Tokens) / Stopwatch.GetElapsedTime(from).TotalSeconds;
            }
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
        }

        return rows;
    }

    private static async Task<(bool Ok, double FirstMilliseconds, int Tokens)> StreamAsync(HttpClient client, string text, int maxTokens, string more = "")
    {
        string body = $$"""
            {"model":"smollm2-135m-instruct","stream":true,"max_tokens":{{maxTokens}},"temperature":0,"stream_options":{"include_usage":true},
             "logit_bias":{"2":-100},"messages":[{"role":"user","content":"{{text}}"}]{{more}}}
            """;
        long start = Stopwatch.GetTimestamp();
        double first = 0;
        int tokens = 0;
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
            {
                Content = new StringContent(body, Encoding.UTF8, "application/json"),
            };
            using HttpResponseMessage response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                return default;
            }

            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            while (await reader.ReadLineAsync() is { } line)
            {
                if (first == 0 && line.Contains("\"content\":\"", StringComparison.Ordinal) && !line.Contains("\"content\":\"\"", StringComparison.Ordinal))
                {
                    first = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                }

                int at = line.IndexOf("\"completion_tokens\":", StringComparison.Ordinal);
                if (at >= 0)
                {
                    string digits = new([.. line[(at + 20)..].TakeWhile(char.IsAsciiDigit)]);
                    tokens = int.Parse(digits, CultureInfo.InvariantCulture);
                }
            }

            return (true, first, tokens);
        }
        catch (HttpRequestException)
        {
            return default;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
