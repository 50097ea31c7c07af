using System.Text.Json;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Cli.Bench;

/// <summary>Makes one request, times what comes, and checks that the stream is whole.</summary>
/// <param name="http">Without a timeout of its own.</param>
/// <param name="endpoint">Who is asked.</param>
/// <param name="counts">Told of every chunk as it comes.</param>
/// <param name="timeout">For the whole answer.</param>
/// <param name="time">The clock.</param>
internal sealed class StreamMeasure(HttpClient http, BenchEndpoint endpoint, RunCounts counts, TimeSpan timeout, TimeProvider time)
{
    private const int ErrorBytesMax = 16 << 10;

    /// <summary>Runs it; only a cancellation throws.</summary>
    /// <param name="body">Of the request.</param>
    /// <param name="start">When it was to begin, as a timestamp of the clock.</param>
    /// <param name="cancellation">Somebody ends the measurement.</param>
    public async Task<StreamOutcome> RunAsync(byte[] body, long start, CancellationToken cancellation)
    {
        var stream = new Progress();
        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        string? fault;
        try
        {
            fault = await ReadAsync(body, start, stream, either.Token);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            fault = "timeout";
        }
        catch (HttpRequestException exception)
        {
            fault = stream.HasHeaders ? "broke off" : $"no connection: {exception.HttpRequestError}";
        }
        catch (IOException)
        {
            fault = "broke off";
        }
        catch (InvalidDataException exception)
        {
            fault = exception.Message;
        }
        var whole = time.GetElapsedTime(start);
        var tokens = stream.CompletionTokens ?? stream.ContentCount;
        var perToken = tokens > 1 ? (stream.Last - stream.First) / (tokens - 1) : TimeSpan.Zero;
        return new StreamOutcome(fault, stream.First, perToken, whole, stream.PromptTokens ?? 0, tokens, stream.CompletionTokens is not null);
    }

    // What is wrong with the answer; null for a whole one.
    private async Task<string?> ReadAsync(byte[] body, long start, Progress stream, CancellationToken cancellation)
    {
        using var request = endpoint.CreateRequest(body);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        stream.HasHeaders = true;
        await using var content = await response.Content.ReadAsStreamAsync(cancellation);
        if (!response.IsSuccessStatusCode)
        {
            var bytes = new byte[ErrorBytesMax];
            var length = await content.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellation);
            return $"status {(int)response.StatusCode}: {ChunkFacts.ErrorOf(bytes[..length])}";
        }
        if (response.Content.Headers.ContentType?.MediaType != "text/event-stream") return "no event stream";
        await foreach (var item in ServerSentEventReader.ReadAsync(content, cancellationToken: cancellation))
        {
            if (item.Data.Span.SequenceEqual("[DONE]"u8)) return stream.HasFinish ? stream.ContentCount == 0 ? "no content" : null : "no finish reason";
            var fault = Take(item.Data.Span, start, stream);
            counts.AddChunk();
            if (fault is not null) return fault;
        }
        return "ended without [DONE]";
    }

    private string? Take(ReadOnlySpan<byte> data, long start, Progress stream)
    {
        ChunkFacts facts;
        try
        {
            facts = ChunkFacts.Read(data);
        }
        catch (JsonException)
        {
            return "a chunk is not JSON";
        }
        if (facts.Error is { } error) return $"error event: {error}";
        stream.HasFinish |= facts.HasFinish;
        stream.PromptTokens = facts.PromptTokens ?? stream.PromptTokens;
        stream.CompletionTokens = facts.CompletionTokens ?? stream.CompletionTokens;
        if (!facts.HasContent) return null;
        var elapsed = time.GetElapsedTime(start);
        if (stream.ContentCount++ == 0)
        {
            stream.First = elapsed;
            counts.FirstToken.Add(elapsed);
        }
        else
        {
            counts.Gaps.Add(elapsed - stream.Last);
        }
        stream.Last = elapsed;
        return null;
    }

    private sealed class Progress
    {
        public bool HasHeaders { get; set; }

        public bool HasFinish { get; set; }

        public int ContentCount { get; set; }

        public TimeSpan First { get; set; }

        public TimeSpan Last { get; set; }

        public int? PromptTokens { get; set; }

        public int? CompletionTokens { get; set; }
    }
}
