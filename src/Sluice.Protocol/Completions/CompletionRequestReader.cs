using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Json;

namespace Sluice.Protocol.Completions;

/// <summary>
/// Parses and validates the body of <c>/v1/completions</c>. Unknown keys are accepted. Of several faults one is told, always the same: each
/// parameter in turn, and last what concerns two of them at once.
/// </summary>
public static class CompletionRequestReader
{
    private const string PromptKinds = "one of a string, array of strings, array of integers, or array of arrays of integers";

    // A request without a prompt begins a new text, as one with an empty prompt does.
    private static readonly CompletionPrompt s_empty = new("", null);

    /// <summary>Reads one request. Never throws for what the body contains.</summary>
    /// <param name="body">The whole body; not kept.</param>
    /// <param name="request">The request.</param>
    /// <param name="error">A 400 with its parameter.</param>
    public static bool TryRead(
        ReadOnlySequence<byte> body, [NotNullWhen(true)] out CompletionRequest? request, [NotNullWhen(false)] out ApiError? error)
    {
        request = null;
        if (!JsonBody.TryParse(body, out var document))
        {
            error = ApiErrors.UnparsableBody();
            return false;
        }

        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                error = ApiErrors.BodyNotAnObject(ApiErrors.Describe(root));
                return false;
            }

            var parameters = new ParameterReader(root);
            var read = Read(parameters);
            error = parameters.Error;
            request = error is null ? read : null;
            return error is null;
        }
    }

    private static CompletionRequest Read(ParameterReader parameters)
    {
        var model = ChatCompletionRequestReader.ReadModel(parameters);
        var prompts = ReadPrompts(parameters);
        var suffix = parameters.Text("suffix");
        var isUnlimited = parameters.Find("max_tokens") is { ValueKind: JsonValueKind.Number } limit && limit.TryGetInt64(out var tokens) && tokens == -1;
        var maxTokens = ChatCompletionRequestReader.ReadTokenLimit(parameters, "max_tokens", min: 0);
        var n = (int)(parameters.Integer("n", 1, ProtocolLimits.ChoicesMax) ?? 1);
        var bestOf = (int)(parameters.Integer("best_of", 0, ProtocolLimits.BestOfMax) ?? n);
        var logprobs = parameters.Integer("logprobs", 0, ProtocolLimits.TopLogprobsMax);
        var echo = parameters.Boolean("echo") ?? false;
        var stop = ChatCompletionRequestReader.ReadStop(parameters);
        var temperature = parameters.Decimal("temperature", 0, 2);
        var topP = parameters.Decimal("top_p", 0, 1);
        var topK = parameters.Integer("top_k", -1, ProtocolLimits.TopKMax);
        var minP = parameters.Decimal("min_p", 0, 1);
        var presencePenalty = parameters.Decimal("presence_penalty", -2, 2);
        var frequencyPenalty = parameters.Decimal("frequency_penalty", -2, 2);
        var repetitionPenalty = parameters.Decimal("repetition_penalty", 0, ProtocolLimits.RepetitionPenaltyMax, minIsExcluded: true);
        var logitBias = ChatCompletionRequestReader.ReadLogitBias(parameters);
        _ = parameters.Text("user");
        var seed = parameters.Integer("seed", long.MinValue, long.MaxValue);
        var stream = parameters.Boolean("stream") ?? false;
        var streamOptions = parameters.Find("stream_options", JsonValueKind.Object, "an object");
        _ = ChatCompletionRequestReader.ReadStreamOptions(parameters, streamOptions);

        if (streamOptions is not null && !stream) parameters.Fail(ApiErrors.OnlyAllowedWhenEnabled("stream_options", "stream"));
        if (bestOf < n) parameters.Fail(ApiErrors.BestOfBelowN(bestOf, n));
        if (bestOf > n && stream) parameters.Fail(ApiErrors.BestOfWithStream());
        if (maxTokens == 0 && !echo) parameters.Fail(ApiErrors.NoTokensWithoutEcho());
        const int ChoicesMax = ProtocolLimits.CompletionChoicesMax;
        if ((long)prompts.Count * n > ChoicesMax) parameters.Fail(ApiErrors.ArrayTooLong("prompt", ChoicesMax / n, prompts.Count));

        return new CompletionRequest
        {
            Model = model,
            Prompts = prompts,
            Suffix = suffix,
            Stream = stream,
            MaxTokens = isUnlimited ? int.MaxValue : (int)(maxTokens ?? 16),
            N = n,
            BestOf = bestOf,
            Logprobs = (int?)logprobs,
            Echo = echo,
            Stop = stop,
            Seed = seed,
            Temperature = temperature ?? 1,
            TopP = topP ?? 1,
            TopK = topK > 0 ? (int)topK : 0,
            MinP = minP ?? 0,
            RepetitionPenalty = repetitionPenalty ?? 1,
            PresencePenalty = presencePenalty ?? 0,
            FrequencyPenalty = frequencyPenalty ?? 0,
            LogitBias = logitBias,
        };
    }

    private static List<CompletionPrompt> ReadPrompts(ParameterReader parameters)
    {
        if (parameters.Find("prompt") is not { } value) return [s_empty];
        if (value.ValueKind == JsonValueKind.String) return [new CompletionPrompt(value.GetString(), null)];
        if (value.ValueKind != JsonValueKind.Array)
        {
            parameters.Fail(ApiErrors.InvalidType("prompt", PromptKinds, ApiErrors.Describe(value)));
            return [];
        }

        var count = value.GetArrayLength();
        if (count == 0) parameters.Fail(ApiErrors.EmptyArray("prompt"));
        else if (value[0].ValueKind == JsonValueKind.Number) return [new CompletionPrompt(null, ReadTokens(parameters, value, "prompt"))];
        else if (count > ProtocolLimits.CompletionChoicesMax) parameters.Fail(ApiErrors.ArrayTooLong("prompt", ProtocolLimits.CompletionChoicesMax, count));
        if (parameters.Error is not null) return [];

        var prompts = new List<CompletionPrompt>(count);
        foreach (var element in value.EnumerateArray())
        {
            var path = $"prompt[{prompts.Count}]";
            if (element.ValueKind != value[0].ValueKind || element.ValueKind is not (JsonValueKind.String or JsonValueKind.Array))
            {
                var expected = value[0].ValueKind switch
                {
                    JsonValueKind.String => "a string",
                    JsonValueKind.Array => "an array of integers",
                    _ => "a string, an integer or an array of integers",
                };
                parameters.Fail(ApiErrors.InvalidType(path, expected, ApiErrors.Describe(element)));
                return [];
            }

            prompts.Add(element.ValueKind == JsonValueKind.String
                ? new CompletionPrompt(element.GetString(), null)
                : new CompletionPrompt(null, ReadTokens(parameters, element, path)));
        }

        return prompts;
    }

    private static int[] ReadTokens(ParameterReader parameters, JsonElement array, string path)
    {
        var tokens = new int[array.GetArrayLength()];
        if (tokens.Length == 0) parameters.Fail(ApiErrors.EmptyArray(path));
        var index = 0;
        foreach (var element in array.EnumerateArray())
        {
            if (parameters.Error is not null) return [];
            parameters.Fail(ParameterReader.CheckInteger(element, $"{path}[{index}]", 0, int.MaxValue, out var token));
            tokens[index++] = (int)token;
        }

        return tokens;
    }
}
