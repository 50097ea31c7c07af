namespace Sluice.Protocol.Chat.Relay;

/// <summary>The five reasons that clients know, for those that providers have made up: Vertex', Bedrock's, Cohere's, Mistral's, Anthropic's and others'.</summary>
internal static class FinishReasons
{
    private static readonly byte[] s_stop = "\"stop\""u8.ToArray();
    private static readonly byte[] s_length = "\"length\""u8.ToArray();
    private static readonly byte[] s_contentFilter = "\"content_filter\""u8.ToArray();

    public static readonly byte[] ToolCalls = "\"tool_calls\""u8.ToArray();

    public static bool IsKnown(string reason) => reason is "stop" or "length" or "tool_calls" or "content_filter" or "function_call";

    /// <summary>Whether the word says that the choice goes on.</summary>
    public static bool IsNone(string? reason) => string.IsNullOrWhiteSpace(reason) || reason is "null" or "none" or "None" or "FINISH_REASON_UNSPECIFIED";

    /// <summary>Whether it tells of a failure rather than of an end.</summary>
    public static bool IsFailure(string reason) => Normalize(reason) is
        "error" or "abort" or "aborted" or "cancelled" or "canceled" or "insufficient_system_resource" or "malformed_function_call" or "failed"
        or "timeout" or "engine_overloaded" or "unexpected_tool_call" or "other" or "network_error" or "malformed_response" or "too_many_tool_calls"
        or "missing_thought_signature";

    /// <summary>The JSON of the known reason that comes nearest; an unknown word means that the model came to its end.</summary>
    public static byte[] Translate(string reason) => Normalize(reason) switch
    {
        "max_tokens" or "max_length" or "model_length" or "length_limit" or "model_context_window_exceeded" or "max_output_tokens" or "error_limit"
            or "context_window_exceeded" or "incomplete" or "length_capped" or "max_new_tokens" or "length"
            // The turn is not over, so what there is of it is cut short.
            or "pause_turn" => s_length,
        "tool_use" or "tool_call" or "tool" or "tool_calls" or "function_call" => ToolCalls,
        "safety" or "content_filtered" or "refusal" or "recitation" or "blocklist" or "prohibited_content" or "sensitive" or "spii"
            or "guardrail_intervened" or "content_filter" or "error_toxic" or "image_safety" or "image_prohibited_content" or "language"
            or "moderation" or "image_recitation" => s_contentFilter,
        _ => s_stop,
    };

    private static string Normalize(string reason) => reason.ToLowerInvariant().Replace('-', '_');
}
