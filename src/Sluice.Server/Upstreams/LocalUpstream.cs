using Microsoft.Extensions.Logging;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Sampling;
using Sluice.Inference.ToolCalls;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;

namespace Sluice.Server.Upstreams;

/// <summary>The one place where the API's words become the engine's, and the engine's tokens become the API's events.</summary>
internal sealed partial class LocalUpstream(
    LocalModel model, LoadedModels<InferenceEngine> memory, GrammarCache grammars, RandomSource random, TimeProvider time, ILogger<LocalUpstream> logger)
    : IUpstream
{
    // Prompts of the whole process that are rendered and tokenised at a time. Each keeps a processor busy, for seconds if it is long;
    // more at once would only starve those threads that serve streams.
    private static readonly SemaphoreSlim s_encoders = new(Environment.ProcessorCount);

    public UpstreamIdentity Identity { get; } = new(UpstreamIdentity.Local, Tags.Hub, model.Id);

    public bool Continues => false;

    /// <summary>Completes when the engine has taken over: from then on it writes to the log, and ends it; or when the attempt was suspended before.</summary>
    public async Task<AttemptResult> RunAsync(Attempt attempt)
    {
        // Another server may well be able to, so that this costs no attempt.
        if (!attempt.Client.TryRead(out var request, out var unreadable)) return AttemptResult.Failed(FailureKind.Inexpressible, unreadable);
        if (request.FindLocalRefusal() is { } refusal) return AttemptResult.Failed(FailureKind.Inexpressible, refusal);
        var (stretch, frame) = (attempt.Production, attempt.From ?? CreateFrame(attempt, request));
        var stop = new CancellationTokenSource();
        await using var ended = attempt.Cancellation.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), stop);
        stretch?.Arm(stop.Cancel, () => frame);
        ApiError? error;
        try
        {
            (var lease, error) = await memory.AcquireAsync(model, stop.Token);
            error ??= await SubmitAsync(attempt, request, frame, lease!, stop.Token);
        }
        catch (OperationCanceledException) when (stretch is { IsAsked: true } && !attempt.Cancellation.IsCancellationRequested)
        {
            stretch.Suspend(frame);
            return AttemptResult.Answered;
        }
        if (error is null) return AttemptResult.Answered;
        if (stretch?.TryDisarm() != false) return AttemptResult.Failed(KindOf(error), error);
        stretch.Suspend(frame);
        return AttemptResult.Answered;
    }

    private SuspendedGeneration CreateFrame(Attempt attempt, ChatCompletionRequest request) => new()
    {
        ModelId = model.Id,
        ModelName = attempt.ModelName,
        Body = attempt.Body,
        Created = attempt.Created ?? time.GetUtcNow().ToUnixTimeSeconds(),
        RenderedAt = time.GetLocalNow(),
        Seed = request.Seed is { } seed ? unchecked((ulong)seed) : random.NextUInt64(),
    };

    private static FailureKind KindOf(ApiError error) => error switch
    {
        { Code: "context_length_exceeded" } => FailureKind.ContextLength,
        { Status: 429 } => FailureKind.RateLimited,
        { Status: < 500 } => FailureKind.Refused,
        // A model that can't be loaded is no fault of the engine's, and the breaker would only hide the reason.
        _ => FailureKind.Rejected,
    };

    // Keeps the lease for the sink when it returns null.
    private async Task<ApiError?> SubmitAsync(
        Attempt attempt, ChatCompletionRequest request, SuspendedGeneration frame, ModelLease<InferenceEngine> lease, CancellationToken stop)
    {
        var handedOver = false;
        try
        {
            var engine = lease.Engine;
            var contextLength = engine.Model.ContextLength;
            if (PromptSize.FindRefusal(request, contextLength) is { } tooLarge) return tooLarge;
            var (prompt, grammar) = await EncodeAsync(engine, request, new RenderTime(frame.RenderedAt), stop);
            if (prompt.Tokens.Count == 0) return new ApiError(400, "The messages give an empty prompt: there is nothing to answer.", ApiErrors.InvalidRequestType, "messages", null);
            if (prompt.Tokens.Count >= contextLength) return ApiErrors.ContextLengthExceeded(contextLength, prompt.Tokens.Count);

            var sink = new LocalGenerationSink(attempt, request, frame, lease, logger);
            var asked = ToGenerationRequest(request, prompt, grammar, contextLength) with { From = frame.Progress };
            asked = asked with { Scope = attempt.Principal, Sampling = asked.Sampling with { Seed = frame.Seed } };
            if (engine.TrySubmit(asked, sink) is not { } running)
                return ApiErrors.RateLimited(engine.RetryAfter);
            handedOver = true;
            attempt.Production?.Arm(running.Suspend, () => running.TrySnapshot(() => attempt.Output.EventCount) is { } now ? frame with { Progress = now.Progress, EventCount = now.Mark } : null);
            var whenCancelled = attempt.Cancellation.UnsafeRegister(static state => ((EngineGeneration)state!).Cancel(), running);
            attempt.Production?.Own(whenCancelled);
            return null;
        }
        catch (ChatTemplateException error)
        {
            // The model's own template refused these messages, and says why: roles that do not alternate, for one.
            return new ApiError(400, $"The model's chat template does not accept these messages: {error.Message}", ApiErrors.InvalidRequestType, "messages", null);
        }
        catch (GenerationDivergedException)
        {
            LogDiverged(attempt.Generation.Id);
            return ApiErrors.ContinuationDiverged();
        }
        catch (ToolSchemaException error)
        {
            if (LocalTools.Find(request)?.Tools.FirstOrDefault(tool => tool.Name == error.Tool) is { IsCustom: true }) return ApiErrors.InvalidToolPattern(error.Tool, error.Message);
            return ApiErrors.InvalidFunctionSchema(request.Tools is null ? "functions" : "tools", error.Tool, error.Fault.Path, error.Message);
        }
        catch (GrammarException error)
        {
            return ApiErrors.InvalidSchema("response_format", request.ResponseSchema?.Name ?? "", error.Path, error.Message);
        }
        finally
        {
            if (!handedOver) lease.Dispose();
        }
    }

    private async Task<(ChatPrompt Prompt, Grammar? Grammar)> EncodeAsync(
        InferenceEngine engine, ChatCompletionRequest request, TimeProvider then, CancellationToken cancellation)
    {
        await s_encoders.WaitAsync(cancellation);
        try
        {
            // A schema that is refused costs no prompt.
            var grammar = request.ResponseSchema is { } format ? format.Schema is { } schema ? grammars.Get(schema, format.IsStrict) : Grammar.JsonObject : null;
            return (engine.EncodeChat(PromptMessages.From(request.Messages), PromptMessages.From(request, grammar), then), grammar);
        }
        finally
        {
            s_encoders.Release();
        }
    }

    private static GenerationRequest ToGenerationRequest(ChatCompletionRequest request, ChatPrompt prompt, Grammar? grammar, int contextLength) => new()
    {
        PromptTokens = prompt.Tokens,
        MaxTokens = int.Min(request.MaxTokens ?? int.MaxValue, contextLength - prompt.Tokens.Count),
        ChoiceCount = request.N,
        StopSequences = request.Stop,
        Grammar = grammar,
        Answer = prompt.Answer,
        Sampling = new SamplingParameters
        {
            Temperature = (float)(request.Temperature ?? 1),
            TopP = (float)(request.TopP ?? 1),
            TopK = request.TopK ?? 0,
            MinP = (float)(request.MinP ?? 0),
            RepetitionPenalty = (float)(request.RepetitionPenalty ?? 1),
            PresencePenalty = (float)request.PresencePenalty,
            FrequencyPenalty = (float)request.FrequencyPenalty,
            LogitBias = request.LogitBias.Count == 0 ? null : request.LogitBias.ToDictionary(bias => bias.Key, bias => (float)bias.Value),
            TopLogprobs = request.Logprobs ? request.TopLogprobs : null,
        },
    };

    [LoggerMessage(1, LogLevel.Warning, "{Id} can't be gone on with: its model or its prompt is not what it was.")]
    private partial void LogDiverged(string id);
}
