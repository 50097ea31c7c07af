using System.Globalization;
using System.Text;
using System.Text.Json;
using Sluice.Client;
using Sluice.Testing;
using Sluice.Testing.Faults;

namespace Sluice.Benchmarks;

/// <summary>
/// Streams over connections that are cut at random bytes: how long it is from asking for the rest to its first byte, over loopback and through the proxy
/// that cuts, and whether anything is lost or comes twice. By <see cref="ResumingHandler"/>, and by a client that counts events and asks again by itself.
/// </summary>
internal static class ResumeBenchmark
{
    private const int Clients = 4;
    private const int BytesMax = 6000;

    public static async Task<int> RunAsync(Arguments arguments)
    {
        var (cuts, seed) = (arguments.Number("cuts", 2_000), arguments.Number("seed", 1));
        Console.WriteLine("| client | cuts | streams | resumed | first byte p50 | p99 | max | lost or doubled |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        var wrong = 0;
        foreach (var isRaw in (bool[])[false, true]) wrong += await RunAsync(cuts, seed, isRaw);
        return wrong == 0 ? 0 : 1;
    }

    private static async Task<int> RunAsync(int cuts, int seed, bool isRaw)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        await using var proxy = FaultProxy.Start(hub.Address, connection =>
        {
            var random = new Random(unchecked((seed * 1_000_003) + connection));
            return new ConnectionPlan(random.Next(2) == 0 ? ConnectionFault.Close : ConnectionFault.Reset, random.Next(BytesMax));
        });
        var timed = new FirstByteHandler();
        using var http = new HttpClient(isRaw ? timed : new ResumingHandler(timed) { PauseFirst = TimeSpan.FromMilliseconds(5) });
        http.BaseAddress = proxy.Address;
        var (streams, wrong) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
        {
            while (proxy.FaultCount < cuts)
            {
                var number = Interlocked.Increment(ref streams);
                var text = string.Concat(Enumerable.Range(0, 60).Select(word => $" {number}.{word} ü\U0001F600"));
                if (await ReadAsync(http, text, isRaw ? $"{seed}-{number}" : null) != text) Interlocked.Increment(ref wrong);
            }
        }));
        double[] times = [.. timed.Times.Order()];
        string At(double share) => times[(int)(share * (times.Length - 1))].ToString("F1", CultureInfo.InvariantCulture) + " ms";
        Console.WriteLine($"| {(isRaw ? "by hand" : "Sluice.Client")} | {proxy.FaultCount} | {streams} | {times.Length} | {At(0.5)} | {At(0.99)} | {At(1)} | {wrong} |");
        return wrong;
    }

    // Without a key, whoever is beneath goes on with what is dropped.
    private static async Task<string> ReadAsync(HttpClient http, string text, string? key)
    {
        var body = $$"""{"model":"scripted","stream":true,"messages":[{"role":"user","content":"{{JsonEncodedText.Encode(text)}}"}]}""";
        var answer = new StringBuilder();
        var count = 0;
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            if (key is not null) request.Headers.Add("Idempotency-Key", key);
            if (key is not null && count > 0) request.Headers.Add("Last-Event-ID", count.ToString(CultureInfo.InvariantCulture));
            try
            {
                using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
                using var reader = new StreamReader(await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync());
                while (await reader.ReadLineAsync() is { } line)
                {
                    if (line == "data: [DONE]") return answer.ToString();
                    if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
                    using var chunk = JsonDocument.Parse(line[6..]);
                    count++;
                    var delta = chunk.RootElement.GetProperty("choices")[0].GetProperty("delta");
                    if (delta.TryGetProperty("content", out var content)) answer.Append(content.GetString());
                }
            }
            catch (Exception error) when (error is IOException or JsonException || error is HttpRequestException { StatusCode: null })
            {
                // Half an event at the end is no event. A request that has got no answer is made again, as an SDK would.
            }
        }
    }

    // From sending a request for the rest to the first byte of its body.
    private sealed class FirstByteHandler() : DelegatingHandler(new SocketsHttpHandler())
    {
        private readonly List<double> _times = [];

        public IReadOnlyList<double> Times => _times;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var started = TimeProvider.System.GetTimestamp();
            var response = await base.SendAsync(request, cancellationToken);
            if (!request.Headers.Contains("Last-Event-ID")) return response;
            var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            var content = new StreamContent(new FirstByteStream(stream, () =>
            {
                lock (_times) _times.Add(TimeProvider.System.GetElapsedTime(started).TotalMilliseconds);
            }));
            foreach (var (name, values) in response.Content.Headers) content.Headers.TryAddWithoutValidation(name, values);
            response.Content = content;
            return response;
        }
    }

    private sealed class FirstByteStream(Stream inner, Action arrived) : ReadOnlyStream
    {
        private bool _hasArrived;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await inner.ReadAsync(buffer, cancellationToken);
            if (count > 0 && !_hasArrived) arrived();
            _hasArrived |= count > 0;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
