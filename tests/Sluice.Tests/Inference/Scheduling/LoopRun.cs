using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>What came of requests that were asked at once, on the thread of the test and a clock that only the model moves.</summary>
/// <param name="Answers">Pieces and usage of each, as <see cref="SuspendedRun.Format"/> writes them.</param>
/// <param name="DraftedCount">Guesses that were computed.</param>
/// <param name="AcceptedCount">Those that were right.</param>
internal sealed record LoopRun(string[] Answers, long DraftedCount, long AcceptedCount)
{
    private const int StepsMax = 100_000;

    public static LoopRun Run(LanguageModel model, EngineOptions options, GenerationRequest[] requests) => Run(model, options, requests, new ManualTimeProvider());

    public static LoopRun Run(LanguageModel model, EngineOptions options, GenerationRequest[] requests, TimeProvider clock)
    {
        var loop = new EngineLoop(model, options, new Lazy<TokenTrie>(() => new TokenTrie(model.Tokenizer)), clock,
            new GenerationQueue(EngineLimits.QueueCapacity));
        SuspendedRun[] sinks = [.. requests.Select(static _ => SuspendedRun.Into([]))];
        for (int i = 0; i < requests.Length; i++)
        {
            loop.Accept(new EngineGeneration(null!, requests[i], sinks[i], model.Description.ContextLength));
        }

        for (int i = 0; !Array.TrueForAll(sinks, static sink => sink.Ended.IsCompleted); i++)
        {
            Assert.True(loop.Step(), "The loop had nothing to do.");
            Assert.True(i < StepsMax, "The loop went on for too long.");
        }

        Assert.All(sinks, static sink => Assert.True(sink.IsWhole, "It failed."));
        return new LoopRun(
            [.. sinks.Select((sink, i) => SuspendedRun.Format(sink.Pieces, requests[i].ChoiceCount, sink.Usage))], loop.DraftedCount, loop.AcceptedCount);
    }
}
