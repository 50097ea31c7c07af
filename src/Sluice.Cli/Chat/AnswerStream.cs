using System.Text;
using System.Threading.Channels;
using Sluice.Inference.Scheduling;

namespace Sluice.Cli.Chat;

/// <summary>Carries one answer from the engine's thread to the terminal.</summary>
internal sealed class AnswerStream(TimeProvider time) : IGenerationSink
{
    // Unbounded, because the engine must not wait; what one answer holds is bounded by the model's context.
    private readonly Channel<string> _text = Channel.CreateUnbounded<string>(new() { SingleReader = true, SingleWriter = true });
    private readonly long _start = time.GetTimestamp();
    private long _first;
    private long _last;

    /// <summary>Pieces of the answer; ends when the answer does, and throws what the engine failed with.</summary>
    public IAsyncEnumerable<string> Pieces => _text.Reader.ReadAllAsync();

    /// <summary>Set before <see cref="Pieces"/> ends.</summary>
    public GenerationUsage Usage { get; private set; }

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
        _text.Writer.TryWrite(Encoding.UTF8.GetString(utf8));
    }

    // Chats ask for text only.
    public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => throw new NotSupportedException();

    public void OnToolCall(int choiceIndex, int callIndex, string tool) => throw new NotSupportedException();

    public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => throw new NotSupportedException();

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
