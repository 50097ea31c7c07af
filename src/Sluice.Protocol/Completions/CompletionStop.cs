using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Completions;

/// <summary>The end of an answer that was cancelled: finish reasons that are missing, and usage where it belongs to the stream.</summary>
internal static class CompletionStop
{
    /// <summary>See <see cref="AnswerDialect.TryWriteStop"/>.</summary>
    /// <exception cref="JsonException">An event is not a chunk; an upstream's own may have any shape, and throw other exceptions of JSON too.</exception>
    public static void Write(
        AnswerHead head, EventBuffer delivered, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated, IEventOutput output)
    {
        var done = finished.ToArray();
        var (created, model) = Read(delivered, done);
        var writer = new CompletionChunkWriter(head with { Created = created ?? head.Created, Model = model ?? head.Model });
        for (var choice = 0; choice < head.ChoiceCount; choice++)
        {
            if (!done[choice]) writer.Cancelled(output, choice);
        }

        writer.Usage(output, usage, isEstimated);
    }

    private static (long? Created, string? Model) Read(EventBuffer events, bool[] finished)
    {
        long? created = null;
        string? model = null;
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
                if ((uint)index >= finished.Length) continue;
                finished[index] |= choice.TryGetProperty("finish_reason"u8, out var reason) && reason.ValueKind == JsonValueKind.String;
            }
        }

        return (created, model);
    }
}
