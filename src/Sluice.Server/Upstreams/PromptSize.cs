using System.Text;
using Sluice.Inference.ChatTemplates;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;

namespace Sluice.Server.Upstreams;

/// <summary>Refuses what is far beyond a context before time is spent on rendering and tokenising it.</summary>
internal static class PromptSize
{
    /// <summary>Bytes of text that one token stands for at most; the longest of real vocabularies are runs of 128 spaces.</summary>
    public const int TokenBytesMax = 128;

    /// <summary>Null when the messages may fit. The number of tokens that an error names is a lower bound.</summary>
    public static ApiError? FindRefusal(ChatCompletionRequest request, int contextLength)
    {
        long bytes = 0, characters = 0;
        Add((request.Tools ?? request.Functions)?.GetRawText());
        foreach (var message in request.Messages)
        {
            Add(message.Text ?? message.Refusal);
            Add(message.ToolCalls?.GetRawText() ?? message.FunctionCall?.GetRawText());
        }
        var tokens = (bytes + TokenBytesMax - 1) / TokenBytesMax;
        if (tokens <= contextLength && characters <= ChatTemplateLimits.TextLengthMax) return null;
        return ApiErrors.ContextLengthExceeded(contextLength, (int)long.Max(tokens, contextLength));

        void Add(string? text)
        {
            bytes += text is null ? 0 : Encoding.UTF8.GetByteCount(text);
            characters += text?.Length ?? 0;
        }
    }
}
