using System.Text;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Tokenization;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Errors;
using Sluice.Server.Models;

namespace Sluice.Server.Upstreams;

// Texts that go on: no template, no tools.
internal sealed partial class LocalUpstream
{
    private async Task<((GenerationRequest Asked, LocalGenerationSink Sink)?, ApiError?)> PrepareAsync(
        Attempt attempt, CompletionRequest request, AnswerSnapshot frame, ModelLease<InferenceEngine> lease, CancellationToken stop)
    {
        var engine = lease.Engine;
        if (request.Suffix is not null && engine.Tokenizer.FillInMiddle is null) return (null, ApiErrors.SuffixNotSupported(attempt.ModelName));
        if (FindRefusal(request, engine.Model.ContextLength, engine.Tokenizer) is { } refusal) return (null, refusal);
        await s_encoders.WaitAsync(stop);
        RawPrompt[] prompts;
        try
        {
            prompts = [.. request.Prompts.Select(prompt => Encode(engine, prompt, request.Suffix))];
        }
        finally
        {
            s_encoders.Release();
        }

        // A prompt that is only scored may fill the context.
        var lengthMax = engine.Model.ContextLength - int.Min(1, request.MaxTokens);
        if (Array.Find(prompts, prompt => prompt.Tokens.Count > lengthMax) is { } tooLong)
            return (null, ApiErrors.PromptTooLong(engine.Model.ContextLength, tooLong.Tokens.Count));
        return ((ToGenerationRequest(request, prompts), new LocalGenerationSink(attempt, request, prompts, engine.Tokenizer, frame, lease, logger)), null);
    }

    // Before time is spent on tokenizing.
    private static ApiError? FindRefusal(CompletionRequest request, int contextLength, Tokenizer tokenizer)
    {
        var suffixBytes = Encoding.UTF8.GetByteCount(request.Suffix ?? "");
        foreach (var (text, tokens) in request.Prompts)
        {
            var count = tokens?.Count ?? ((long)Encoding.UTF8.GetByteCount(text!) + suffixBytes) / PromptSize.TokenBytesMax;
            if (count > contextLength) return ApiErrors.PromptTooLong(contextLength, (int)count);
            foreach (var token in tokens ?? [])
            {
                if (token >= tokenizer.VocabularySize)
                    return ApiErrors.UnknownToken($"the model has no token {token}; its tokens are 0 to {tokenizer.VocabularySize - 1}.");
            }
        }

        return null;
    }

    private static RawPrompt Encode(InferenceEngine engine, CompletionPrompt prompt, string? suffix)
    {
        var input = prompt.Text is { } text ? new PromptInput(text) : new PromptInput(prompt.Tokens!);
        return suffix is null ? engine.EncodeRaw(input) : engine.EncodeGap(input, suffix);
    }

    private static GenerationRequest ToGenerationRequest(CompletionRequest request, RawPrompt[] prompts) => new()
    {
        PromptTokens = prompts[0].Tokens,
        FurtherPrompts = [.. prompts.Skip(1).Select(prompt => prompt.Tokens)],
        Echo = request.Echo ? [.. prompts.Select(prompt => prompt.Text)] : null,
        MaxTokens = request.MaxTokens,
        ChoiceCount = request.N,
        StopSequences = request.Stop,
        Sampling = new SamplingParameters
        {
            Temperature = (float)request.Temperature,
            TopP = (float)request.TopP,
            TopK = request.TopK,
            MinP = (float)request.MinP,
            RepetitionPenalty = (float)request.RepetitionPenalty,
            PresencePenalty = (float)request.PresencePenalty,
            FrequencyPenalty = (float)request.FrequencyPenalty,
            LogitBias = request.LogitBias.Count == 0 ? null : request.LogitBias.ToDictionary(bias => bias.Key, bias => (float)bias.Value),
            TopLogprobs = request.Logprobs,
        },
    };
}
