using Microsoft.Extensions.Logging;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;
using Sluice.Inference.ToolCalls;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Metering;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Transport;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>The one place where the API's words become the engine's, and the engine's tokens become the API's events.</summary>
internal sealed partial class LocalUpstream(
    LocalModel model, LoadedModels<InferenceEngine> memory, GrammarCache grammars, RandomSource random, TimeProvider time,
    ILogger<LocalUpstream> logger)
    : SuspendableUpstream(model.Id, random, time), ITokenCounter
{
    private static readonly ApiError s_emptyPrompt =
        new(400, "The messages give an empty prompt: there is nothing to answer.", ApiErrors.InvalidRequestType, "messages", null);

    // Prompts of the whole process that are rendered and tokenised at a time. Each keeps a processor busy, for seconds if it is long;
    // more at once would only starve those threads that serve streams.
    private static readonly SemaphoreSlim s_encoders = new(Environment.ProcessorCount);

    protected override async Task<(ISuspendable? Work, ApiError? Error)> TrySubmitAsync(
        Attempt attempt, LocalRequest request, AnswerSnapshot frame, CancellationToken stop)
    {
        var asked = attempt.Record.Elapsed;
        var isLoaded = memory.PresenceOf(model.Path) == ModelPresence.Loaded;
        var (lease, error) = await memory.AcquireAsync(model, stop);
        if (!isLoaded) attempt.LoadTime = attempt.Record.Elapsed - asked;
        return lease is null ? (null, error) : await SubmitAsync(attempt, request, frame, lease, stop);
    }

    private sealed class Running(EngineGeneration generation, AnswerSnapshot frame, AnswerWriter output) : ISuspendable
    {
        public void Suspend() => generation.Suspend();

        public void Cancel() => generation.Cancel();

        public AnswerSnapshot? TrySnapshot() =>
            generation.TrySnapshot(() => output.EventCount) is { } now ? frame with { Progress = now.Progress, EventCount = now.Mark } : null;
    }

    // Keeps the lease for the sink when it has begun.
    private async Task<(ISuspendable?, ApiError?)> SubmitAsync(
        Attempt attempt, LocalRequest request, AnswerSnapshot frame, ModelLease<InferenceEngine> lease, CancellationToken stop)
    {
        var handedOver = false;
        try
        {
            var engine = lease.Engine;
            var (work, error) = request.Chat is { } chat
                ? await PrepareAsync(attempt, chat, frame, lease, stop)
                : await PrepareAsync(attempt, request.Texts!, frame, lease, stop);
            if (work is not { } prepared) return (null, error);
            var asked = prepared.Asked with
            {
                From = frame.Progress,
                Scope = attempt.Principal,
                // A text that is continued is the client's own business.
                RepetitionWindow = request.Chat is not null && model.EndsRepetition ? Limits.RepetitionWindow : null,
                Sampling = prepared.Asked.Sampling with { Seed = frame.Seed },
            };
            if (attempt.Record.Hold is { } hold)
            {
                var prompt = asked.PromptTokens.Count + asked.FurtherPrompts.Sum(static tokens => (long)tokens.Count);
                var choices = asked.ChoiceCount * (1 + asked.FurtherPrompts.Count);
                if (!hold.TryReserve(prompt, choices)) return (null, LimitErrors.Exhausted(hold.Cut));
                asked = asked with { MayContinue = () => TakeNext(hold, attempt.Production) };
            }
            if (engine.TrySubmit(asked, prepared.Sink) is not { } running)
            {
                attempt.Record.Hold?.BeginAttempt();
                return (null, ApiErrors.RateLimited(engine.RetryAfter));
            }
            handedOver = true;
            return (new Running(running, frame, attempt.Output), null);
        }
        catch (Exception error) when (FindFault(error, request) is { } fault)
        {
            return (null, fault);
        }
        catch (GenerationDivergedException)
        {
            LogDiverged(attempt.Generation.Id);
            return (null, ApiErrors.ContinuationDiverged());
        }
        finally
        {
            if (!handedOver) lease.Dispose();
        }
    }

    private async Task<((GenerationRequest Asked, LocalGenerationSink Sink)?, ApiError?)> PrepareAsync(
        Attempt attempt, ChatCompletionRequest request, AnswerSnapshot frame, ModelLease<InferenceEngine> lease, CancellationToken stop)
    {
        var contextLength = lease.Engine.Model.ContextLength;
        if (PromptSize.FindRefusal(request, contextLength) is { } tooLarge) return (null, tooLarge);
        var (prompt, grammar) = await EncodeAsync(lease.Engine, request, new RenderTime(frame.RenderedAt), stop);
        if (prompt.Tokens.Count == 0) return (null, s_emptyPrompt);
        if (prompt.Tokens.Count >= contextLength) return (null, ApiErrors.ContextLengthExceeded(contextLength, prompt.Tokens.Count));
        var sink = new LocalGenerationSink(attempt, request, frame, lease, logger, prompt.Tokens.Count, await ReadPastAsync(attempt));
        return ((ToGenerationRequest(request, model.Defaults.Or(lease.Engine.Model.Sampling), prompt, grammar, contextLength), sink), null);
    }

    public async Task<TokenCount> CountAsync(TokenQuestion question, CancellationToken cancellation)
    {
        await ReactorThread.LeaveAsync();
        if (!question.Client.TryRead(out var request, out var unreadable)) return new TokenCount(null, unreadable);
        // A text that is continued has no door that counts it.
        if (request.Chat is not { } chat) return default;
        if (chat.FindLocalRefusal() is { } refusal) return new TokenCount(null, refusal);
        var (lease, error) = await memory.AcquireAsync(model, cancellation);
        if (lease is null) return new TokenCount(null, error);
        using (lease)
        {
            if (PromptSize.FindRefusal(chat, lease.Engine.Model.ContextLength) is { } tooLarge) return new TokenCount(null, tooLarge);
            try
            {
                var (prompt, _) = await EncodeAsync(lease.Engine, chat, new RenderTime(Now), cancellation);
                return new TokenCount(prompt.Tokens.Count, null);
            }
            catch (Exception exception) when (FindFault(exception, request) is { } fault)
            {
                return new TokenCount(null, fault);
            }
        }
    }

    // On the engine's thread.
    private static NextToken TakeNext(Hold hold, Production? production)
    {
        if (hold.TryTake()) return NextToken.Allowed;
        if (production is null || !hold.Waits) return NextToken.Refused;
        // Whoever comes now waits until it has stopped, and asks for more.
        production.RequestSuspend();
        return NextToken.Later;
    }

    // What of the request the model, or a grammar, can't take; null for any other fault.
    private static ApiError? FindFault(Exception error, LocalRequest request)
    {
        switch (error)
        {
            case ChatTemplateException:
                // The model's own template refused these messages, and says why: roles that do not alternate, for one.
                var message = $"The model's chat template does not accept these messages: {error.Message}";
                return new ApiError(400, message, ApiErrors.InvalidRequestType, "messages", null);
            case ToolSchemaException schema:
                var isCustom = LocalTools.Find(request.Chat!)?.Tools.FirstOrDefault(tool => tool.Name == schema.Tool) is { IsCustom: true };
                if (isCustom) return ApiErrors.InvalidToolPattern(schema.Tool, schema.Message);
                var param = request.Chat!.Tools is null ? "functions" : "tools";
                return ApiErrors.InvalidFunctionSchema(param, schema.Tool, schema.Fault.Path, schema.Message);
            case GrammarException grammar:
                return (request.Chat?.ResponseSchema ?? new ResponseSchema("", null)).Refuse(grammar.Path, grammar.Message);
            default:
                return null;
        }
    }

    // Null where nobody needs it.
    private static async Task<EventBuffer?> ReadPastAsync(Attempt attempt)
    {
        if (!attempt.Dialect.WritesFromPast || attempt.From is not { EventCount: > 0 and var count }) return null;
        var events = new EventBuffer();
        using var reader = attempt.Generation.Log.TryOpenReader();
        while (reader is not null && reader.Position < count)
        {
            var outcome = reader.TryRead(events, int.MaxValue, events.AddEvent);
            if (outcome == ReadOutcome.Spilled && await reader.ReadSpilledAsync(events, int.MaxValue, events.AddEvent)) continue;
            if (outcome != ReadOutcome.Events) break;
        }
        return events.Count == count ? events : throw new GenerationDivergedException("The events of the answer's beginning are gone.");
    }

    private async Task<(ChatPrompt Prompt, Grammar? Grammar)> EncodeAsync(
        InferenceEngine engine, ChatCompletionRequest request, TimeProvider then, CancellationToken cancellation)
    {
        await s_encoders.WaitAsync(cancellation);
        try
        {
            // A schema that is refused costs no prompt.
            var grammar = request.ResponseSchema is { } format ? grammars.Get(format) : null;
            var (messages, tools) = (PromptMessages.From(request.Messages), PromptMessages.From(request, grammar, grammars));
            var ending = request.ContinuesMessage ? PromptEnding.RestOfMessage : request.IntroducesAnswer ? PromptEnding.Answer : PromptEnding.Anything;
            try
            {
                return (engine.EncodeChat(messages, tools, then, request.TemplateVariables, ending), grammar);
            }
            catch (ChatTemplateException) when (PromptMessages.TryMoveInstructions(messages, out var moved))
            {
                return (engine.EncodeChat(moved, tools, then, request.TemplateVariables, ending), grammar);
            }
        }
        finally
        {
            s_encoders.Release();
        }
    }

    // What a request says always counts before the model's defaults.
    private static GenerationRequest ToGenerationRequest(
        ChatCompletionRequest request, SamplingDefaults defaults, ChatPrompt prompt, Grammar? grammar, int contextLength) => new()
        {
            PromptTokens = prompt.Tokens,
            MaxTokens = int.Min(request.MaxTokens ?? defaults.MaxTokens ?? int.MaxValue, contextLength - prompt.Tokens.Count),
            ChoiceCount = request.N,
            StopSequences = request.Stop,
            Grammar = grammar,
            Answer = prompt.Answer,
            Sampling = new SamplingParameters
            {
                Temperature = (float)(request.Temperature ?? defaults.Temperature ?? 1),
                TopP = (float)(request.TopP ?? defaults.TopP ?? 1),
                TopK = request.TopK ?? defaults.TopK ?? 0,
                MinP = (float)(request.MinP ?? defaults.MinP ?? 0),
                RepetitionPenalty = (float)(request.RepetitionPenalty ?? defaults.RepetitionPenalty ?? 1),
                PresencePenalty = (float)request.PresencePenalty,
                FrequencyPenalty = (float)request.FrequencyPenalty,
                LogitBias = request.LogitBias.Count == 0 ? null : request.LogitBias.ToDictionary(bias => bias.Key, bias => (float)bias.Value),
                TopLogprobs = request.Logprobs ? request.TopLogprobs : null,
            },
        };

    [LoggerMessage(1, LogLevel.Warning, "{Id} can't be continued: its model or its prompt is not what it was.")]
    private partial void LogDiverged(string id);
}
