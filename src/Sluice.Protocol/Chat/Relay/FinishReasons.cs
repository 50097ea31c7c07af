namespace Sluice.Protocol.Chat.Relay;

/// <summary>The five reasons that clients know, for those that providers have made up.</summary>
internal static class FinishReasons
{
    private static readonly byte[] s_stop = "\"stop\""u8.ToArray();
    private static readonly byte[] s_length = "\"length\""u8.ToArray();
    private static readonly byte[] s_contentFilter = "\"content_filter\""u8.ToArray();

    public static readonly byte[] ToolCalls = "\"tool_calls\""u8.ToArray();

    public static bool IsKnown(string reason) => reason is "stop" or "length" or "tool_calls" or "content_filter" or "function_call";

    /// <summary>Whether it tells of a failure rather than of an end.</summary>
    public static bool IsFailure(string reason) =>
        reason.ToLowerInvariant() is "error" or "abort" or "aborted" or "cancelled" or "canceled" or "insufficient_system_resource" or "malformed_function_call";

    /// <summary>The JSON of the known reason that comes nearest; an unknown word means that the model came to its end.</summary>
    public static byte[] Translate(string reason) => reason.ToLowerInvariant() switch
    {
        "max_tokens" or "max_length" or "model_length" or "length_limit" or "model_context_window_exceeded"
            // The turn is not over, so what there is of it is cut short.
            or "pause_turn" => s_length,
        "tool_use" or "tool_call" or "tool" => ToolCalls,
        "safety" or "content_filtered" or "refusal" or "recitation" or "blocklist" or "prohibited_content" or "sensitive" => s_contentFilter,
        _ => s_stop,
    };
}
