using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Messages;

/// <summary>
/// Which parameters have no counterpart in the Messages API. Those that change what an answer is are refused; those that only say how
/// it is made, stored or billed are left out.
/// </summary>
internal static class MessagesParameters
{
    // Whatever else a body has is none of OpenAI's and goes to the upstream as it is.
    private static readonly FrozenSet<string> s_known = FrozenSet.Create(
        StringComparer.Ordinal,
        "add_generation_prompt", "audio", "chat_template_kwargs", "continue_final_message", "enable_thinking", "frequency_penalty", "function_call", "functions", "guided_json", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens",
        "messages", "metadata", "min_p", "modalities", "model", "moderation", "n", "parallel_tool_calls", "prediction",
        "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort",
        "repetition_penalty", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options", "structured_outputs",
        "temperature", "tool_choice", "tools", "top_k", "top_logprobs", "top_p", "user", "verbosity", "web_search_options");

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
        for (var i = 0; i < request.Stop.Count; i++)
        {
            if (string.IsNullOrWhiteSpace(request.Stop[i])) return ApiErrors.ValueNotInMessages("stop", "a sequence needs a character that isn't white space");
        }
        if (request.PresencePenalty != 0) return ApiErrors.NotInMessages("presence_penalty");
        if (request.FrequencyPenalty != 0) return ApiErrors.NotInMessages("frequency_penalty");
        if (request.MinP > 0) return ApiErrors.NotInMessages("min_p");
        if (request.RepetitionPenalty is not (null or 1)) return ApiErrors.NotInMessages("repetition_penalty");
        if (request.LogitBias.Count > 0) return ApiErrors.NotInMessages("logit_bias");
        if (request.Logprobs) return ApiErrors.NotInMessages("logprobs");
        if (request.AsksForAudio) return ApiErrors.NotInMessages("modalities", "it answers with text");
        if (HasMember(body, "audio")) return ApiErrors.NotInMessages("audio");
        if (HasMember(body, "web_search_options")) return ApiErrors.NotInMessages("web_search_options");
        // The body's own would stand beside those made of the messages and of stop.
        if (HasMember(body, "system")) return ApiErrors.NotInMessages("system", "use a message with the role 'system'");
        if (HasMember(body, "stop_sequences")) return ApiErrors.NotInMessages("stop_sequences", "use 'stop'");
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
