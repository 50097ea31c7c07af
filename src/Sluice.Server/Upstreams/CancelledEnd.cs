using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>Ends the log of a generation that stopped because it was told to, as the cause demands. Nobody else may write to it any more.</summary>
internal static class CancelledEnd
{
    public static void Write(Attempt attempt)
    {
        var log = attempt.Generation.Log;
        switch (attempt.Generation.CancellationCause)
        {
            case CancellationCause.Shutdown:
                log.Fail(ServerState.StoppingError);
                break;
            case CancellationCause.Deadline:
                log.Fail(ApiErrors.ServerError("The request took longer than it may.") with { Status = 504 });
                break;
            case CancellationCause.Requested:
                _ = WriteStopLaterAsync(attempt);
                break;
            default:
                log.Cancel();
                break;
        }
    }

    // It reads the log, and the engine's thread has others to serve.
    private static async Task WriteStopLaterAsync(Attempt attempt)
    {
        await Task.Yield();
        WriteStop(attempt);
    }

    // Roles and finish reasons that are missing, usage where it belongs to the stream, and the end.
    private static void WriteStop(Attempt attempt)
    {
        var (log, output, request) = (attempt.Generation.Log, attempt.Output, attempt.Request);
        if (log.End is not null) return;
        try
        {
            var (begun, finished) = (new bool[request.N], new bool[request.N]);
            var (created, model) = ReadDelivered(log, begun, finished);
            // What this process has no events of may be in the store alone.
            if (attempt.From?.Progress is { } progress)
            {
                for (var choice = 0; choice < int.Min(request.N, progress.Choices.Count); choice++) finished[choice] |= log.FirstEvent > 0 && progress.Choices[choice].Finish is not null;
            }
            var includesUsage = request.IncludeUsage || !request.Stream;
            var writer = new ChatChunkWriter(
                attempt.Generation.Id, created ?? attempt.Created ?? attempt.Record.UnixTime, model ?? attempt.ModelName, includesUsage, request.EffectiveServiceTier);
            for (var choice = 0; choice < request.N; choice++)
            {
                if (begun[choice]) continue;
                writer.WriteRole(output, choice, request.Logprobs);
            }
            for (var choice = 0; choice < request.N; choice++)
            {
                if (finished[choice]) continue;
                writer.WriteCancelled(output, choice);
            }
            if (includesUsage)
            {
                if (attempt.Record is { Usage: { } usage, IsUsageEstimated: false }) writer.WriteUsage(output, usage);
                else writer.WriteEstimatedUsage(output, attempt.Record.Usage?.PromptTokens ?? 0, attempt.Record.Usage?.CompletionTokens ?? 0);
            }
            log.Stop();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            // An upstream's own chunks are of a shape that no end can be made for.
            log.Cancel();
        }
    }

    private static (long? Created, string? Model) ReadDelivered(StreamLog log, bool[] begun, bool[] finished)
    {
        long? created = null;
        string? model = null;
        using var reader = log.TryOpenReader(log.FirstEvent);
        var events = new EventBuffer();
        while (reader?.TryRead(events, addEvent: events.AddEvent) == ReadOutcome.Events)
        {
        }
        // What is no longer kept was the beginning of every choice.
        if (log.FirstEvent > 0) begun.AsSpan().Fill(true);
        for (var i = 0; i < events.Count; i++)
        {
            // A comment may stand before it.
            var data = events[i].IndexOf("data: "u8);
            if (data < 0) continue;
            var json = new Utf8JsonReader(events[i][(data + "data: "u8.Length)..]);
            using var document = JsonDocument.ParseValue(ref json);
            var chunk = document.RootElement;
            created ??= chunk.GetProperty("created"u8).GetInt64();
            model ??= chunk.GetProperty("model"u8).GetString();
            foreach (var choice in chunk.GetProperty("choices"u8).EnumerateArray())
            {
                var index = choice.GetProperty("index"u8).GetInt32();
                if ((uint)index >= begun.Length) continue;
                begun[index] = true;
                finished[index] |= choice.TryGetProperty("finish_reason"u8, out var reason) && reason.ValueKind == JsonValueKind.String;
            }
        }
        return (created, model);
    }
}
