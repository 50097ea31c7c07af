using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Gguf;
using Sluice.Inference.Sampling;
using Sluice.Inference.Transformer;
using Sluice.Testing;
using Sluice.Tests.Inference.Transformer;
using Xunit;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>How often a token reads the weights, and how many bytes that are: with one stream both together are nearly all of its time.</summary>
public sealed class StepsPerTokenTests
{
    // The file's 4-bit blocks keep their 20 bytes for 32 weights. The embedding, as output matrix, may grow by two bytes of 34 where a block gets a sum.
    private const double PackedToFileMax = 1.05;

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(16)]
    public async Task Streams_that_run_together_share_each_step(int streamCount)
    {
        const int TokenCount = 60;
        using var tiny = TinyModelFile.Load("llama");
        using var model = new WorkModel(tiny.Model.Tokenizer);
        var loop = new EngineLoop(
            model, new EngineOptions(), new Lazy<TokenTrie>(() => throw new InvalidOperationException("No grammar is asked for.")),
            model.Clock, new GenerationQueue(EngineLimits.QueueCapacity));
        var sinks = new List<CollectingSink>();
        for (var i = 0; i < streamCount; i++)
        {
            var request = new GenerationRequest
            {
                PromptTokens = [.. Enumerable.Range(1000 * i, 10)],
                MaxTokens = TokenCount,
                Sampling = new SamplingParameters { Temperature = 0 },
            };
            sinks.Add(new CollectingSink());
            loop.Accept(new EngineGeneration(null!, request, sinks[^1], model.Description.ContextLength));
        }

        while (sinks.Exists(sink => !sink.Ended.IsCompleted)) Assert.True(loop.Step(), "The loop had nothing to do.");

        foreach (var sink in sinks) Assert.Equal("completed", await sink.Ended);
        // One step has the prompts, and gives the first token of each; then one step for each further token of all streams, or fewer where a step gives several.
        Assert.InRange(model.StepCount, 1, TokenCount);
        // The last token of an answer is not computed, for nothing follows it. No stream has the beginning of another's prompt, and nothing is guessed.
        Assert.Equal(streamCount * (10 + TokenCount - 1), model.ComputedTokenCount);
    }

    [Fact]
    public void A_step_reads_hardly_more_bytes_of_weights_than_the_file_has()
    {
        using var file = GgufFile.Open(TestFiles.DefaultModel);
        using var weights = new TransformerWeights(file, Sluice.Inference.Architectures.ArchitectureTable.Read(file));
        var fileBytes = file.Tensors.Values.Sum(static tensor => tensor.SizeBytes);
        Assert.InRange((double)weights.SizeBytes / fileBytes, 0.9, PackedToFileMax);
    }
}
