using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Tokenization;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Completions;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>
/// Writes what the engine generates as events into the log, on the engine's thread. Text without log probabilities allocates nothing.
/// </summary>
internal sealed partial class LocalGenerationSink : IGenerationSink
{
    private readonly Attempt _attempt;
    private readonly Generation _generation;
    private readonly AnswerWriter _output;
    private readonly DeltaWriter _writer;
    private readonly IDisposable _lease;
    private readonly AnswerSnapshot _frame;
    private readonly ILogger _logger;
    private readonly ResponseSchema? _schema;
    private readonly bool _hasLogprobs;
    private readonly List<DeltaLogprob> _logprobs = [];
    private readonly HashSet<string> _customTools = [];
    private readonly CustomInputReader?[] _inputs = [];
    private readonly string?[] _stopTexts;

    // Names tokens that print nothing; null where nobody wants to know.
    private readonly Tokenizer? _tokenizer;
    private bool _hasRoles;

    /// <param name="attempt">Whose log is written.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="frame">What a suspension keeps beside the engine's progress.</param>
    /// <param name="lease">Disposed at the end.</param>
    /// <param name="logger">Told of failures.</param>
    /// <param name="promptTokens">Tokens of the prompt.</param>
    /// <param name="past">Events of the answer before this production, where the dialect needs them; null at the beginning.</param>
    public LocalGenerationSink(
        Attempt attempt, ChatCompletionRequest request, AnswerSnapshot frame, IDisposable lease, ILogger logger, int promptTokens = 0,
        EventBuffer? past = null)
        : this(attempt, frame, lease, logger, request.N, promptTokens)
    {
        _schema = request.ResponseSchema;
        _hasLogprobs = request.Logprobs;
        _customTools = [.. LocalTools.Find(request)?.Tools.Where(tool => tool.IsCustom).Select(tool => tool.Name) ?? []];
        _inputs = new CustomInputReader?[request.N];
        if (past is not null) _writer.Restore(past);
    }

    /// <param name="attempt">Whose log is written.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="prompts">The request's, in their order.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="frame">What a suspension keeps beside the engine's progress.</param>
    /// <param name="lease">Disposed at the end.</param>
    /// <param name="logger">Told of failures.</param>
    public LocalGenerationSink(
        Attempt attempt, CompletionRequest request, IReadOnlyList<RawPrompt> prompts, Tokenizer tokenizer, AnswerSnapshot frame, IDisposable lease,
        ILogger logger)
        : this(attempt, frame, lease, logger, prompts.Count * request.N, promptTokens: 0)
    {
        if (request.Logprobs is null) return;
        _hasLogprobs = true;
        _tokenizer = tokenizer;
        // With echo they are delivered like any other text.
        for (var i = 0; i < prompts.Count * request.N && !request.Echo; i++) _writer.Pass(i, prompts[i / request.N].Text.Utf8.Span);
    }

    private LocalGenerationSink(Attempt attempt, AnswerSnapshot frame, IDisposable lease, ILogger logger, int choiceCount, int promptTokens)
    {
        _attempt = attempt;
        _generation = attempt.Generation;
        _output = attempt.Output;
        _lease = lease;
        _frame = frame;
        _hasRoles = attempt.From is { EventCount: > 0 };
        _logger = logger;
        _stopTexts = new string?[choiceCount];
        _writer = attempt.CreateWriter((attempt with { Created = frame.Created }).HeadAt(frame.Created) with { PromptTokens = promptTokens });
    }

    public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        if (_output.HasEnded) return;
        AddContent();
        BeginContent(isText: true);
        if (_hasLogprobs) Convert(tokens);
        _writer.Text(_output, choiceIndex, utf8, CollectionsMarshal.AsSpan(_logprobs));
    }

    public void OnReplayedText(int choiceIndex, ReadOnlySpan<byte> utf8) => _writer.Pass(choiceIndex, utf8);

    public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8)
    {
        if (_output.HasEnded) return;
        AddContent();
        BeginContent(isText: false);
        _writer.Reasoning(_output, choiceIndex, utf8);
    }

    public void OnToolCall(int choiceIndex, int callIndex, string tool)
    {
        if (_output.HasEnded) return;
        AddContent();
        BeginContent(isText: false);
        var isCustom = _customTools.Contains(tool);
        _inputs[choiceIndex] = isCustom ? new CustomInputReader() : null;
        _writer.Call(_output, choiceIndex, callIndex, isCustom ? CallKind.Custom : CallKind.Function, CallId(choiceIndex, callIndex), tool);
    }

    public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json)
    {
        if (_output.HasEnded) return;
        AddContent();
        BeginContent(isText: false);
        if (_inputs[choiceIndex] is not { } input)
        {
            _writer.Input(_output, choiceIndex, callIndex, CallKind.Function, utf8Json);
            return;
        }
        var text = input.Read(utf8Json);
        if (text.Length > 0) _writer.Input(_output, choiceIndex, callIndex, CallKind.Custom, text);
    }

    // The input of a custom tool is read out of its arguments from their beginning on.
    public void OnReplayedToolCall(int choiceIndex, int callIndex, string tool)
    {
        _inputs[choiceIndex] = _customTools.Contains(tool) ? new CustomInputReader() : null;
        _writer.PassCall(choiceIndex, CallId(choiceIndex, callIndex), tool);
    }

    public void OnReplayedToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json)
    {
        if (_inputs[choiceIndex] is { } input) _writer.PassInput(choiceIndex, input.Read(utf8Json));
        else _writer.PassInput(choiceIndex, utf8Json);
    }

    public void OnStopSequence(int choiceIndex, string text) => _stopTexts[choiceIndex] = text;

    public void OnFinished(int choiceIndex, FinishReason reason)
    {
        if (_output.HasEnded) return;
        if (reason == FinishReason.Exhausted && Budget is { OnExhausted: not ExhaustedPolicy.Length } hold)
        {
            _output.Fail(LimitErrors.Exhausted(hold.Cut));
            return;
        }
        BeginContent(isText: true);
        var end = reason switch
        {
            FinishReason.Length or FinishReason.Exhausted => AnswerEnd.Length,
            FinishReason.ToolCalls => AnswerEnd.ToolCalls,
            FinishReason.Repetition => AnswerEnd.Repetition,
            _ => AnswerEnd.Stop,
        };
        _writer.Finish(_output, choiceIndex, new AnswerFinish(end)
        {
            StopText = _stopTexts[choiceIndex],
            Budget = reason == FinishReason.Exhausted ? Budget?.Cut?.ToMark() : null,
        });
    }

    public void OnCompleted(GenerationUsage usage)
    {
        if (!_output.HasEnded) _writer.Usage(_output, Convert(usage), isEstimated: false);
        _attempt.Complete(Convert(usage), isEstimated: false);
        _lease.Dispose();
        LogCompleted(_generation.Id, usage.PromptTokens, usage.CachedPromptTokens, usage.CompletionTokens);
    }

    public void OnCancelled(GenerationUsage usage)
    {
        _attempt.SetUsage(Convert(usage), isEstimated: false);
        _output.Cancel(_attempt);
        _lease.Dispose();
        LogCancelled(_generation.Id, _generation.CancellationCause, usage.CompletionTokens);
    }

    public void OnSuspended(GenerationProgress progress, GenerationUsage usage)
    {
        _attempt.SetUsage(Convert(usage), isEstimated: false);
        _lease.Dispose();
        LogSuspended(_generation.Id, usage.CompletionTokens);
        _attempt.Production!.Suspend(_frame with { Progress = progress, EventCount = _output.EventCount });
    }

    public void OnFailed(Exception error)
    {
        if (error is OperationCanceledException)
        {
            // The engine itself is stopping: no fault of anything.
            _output.Fail(ServerState.StoppingError);
        }
        else if (error is GrammarException grammar)
        {
            // Without a format it is the grammar of a call.
            _output.Fail(_schema?.Refuse(grammar.Path, grammar.Message) ?? ApiErrors.InvalidSchema("tools", "", grammar.Path, grammar.Message));
        }
        else if (error is GenerationDisplacedException displaced)
        {
            _output.Fail(ApiErrors.RateLimited(displaced.RetryAfter));
        }
        else
        {
            LogFailed(error, _generation.Id);
            _output.Fail(ApiErrors.ServerError());
        }
        _lease.Dispose();
    }

    private Hold? Budget => _attempt.Record.Hold;

    private void AddContent()
    {
        _output.AddContent();
        _attempt.Production?.AddContent();
    }

    // Not before there is something to say, for until the first event a failure is still an HTTP status.
    private void BeginContent(bool isText)
    {
        if (_hasRoles) return;
        _hasRoles = true;
        // The engine runs no races.
        _attempt.Commit.TryPass(_attempt);
        _writer.Begin(_output, isText);
    }

    // Unlike every other id: that of the completion is in it.
    private string CallId(int choiceIndex, int callIndex) =>
        string.Create(CultureInfo.InvariantCulture, $"call_{_generation.Id.AsSpan(_generation.Id.AsSpan().IndexOfAny('-', '_') + 1)}_{choiceIndex}_{callIndex}");

    private static AnswerUsage Convert(GenerationUsage usage) =>
        new(usage.PromptTokens, usage.CachedPromptTokens, usage.CompletionTokens, usage.ReasoningTokens);

    private void Convert(ReadOnlySpan<TokenLogprob> tokens)
    {
        _logprobs.Clear();
        foreach (var token in tokens)
        {
            var top = new DeltaLogprob[token.Top.Count];
            for (var i = 0; i < top.Length; i++)
                top[i] = new DeltaLogprob(token.Top[i].Bytes, token.Top[i].Logprob) { Name = NameOf(token.Top[i].Token, token.Top[i].Bytes) };
            _logprobs.Add(new DeltaLogprob(token.Bytes, token.Logprob, top) { Name = NameOf(token.Token, token.Bytes), IsFirst = token.IsFirst });
        }
    }

    private string? NameOf(int token, ReadOnlyMemory<byte> bytes) => bytes.IsEmpty ? _tokenizer?.GetPiece(token) : null;

    [LoggerMessage(1, LogLevel.Debug, "{Id}: {PromptTokens} prompt tokens ({CachedTokens} cached), {CompletionTokens} generated.")]
    private partial void LogCompleted(string id, int promptTokens, int cachedTokens, int completionTokens);

    [LoggerMessage(2, LogLevel.Debug, "{Id} was cancelled ({Cause}) after {CompletionTokens} tokens.")]
    private partial void LogCancelled(string id, CancellationCause? cause, int completionTokens);

    [LoggerMessage(4, LogLevel.Debug, "{Id} is suspended after {CompletionTokens} tokens.")]
    private partial void LogSuspended(string id, int completionTokens);

    [LoggerMessage(3, LogLevel.Error, "{Id} failed in the engine.")]
    private partial void LogFailed(Exception error, string id);
}
