using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>What messages must be together: contents where they are needed, calls answered, answers called for.</summary>
internal static class ConversationRules
{
    /// <summary>The first fault; null if there is none. Expects messages that are valid each by itself.</summary>
    public static ApiError? FindFault(IReadOnlyList<ChatMessage> messages)
    {
        for (var i = 0; i < messages.Count; i++)
        {
            if (!HasContent(messages[i])) return ApiErrors.NullContent(i);
        }

        return FindToolFault(messages);
    }

    /// <summary>Whether an answer can go on with a message: it is an assistant's and has text.</summary>
    public static bool CanContinue(ChatMessage message) =>
        message is { Role: ChatRole.Assistant, ToolCalls: null, FunctionCall: null } && !string.IsNullOrWhiteSpace(message.Text);

    private static bool HasContent(ChatMessage message) =>
        message.Text is not null || message.HasMediaParts
        || (message.Role == ChatRole.Assistant
            && (message.ToolCalls is not null || message.FunctionCall is not null || message.Refusal is not null || message.HasAudio
                || message.Reasoning is not null));

    // Tool messages stand directly after the assistant message whose calls they answer, in any order.
    private static ApiError? FindToolFault(IReadOnlyList<ChatMessage> messages)
    {
        List<string>? calls = null;
        HashSet<string> called = [], unanswered = [];
        for (var i = 0; i < messages.Count; i++)
        {
            var message = messages[i];
            if (message.Role == ChatRole.Tool)
            {
                if (calls is null) return ApiErrors.OrphanToolMessage(i);
                if (!called.Contains(message.ToolCallId!)) return ApiErrors.UnknownToolCallId(i, message.ToolCallId!);
                unanswered.Remove(message.ToolCallId!);
                continue;
            }

            if (unanswered.Count > 0) return Unanswered(i);
            calls = message.ToolCalls?.EnumerateArray().Select(call => call.GetProperty("id"u8).GetString()!).ToList();
            called = [.. calls ?? []];
            unanswered = [.. called];
        }

        return unanswered.Count > 0 ? Unanswered(nextMessageIndex: null) : null;

        ApiError Unanswered(int? nextMessageIndex) =>
            ApiErrors.UnansweredToolCalls(nextMessageIndex, string.Join(", ", calls!.Where(unanswered.Contains)));
    }
}
