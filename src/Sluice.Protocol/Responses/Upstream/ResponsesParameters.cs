using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>
/// Which parameters of a chat request have no counterpart in the Responses API. Those that change what an answer is are refused; those that
/// only say how it is made or stored are left out.
/// </summary>
internal static class ResponsesParameters
{
    // Members that have the same name and meaning in both APIs.
    private static readonly string[] s_shared = ["user", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "service_tier"];

    // Whatever else a body has is none of the chat API's and goes to the upstream as it is.
    private static readonly FrozenSet<string> s_known = FrozenSet.Create(
        StringComparer.Ordinal,
        [
            .. s_shared, "audio", "chat_template_kwargs", "enable_thinking", "frequency_penalty", "function_call", "functions", "guided_json", "logit_bias", "logprobs",
            "max_completion_tokens", "max_tokens", "messages", "metadata", "min_p", "modalities", "model", "moderation", "n", "parallel_tool_calls",
            "prediction", "presence_penalty", "reasoning_effort", "repetition_penalty", "response_format", "seed", "sluice", "stop", "store", "stream",
            "stream_options", "structured_outputs", "temperature", "tool_choice", "tools", "top_k", "top_logprobs", "top_p", "verbosity", "web_search_options",
        ]);

    // The body's own would stand beside those made of the chat request, or name a conversation that only the hub knows.
    private static readonly (string Name, string Reason)[] s_taken =
    [
        ("input", "use 'messages'"), ("instructions", "use a message with the role 'system'"), ("max_output_tokens", "use 'max_completion_tokens'"),
        ("previous_response_id", "use 'messages'"), ("conversation", "use 'messages'"), ("background", "the hub keeps answers itself"),
    ];

    /// <summary>Members with the same name in both APIs, in a fixed order.</summary>
    public static IReadOnlyList<string> Shared => s_shared;

    /// <summary>Members of the body that are the upstream's own business; of a name that is there twice the last one.</summary>
    public static OrderedDictionary<string, JsonElement> FindForeign(JsonElement body)
    {
        var foreign = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var member in body.EnumerateObject())
        {
            if (s_known.Contains(member.Name)) continue;
            foreign.Remove(member.Name);
            if (member.Value.ValueKind != JsonValueKind.Null) foreign.Add(member.Name, member.Value);
        }
        return foreign;
    }

    /// <summary>The 400 for the first parameter that can't be left out and can't be said; null where there is none.</summary>
    public static ApiError? FindRefusal(ChatCompletionRequest request, JsonElement body)
    {
        if (request.Functions is not null) return ApiErrors.NotInMessages("functions", "use 'tools'");
        if (request.FunctionCall is not null) return ApiErrors.NotInMessages("function_call", "use 'tool_choice'");
        if (request.N > 1) return ApiErrors.ValueNotInMessages("n", "it gives one answer at a time");
        // The hub cuts the text itself, and can't cut the probabilities of its tokens.
        if (request.Stop.Count > 0 && request.Logprobs) return ApiErrors.NotInMessages("stop", "it can't be used together with 'logprobs'");
        if (request.PresencePenalty != 0) return ApiErrors.NotInMessages("presence_penalty");
        if (request.FrequencyPenalty != 0) return ApiErrors.NotInMessages("frequency_penalty");
        if (request.TopK is not null) return ApiErrors.NotInMessages("top_k");
        if (request.MinP > 0) return ApiErrors.NotInMessages("min_p");
        if (request.RepetitionPenalty is not (null or 1)) return ApiErrors.NotInMessages("repetition_penalty");
        if (request.LogitBias.Count > 0) return ApiErrors.NotInMessages("logit_bias");
        if (request.AsksForAudio) return ApiErrors.NotInMessages("modalities", "it answers with text");
        if (HasMember(body, "audio")) return ApiErrors.NotInMessages("audio");
        if (HasMember(body, "web_search_options")) return ApiErrors.NotInMessages("web_search_options");
        foreach (var (name, reason) in s_taken)
        {
            if (HasMember(body, name)) return ApiErrors.NotInMessages(name, reason);
        }
        for (var i = 0; i < request.Messages.Count; i++)
        {
            var message = request.Messages[i];
            var path = string.Create(CultureInfo.InvariantCulture, $"messages[{i}]");
            if (message.Role == ChatRole.Function) return ApiErrors.ValueNotInMessages($"{path}.role", "use 'tool_calls' and the role 'tool'");
            if (message.FunctionCall is not null) return ApiErrors.NotInMessages($"{path}.function_call", "use 'tool_calls'");
            if (message.HasAudio) return ApiErrors.NotInMessages($"{path}.audio");
        }
        return null;
    }

    private static bool HasMember(JsonElement body, string name) => body.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;
}
