using System.Globalization;
using System.Text;
using Sluice.Inference.Scheduling;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>What a request delivers with its prompts in front, however it is cut into pieces, steps and stretches.</summary>
internal sealed class ScoredRun : IGenerationSink
{
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ScoredRun? _before;
    private readonly List<byte>[] _texts;
    private readonly List<byte>[] _replayed;

    private ScoredRun(int choiceCount, ScoredRun? before)
    {
        _before = before;
        _texts = before?._texts ?? [.. Enumerable.Range(0, choiceCount).Select(_ => new List<byte>())];
        Tokens = before?.Tokens ?? [.. Enumerable.Range(0, choiceCount).Select(_ => new List<TokenLogprob>())];
        Reasons = before?.Reasons ?? new FinishReason?[choiceCount];
        _replayed = [.. Enumerable.Range(0, choiceCount).Select(_ => new List<byte>())];
    }

    public List<TokenLogprob>[] Tokens { get; }

    public FinishReason?[] Reasons { get; }

    public GenerationUsage Usage { get; private set; }

    private GenerationProgress? Progress { get; set; }

    public string Text(int choice) => Encoding.UTF8.GetString([.. _texts[choice]]);

    /// <summary>Everything, to be compared.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        for (int choice = 0; choice < _texts.Length; choice++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{choice} {Convert.ToHexString([.. _texts[choice]])} {Reasons[choice]}");
            foreach (TokenLogprob token in Tokens[choice])
            {
                text.Append(CultureInfo.InvariantCulture, $" {token.Token}={Convert.ToHexString(token.Bytes.Span)}:{BitConverter.SingleToInt32Bits(token.Logprob)}");
                text.AppendJoin(',', token.Top.Select(top => $"{top.Token}:{BitConverter.SingleToInt32Bits(top.Logprob)}"));
                text.Append(token.IsFirst ? "!" : "");
            }

            text.AppendLine();
        }

        return text.Append(Usage).ToString();
    }

    public static async Task<ScoredRun> RunAsync(InferenceEngine engine, GenerationRequest request, Action<Action?>? onStep = null, params int[] stretches)
    {
        int choiceCount = request.ChoiceCount * (1 + request.FurtherPrompts.Count);
        ScoredRun? run = null;
        foreach (int steps in stretches.Append(int.MaxValue))
        {
            run = new ScoredRun(choiceCount, run);
            EngineGeneration? running = null;
            int count = 0;
            onStep?.Invoke(() =>
            {
                SpinWait.SpinUntil(() => Volatile.Read(ref running) != null);
                if (++count == steps)
                {
                    running!.Suspend();
                }
            });
            Volatile.Write(ref running, engine.TrySubmit(request, run)!);
            if (steps == 0)
            {
                running.Suspend();
            }

            string how = await run._ended.Task;
            for (int i = 0; run._before != null && i < choiceCount; i++)
            {
                Assert.True(run._texts[i].Take(run._replayed[i].Count).SequenceEqual(run._replayed[i]), "What was replayed had not been delivered.");
            }

            if (how == "completed")
            {
                onStep?.Invoke(null);
                return run;
            }

            Assert.Equal("suspended", how);
            request = request with { From = SuspendedRun.Stored(run.Progress!) };
        }

        throw new InvalidOperationException("The last stretch has no end.");
    }

    public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        _texts[choiceIndex].AddRange(utf8);
        Tokens[choiceIndex].AddRange(tokens);
    }

    public void OnReplayedText(int choiceIndex, ReadOnlySpan<byte> utf8) => _replayed[choiceIndex].AddRange(utf8);

    public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => throw new NotSupportedException();

    public void OnToolCall(int choiceIndex, int callIndex, string tool) => throw new NotSupportedException();

    public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) => throw new NotSupportedException();

    public void OnFinished(int choiceIndex, FinishReason reason)
    {
        Assert.Null(Reasons[choiceIndex]);
        Reasons[choiceIndex] = reason;
    }

    public void OnCompleted(GenerationUsage usage) => End(usage, "completed");

    public void OnCancelled(GenerationUsage usage) => End(usage, "cancelled");

    public void OnSuspended(GenerationProgress progress, GenerationUsage usage)
    {
        Progress = progress;
        End(usage, "suspended");
    }

    public void OnFailed(Exception error) => End(default, error.ToString());

    private void End(GenerationUsage usage, string how)
    {
        Usage = usage;
        _ended.SetResult(how);
    }
}
