using Sluice.Inference.Transformer;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>How often the threads of a step wait for each other: the part of a lone stream's time that is neither reading nor computing.</summary>
public sealed class BarrierCountTests
{
    [Theory]
    [InlineData(1, 5)] // projections | attention | output | gate and up | down
    [InlineData(4, 5)]
    [InlineData(5, 7)] // the two norms are shared out as well
    public void A_step_of_one_token_a_sequence_meets_so_often_a_layer(int sequenceCount, int barriersPerLayer)
    {
        using var tiny = TinyModelFile.Load("llama", threadCount: 2);
        var model = (TransformerModel)tiny.Model;
        var layers = TinyModel.Get("llama").Layers;
        var batch = new StepBatch();
        for (var i = 0; i < sequenceCount; i++)
        {
            var sequence = new KvSequence();
            model.Cache.TryGrow(sequence, 1);
            batch.Add(sequence, [7 + i], 0, 1, wantsLogits: true);
        }

        var before = model.BarrierCount;
        model.Forward(batch, null);

        // After the embedding, after the last norm, and when the step ends.
        Assert.Equal((barriersPerLayer * layers) + 3, model.BarrierCount - before);
    }

    [Theory]
    [InlineData(4, 5)] // such as a token and three guesses
    [InlineData(8, 7)]
    [InlineData(40, 8)] // what one thread rotates, others attend to
    public void A_step_of_several_tokens_of_a_sequence_meets_so_often_a_layer(int tokenCount, int barriersPerLayer)
    {
        using var tiny = TinyModelFile.Load("llama", threadCount: 2);
        var model = (TransformerModel)tiny.Model;
        var sequence = new KvSequence();
        var tokens = Enumerable.Range(5, tokenCount).ToArray();
        model.Cache.TryGrow(sequence, tokens.Length);
        var batch = new StepBatch();
        batch.Add(sequence, tokens, 0, tokens.Length, wantsLogits: true);

        var before = model.BarrierCount;
        model.Forward(batch, null);

        Assert.Equal((barriersPerLayer * TinyModel.Get("llama").Layers) + 3, model.BarrierCount - before);
    }
}
