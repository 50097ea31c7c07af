using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.ServerSentEvents;

namespace Sluice.Protocol.Chat;

/// <summary>The end of an answer that was cancelled: roles and finish reasons that are missing, and usage where it belongs to the stream.</summary>
internal static class ChatStop
{
    /// <summary>See <see cref="AnswerDialect.TryWriteStop"/>.</summary>
    /// <exception cref="JsonException">An event is not a chunk; an upstream's own may have any shape, and throw other exceptions of JSON too.</exception>
    public static void Write(
        AnswerHead head, EventBuffer delivered, bool isWhole, ReadOnlySpan<bool> finished, AnswerUsage usage, bool isEstimated, IEventOutput output)
    {
        var (begun, done) = (new bool[head.ChoiceCount], finished.ToArray());
        // What is no longer kept was the beginning of every choice.
        if (!isWhole) begun.AsSpan().Fill(true);
        var (created, model) = Read(delivered, begun, done);
        var writer = new ChatChunkWriter(head.Id, created ?? head.Created, model ?? head.Model, head.IncludesUsage, head.ServiceTier);
        for (var choice = 0; choice < head.ChoiceCount; choice++)
        {
            if (!begun[choice]) writer.WriteRole(output, choice, head.HasLogprobs);
        }
        for (var choice = 0; choice < head.ChoiceCount; choice++)
        {
            if (done[choice]) continue;
            if (head.Budget is { } budget) writer.WriteBudgetFinish(output, choice, budget);
            else writer.WriteCancelled(output, choice);
        }
        if (!head.IncludesUsage) return;
        if (isEstimated) writer.WriteEstimatedUsage(output, usage.PromptTokens, usage.CompletionTokens);
        else writer.WriteUsage(output, usage);
    }

    private static (long? Created, string? Model) Read(EventBuffer events, bool[] begun, bool[] finished)
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
                if ((uint)index >= begun.Length) continue;
                begun[index] = true;
                finished[index] |= choice.TryGetProperty("finish_reason"u8, out var reason) && reason.ValueKind == JsonValueKind.String;
            }
        }
        return (created, model);
    }
}
