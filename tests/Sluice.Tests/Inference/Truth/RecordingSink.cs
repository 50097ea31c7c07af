using System.Text;
using Sluice.Inference.Generation;

namespace Sluice.Tests.Inference.Truth;

/// <summary>Keeps all that an engine says about one generation. Ask for log probabilities to see tokens.</summary>
internal sealed class RecordingSink : IGenerationSink
{
    // Generous: a shared machine may be slow, a hang must end the test.
    private static readonly TimeSpan WaitMax = TimeSpan.FromMinutes(2);

    private readonly ManualResetEventSlim _ended = new();
    private readonly ManualResetEventSlim _started = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<int, List<TokenLogprob>> _tokens = [];
    private readonly Dictionary<int, StringBuilder> _texts = [];
    private readonly Dictionary<int, FinishReason> _reasons = [];

    /// <summary>Called on the engine's thread whenever text comes.</summary>
    public Action? OnProgress { get; init; }

    public bool IsCompleted { get; private set; }

    public bool IsCancelled { get; private set; }

    public Exception? Error { get; private set; }

    public GenerationUsage Usage { get; private set; }

    /// <summary>Waits for the end and throws what the engine failed with.</summary>
    public void Wait()
    {
        WaitForEnd();
        if (Error != null)
        {
            throw new InvalidOperationException("The generation failed.", Error);
        }
    }

    public void WaitForEnd()
    {
        if (!_ended.Wait(WaitMax))
        {
            throw new TimeoutException("The generation did not end.");
        }
    }

    public void WaitForText()
    {
        if (!_started.Wait(WaitMax))
        {
            throw new TimeoutException("No text came.");
        }
    }

    public IReadOnlyList<int> Tokens(int choice)
    {
        lock (_gate)
        {
            return _tokens.TryGetValue(choice, out var tokens) ? [.. tokens.Select(t => t.Token)] : [];
        }
    }

    public IReadOnlyList<float> Logprobs(int choice)
    {
        lock (_gate)
        {
            return _tokens.TryGetValue(choice, out var tokens) ? [.. tokens.Select(t => t.Logprob)] : [];
        }
    }

    public string Text(int choice)
    {
        lock (_gate)
        {
            return _texts.TryGetValue(choice, out var text) ? text.ToString() : "";
        }
    }

    public FinishReason? Reason(int choice)
    {
        lock (_gate)
        {
            return _reasons.TryGetValue(choice, out var reason) ? reason : null;
        }
    }

    void IGenerationSink.OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        lock (_gate)
        {
            _tokens.TryAdd(choiceIndex, []);
            _tokens[choiceIndex].AddRange(tokens);
            _texts.TryAdd(choiceIndex, new StringBuilder());
            _texts[choiceIndex].Append(Encoding.UTF8.GetString(utf8));
        }

        _started.Set();
        OnProgress?.Invoke();
    }

    void IGenerationSink.OnFinished(int choiceIndex, FinishReason reason)
    {
        lock (_gate)
        {
            _reasons.Add(choiceIndex, reason);
        }
    }

    void IGenerationSink.OnCompleted(GenerationUsage usage)
    {
        Usage = usage;
        IsCompleted = true;
        _ended.Set();
    }

    void IGenerationSink.OnCancelled(GenerationUsage usage)
    {
        Usage = usage;
        IsCancelled = true;
        _ended.Set();
    }

    void IGenerationSink.OnFailed(Exception error)
    {
        Error = error;
        _ended.Set();
    }
}
