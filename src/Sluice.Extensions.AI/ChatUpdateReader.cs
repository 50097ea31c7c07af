using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Sluice.Extensions.AI;

/// <summary>Reads the chunks of one streamed chat completion. Tool calls come as a whole, when the model has finished them.</summary>
internal sealed class ChatUpdateReader
{
    private readonly SortedDictionary<int, Call> _calls = [];

    /// <summary>Whether the answer came to its end.</summary>
    public bool IsDone { get; private set; }

    /// <summary>There is no more.</summary>
    public void SetDone() => IsDone = true;

    /// <summary>What a chunk says; null where that is nothing.</summary>
    /// <exception cref="HttpRequestException">It is an error.</exception>
    public ChatResponseUpdate? Read(JsonElement chunk)
    {
        if (chunk.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object)
            throw HubConnection.Refused(TextOf(error, "message") ?? "The answer failed.", StatusOf(error));
        var update = new ChatResponseUpdate
        {
            ResponseId = TextOf(chunk, "id"),
            MessageId = TextOf(chunk, "id"),
            ModelId = TextOf(chunk, "model"),
            CreatedAt = chunk.TryGetProperty("created", out var created) && created.TryGetInt64(out var seconds) ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null,
            Role = ChatRole.Assistant,
        };
        if (chunk.TryGetProperty("choices", out var choices) && choices.ValueKind == JsonValueKind.Array)
        {
            // There is one.
            foreach (var choice in choices.EnumerateArray()) ReadChoice(choice, update);
        }
        if (chunk.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object) update.Contents.Add(new UsageContent(ReadUsage(usage)));
        if (chunk.TryGetProperty("sluice", out var sluice)) (update.AdditionalProperties ??= [])["sluice"] = sluice.Clone();
        return update.Contents.Count > 0 || update.FinishReason is not null || update.AdditionalProperties is not null ? update : null;
    }

    private void ReadChoice(JsonElement choice, ChatResponseUpdate update)
    {
        if (choice.TryGetProperty("delta", out var delta) && delta.ValueKind == JsonValueKind.Object)
        {
            if ((TextOf(delta, "reasoning_content") ?? TextOf(delta, "reasoning")) is { Length: > 0 } reasoning) update.Contents.Add(new TextReasoningContent(reasoning));
            if (TextOf(delta, "content") is { Length: > 0 } text) update.Contents.Add(new TextContent(text));
            if (TextOf(delta, "refusal") is { Length: > 0 } refusal) update.Contents.Add(new ErrorContent(refusal) { ErrorCode = "Refusal" });
            if (delta.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array)
            {
                foreach (var call in calls.EnumerateArray()) ReadCall(call);
            }
        }
        if (TextOf(choice, "finish_reason") is not { } reason) return;
        update.FinishReason = new ChatFinishReason(reason == "function_call" ? "tool_calls" : reason);
        foreach (var call in _calls.Values)
            update.Contents.Add(FunctionCallContent.CreateFromParsedArguments(call.Arguments.ToString(), call.Id, call.Name, static text => JsonValues.Parse(text)));
        _calls.Clear();
    }

    private void ReadCall(JsonElement delta)
    {
        var index = delta.TryGetProperty("index", out var number) && number.TryGetInt32(out var value) ? value : 0;
        if (!_calls.TryGetValue(index, out var call)) _calls.Add(index, call = new Call());
        if (TextOf(delta, "id") is { Length: > 0 } id) call.Id = id;
        if (!delta.TryGetProperty("function", out var function) || function.ValueKind != JsonValueKind.Object) return;
        if (TextOf(function, "name") is { Length: > 0 } name) call.Name += name;
        if (TextOf(function, "arguments") is { } arguments) call.Arguments.Append(arguments);
    }

    private static UsageDetails ReadUsage(JsonElement usage) => new()
    {
        InputTokenCount = CountOf(usage, "prompt_tokens"),
        OutputTokenCount = CountOf(usage, "completion_tokens"),
        TotalTokenCount = CountOf(usage, "total_tokens"),
        CachedInputTokenCount = usage.TryGetProperty("prompt_tokens_details", out var prompt) ? CountOf(prompt, "cached_tokens") : null,
        ReasoningTokenCount = usage.TryGetProperty("completion_tokens_details", out var completion) ? CountOf(completion, "reasoning_tokens") : null,
    };

    private static long? CountOf(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var count) ? count : null;

    private static string? TextOf(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static HttpStatusCode? StatusOf(JsonElement error) => CountOf(error, "code") is >= 400 and <= 599 and var code ? (HttpStatusCode)code : null;

    private sealed class Call
    {
        public string Id { get; set; } = "";

        public string Name { get; set; } = "";

        public StringBuilder Arguments { get; } = new();
    }
}
