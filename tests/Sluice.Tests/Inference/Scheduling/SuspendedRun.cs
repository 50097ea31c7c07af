using System.Globalization;
using System.Text;
using Sluice.Inference.Scheduling;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>Runs a request in one go, or in stretches with suspensions between them, and keeps every piece that the sink is given.</summary>
internal sealed class SuspendedRun : IGenerationSink
{
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private static int s_runs;

    private GenerationProgress? _progress;

    private SuspendedRun(List<string> pieces) => Pieces = pieces;

    /// <summary>What was delivered, the choice's number first.</summary>
    public List<string> Pieces { get; }

    public Action? Delivered { get; init; }

    public Task<string> Ended => _ended.Task;

    /// <summary>Whether it was neither stopped nor failed.</summary>
    public bool IsWhole { get; private set; }

    public GenerationUsage Usage { get; private set; }

    public GenerationProgress Progress => _progress!;

    public static SuspendedRun Into(List<string> pieces, Action? delivered = null) => new(pieces) { Delivered = delivered };

    /// <summary>The pieces of each choice in their order, and the usage. Choices may overtake each other; nothing else may differ.</summary>
    /// <param name="engine">Idle.</param>
    /// <param name="onStep">Sets what is called behind each step of the engine.</param>
    /// <param name="request">What is generated.</param>
    /// <param name="stretches">Steps of each stretch before the last, which runs to the end.</param>
    public static async Task<string> RunAsync(InferenceEngine engine, Action<Action?> onStep, GenerationRequest request, params int[] stretches)
    {
        // Another scope for each run: what earlier runs have computed would show in the usage.
        request = request with { Scope = $"run {Interlocked.Increment(ref s_runs)}" };
        var pieces = new List<string>();
        foreach (int steps in stretches.Append(int.MaxValue))
        {
            var sink = new SuspendedRun(pieces);
            EngineGeneration? running = null;
            int count = 0;
            onStep(() =>
            {
                SpinWait.SpinUntil(() => Volatile.Read(ref running) != null);
                if (++count == steps)
                {
                    running!.Suspend();
                }
            });
            Volatile.Write(ref running, engine.TrySubmit(request, sink)!);
            if (steps == 0)
            {
                running.Suspend();
            }

            string how = await sink.Ended;
            if (how == "completed")
            {
                onStep(null);
                return Format(pieces, request.ChoiceCount, sink.Usage);
            }

            Assert.Equal("suspended", how);
            Assert.Equal(0, engine.ActiveCount);
            Assert.Equal(0, engine.QueuedCount);
            request = request with { From = Stored(sink._progress!) };
        }

        throw new InvalidOperationException("The last stretch has no end.");
    }

    public static string Format(List<string> pieces, int choiceCount, GenerationUsage usage)
    {
        var text = new StringBuilder();
        for (int choice = 0; choice < choiceCount; choice++)
        {
            foreach (string piece in pieces.Where(piece => piece.StartsWith(choice.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)))
            {
                text.AppendLine(piece);
            }
        }

        return text.Append(usage).ToString();
    }

    /// <summary>As a store gives it back, which keeps no bytes of tokens.</summary>
    public static GenerationProgress Stored(GenerationProgress progress) => progress with
    {
        Choices =
        [
            .. progress.Choices.Select(static choice => choice with
            {
                Held = [.. choice.Held.Select(static held => held with { Bytes = default, Top = [.. held.Top.Select(static top => top with { Bytes = default })] })],
            }),
        ],
    };

    public void OnText(int choiceIndex, ReadOnlySpan<byte> utf8, ReadOnlySpan<TokenLogprob> tokens)
    {
        var text = new StringBuilder(Convert.ToHexString(utf8));
        foreach (TokenLogprob token in tokens)
        {
            text.Append(CultureInfo.InvariantCulture, $" {token.Token}={Convert.ToHexString(token.Bytes.Span)}:{BitConverter.SingleToInt32Bits(token.Logprob)}");
            foreach (TokenAlternative top in token.Top)
            {
                text.Append(CultureInfo.InvariantCulture, $",{top.Token}={Convert.ToHexString(top.Bytes.Span)}:{BitConverter.SingleToInt32Bits(top.Logprob)}");
            }
        }

        Add(choiceIndex, "text", text.ToString());
    }

    public void OnReasoning(int choiceIndex, ReadOnlySpan<byte> utf8) => Add(choiceIndex, "reasoning", Convert.ToHexString(utf8));

    public void OnToolCall(int choiceIndex, int callIndex, string tool) => Add(choiceIndex, "call", $"{callIndex} {tool}");

    public void OnToolArguments(int choiceIndex, int callIndex, ReadOnlySpan<byte> utf8Json) =>
        Add(choiceIndex, "arguments", $"{callIndex} {Encoding.UTF8.GetString(utf8Json)}");

    public void OnFinished(int choiceIndex, FinishReason reason) => Add(choiceIndex, "finished", reason.ToString());

    public void OnCompleted(GenerationUsage usage) => End(usage, "completed");

    public void OnCancelled(GenerationUsage usage) => End(usage, "cancelled");

    public void OnSuspended(GenerationProgress progress, GenerationUsage usage)
    {
        _progress = progress;
        End(usage, "suspended");
    }

    public void OnFailed(Exception error) => End(default, error.ToString());

    private void Add(int choice, string kind, string text)
    {
        Pieces.Add($"{choice} {kind} {text}");
        Delivered?.Invoke();
    }

    private void End(GenerationUsage usage, string how)
    {
        Usage = usage;
        IsWhole = how == "completed";
        _ended.SetResult(how);
    }
}
