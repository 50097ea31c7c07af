using System.Text;
using Sluice.Inference.Scheduling;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>Keeps what a generation delivers.</summary>
internal sealed class CollectingSink(int choiceCount = 1) : IGenerationSink
{
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<byte>[] _text = [.. Enumerable.Range(0, choiceCount).Select(_ => new List<byte>())];

    /// <summary>"completed", "cancelled", "suspended" or the failure's message.</summary>
    public Task<string> Ended => _ended.Task;

    public Task Started => _started.Task;

    public List<TokenLogprob> Tokens { get; } = [];

    public Dictionary<int, FinishReason> Reasons { get; } = [];

    public string Reasoning { get; private set; } = "";

    /// <summary>Tools and their arguments, of all choices together.</summary>
    public List<(string Tool, string Arguments)> Calls { get; } = [];

    public GenerationUsage Usage { get; private set; }

    /// <summary>Where it was suspended.</summary>
    public GenerationProgress? Progress { get; private set; }

    public string Text(int choice = 0) => Encoding.UTF8.GetString([.. _text[choice]]);

    public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        _text[choiceIndex].AddRange(utf8);
        Tokens.AddRange(tokens);
        _started.TrySetResult();
    }

    public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => Reasoning += Encoding.UTF8.GetString(utf8);

    public void OnToolCall(int choiceIndex, int callIndex, string tool)
    {
        if (callIndex != Calls.Count) throw new InvalidOperationException("A call was left out.");
        Calls.Add((tool, ""));
    }

    public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) =>
        Calls[callIndex] = (Calls[callIndex].Tool, Calls[callIndex].Arguments + Encoding.UTF8.GetString(utf8Json));

    public void OnFinished(int choiceIndex, FinishReason reason) => Reasons.Add(choiceIndex, reason);

    public void OnCompleted(GenerationUsage usage) => End(usage, "completed");

    public void OnSuspended(GenerationProgress progress, GenerationUsage usage)
    {
        Progress = progress;
        End(usage, "suspended");
    }

    public void OnCancelled(GenerationUsage usage) => End(usage, "cancelled");

    public void OnFailed(Exception error) => End(default, error.Message);

    private void End(GenerationUsage usage, string how)
    {
        Usage = usage;
        _started.TrySetResult();
        _ended.SetResult(how);
    }
}
