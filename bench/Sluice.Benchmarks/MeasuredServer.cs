using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Sluice.Benchmarks;

/// <summary>A server in a process of its own, ready when its start returns, and streams asked of it.</summary>
internal sealed class MeasuredServer : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    private readonly Process _process;
    private readonly HttpClient _client;

    private MeasuredServer(Process process, HttpClient client) => (_process, _client) = (process, client);

    /// <summary>Starts a server on a free port and waits for its first token.</summary>
    public static Task<MeasuredServer> StartAsync(Func<int, Process> start) =>
        StartAsync(start, static server => server.AskAsync([("user", "Hello")], 1));

    /// <summary>Starts a server on a free port and waits until a path of it answers with success.</summary>
    public static Task<MeasuredServer> StartAsync(Func<int, Process> start, string path) => StartAsync(start, async server =>
    {
        using HttpResponseMessage response = await server._client.GetAsync(new Uri(path, UriKind.Relative));
        response.EnsureSuccessStatusCode();
    });

    private static async Task<MeasuredServer> StartAsync(Func<int, Process> start, Func<MeasuredServer, Task> ready)
    {
        int port;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }

        Process process = start(port);
        process.OutputDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        var server = new MeasuredServer(
            process, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromMinutes(5) });
        long begin = Stopwatch.GetTimestamp();
        while (!process.HasExited && Stopwatch.GetElapsedTime(begin) < s_patience)
        {
            try
            {
                await ready(server);
                return server;
            }
            catch (HttpRequestException)
            {
                await Task.Delay(2);
            }
        }

        process.Kill();
        throw new InvalidOperationException($"{process.StartInfo.FileName} gives no answer.");
    }

    /// <summary>Streams one greedy answer of exactly as many tokens.</summary>
    /// <param name="messages">Roles and texts.</param>
    /// <param name="maxTokens">Tokens of the answer.</param>
    /// <param name="more">Further members of the request, a comma before each.</param>
    /// <param name="cancellation">Ends it early; then what there is is given.</param>
    public async Task<MeasuredStream> AskAsync(
        IReadOnlyList<(string Role, string Text)> messages, int maxTokens, string more = "", CancellationToken cancellation = default)
    {
        string said = string.Join(",", messages.Select(static m => $$"""{"role":"{{m.Role}}","content":"{{JsonEncodedText.Encode(m.Text)}}"}"""));
        string body = $$"""
            {"model":"smollm2-135m-instruct","stream":true,"max_tokens":{{maxTokens.ToString(CultureInfo.InvariantCulture)}},"temperature":0,
             "stream_options":{"include_usage":true},"logit_bias":{"2":-100},"messages":[{{said}}]{{more}}}
            """;
        long start = Stopwatch.GetTimestamp();
        var times = new List<double>();
        var text = new StringBuilder();
        (int prompt, int cached, int completion) = (0, 0, 0);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(body, Encoding.UTF8, "application/json"),
        };
        try
        {
            using HttpResponseMessage response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            response.EnsureSuccessStatusCode();
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
            while (await reader.ReadLineAsync(cancellation) is { } line)
            {
                if (!line.StartsWith("data: {", StringComparison.Ordinal))
                {
                    continue;
                }

                using JsonDocument chunk = JsonDocument.Parse(line.AsMemory(6));
                if (ContentOf(chunk.RootElement) is { Length: > 0 } content)
                {
                    times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                    text.Append(content);
                }

                if (chunk.RootElement.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object)
                {
                    prompt = usage.GetProperty("prompt_tokens").GetInt32();
                    completion = usage.GetProperty("completion_tokens").GetInt32();
                    cached = usage.TryGetProperty("prompt_tokens_details", out JsonElement details) && details.TryGetProperty("cached_tokens", out JsonElement found)
                        ? found.GetInt32()
                        : 0;
                }
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
        }

        return new MeasuredStream(text.ToString(), times, prompt, cached, completion);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private static string? ContentOf(JsonElement chunk) =>
        chunk.TryGetProperty("choices", out JsonElement choices) && choices.GetArrayLength() > 0
        && choices[0].GetProperty("delta").TryGetProperty("content", out JsonElement content)
            ? content.GetString()
            : null;
}

/// <summary>What came of one stream.</summary>
/// <param name="Text">All of it.</param>
/// <param name="Milliseconds">When each piece of content came, since the request.</param>
/// <param name="PromptTokens">As the server says.</param>
/// <param name="CachedTokens">As the server says.</param>
/// <param name="CompletionTokens">As the server says.</param>
internal sealed record MeasuredStream(string Text, IReadOnlyList<double> Milliseconds, int PromptTokens, int CachedTokens, int CompletionTokens)
{
    public double First => Milliseconds[0];

    /// <summary>Largest time between two pieces, of those that end within a span of time since the request.</summary>
    public double LargestGap(double from, double to) =>
        Milliseconds.Zip(Milliseconds.Skip(1)).Where(pair => pair.Second >= from && pair.First <= to).Select(static pair => pair.Second - pair.First).DefaultIfEmpty().Max();
}
