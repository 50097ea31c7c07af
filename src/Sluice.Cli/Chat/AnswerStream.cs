using System.Text;
using System.Threading.Channels;
using Sluice.Inference.Scheduling;

namespace Sluice.Cli.Chat;

/// <summary>Carries one answer from the engine's thread to the terminal.</summary>
internal sealed class AnswerStream(TimeProvider time) : IGenerationSink
{
    // Unbounded, because the engine must not wait; what one answer holds is bounded by the model's context.
    private readonly Channel<AnswerPiece> _text = Channel.CreateUnbounded<AnswerPiece>(new() { SingleReader = true, SingleWriter = true });
    private readonly long _start = time.GetTimestamp();
    private long _first;
    private long _last;
    private readonly List<(string Tool, StringBuilder Arguments)> _calls = [];

    /// <summary>Pieces of the answer; ends when the answer does, and throws what the engine failed with.</summary>
    public IAsyncEnumerable<AnswerPiece> Pieces => _text.Reader.ReadAllAsync();

    /// <summary>Set before <see cref="Pieces"/> ends.</summary>
    public GenerationUsage Usage { get; private set; }

    /// <summary>Tools that are to be called, with their arguments. Set before <see cref="Pieces"/> ends.</summary>
    public IReadOnlyList<(string Tool, string Arguments)> Calls => [.. _calls.Select(static call => (call.Tool, call.Arguments.ToString()))];

    public bool IsCancelled { get; private set; }

    public FinishReason? FinishReason { get; private set; }

    /// <summary>From the request to the first text; null when there was none.</summary>
    public TimeSpan? TimeToFirstToken => _first == 0 ? null : time.GetElapsedTime(_start, _first);

    /// <summary>Of the tokens after the first text; null for answers too short to say.</summary>
    public double? TokensPerSecond =>
        Usage.CompletionTokens > 1 && _first != 0 && _last > _first ? (Usage.CompletionTokens - 1) / time.GetElapsedTime(_first, _last).TotalSeconds : null;

    public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        _first = _first == 0 ? time.GetTimestamp() : _first;
        _text.Writer.TryWrite(new AnswerPiece(Encoding.UTF8.GetString(utf8), IsReasoning: false));
    }

    public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8)
    {
        _first = _first == 0 ? time.GetTimestamp() : _first;
        _text.Writer.TryWrite(new AnswerPiece(Encoding.UTF8.GetString(utf8), IsReasoning: true));
    }

    public void OnToolCall(int choiceIndex, int callIndex, string tool)
    {
        _first = _first == 0 ? time.GetTimestamp() : _first;
        _calls.Add((tool, new StringBuilder()));
    }

    public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => _calls[callIndex].Arguments.Append(Encoding.UTF8.GetString(utf8Json));

    public void OnFinished(int choiceIndex, FinishReason reason) => FinishReason = reason;

    public void OnCompleted(GenerationUsage usage) => End(usage, null);

    public void OnCancelled(GenerationUsage usage)
    {
        IsCancelled = true;
        End(usage, null);
    }

    public void OnSuspended(GenerationProgress progress, GenerationUsage usage) => throw new NotSupportedException();

    public void OnFailed(Exception error) => End(default, new CliException($"The answer broke off: {error.Message}", error));

    private void End(GenerationUsage usage, Exception? error)
    {
        _last = time.GetTimestamp();
        Usage = usage;
        _text.Writer.TryComplete(error);
    }
}

/// <summary>A piece of an answer.</summary>
/// <param name="Text">Whole characters.</param>
/// <param name="IsReasoning">Whether the model says it to itself.</param>
internal readonly record struct AnswerPiece(string Text, bool IsReasoning);
