namespace Sluice.Inference.Architectures;

/// <summary>LFM 2 and 2.5: short convolutions, and attention where a layer has key/value heads. Dense, or with experts behind dense layers.</summary>
internal static class Lfm2Family
{
    public static ModelPlan Read(PlanReader reader) => Read(reader, null, reader.LayerCount);

    public static ModelPlan ReadExperts(PlanReader reader) => Read(
        reader,
        ExpertReader.Require(reader, ExpertGate.Sigmoid, normalizes: true),
        reader.Integer("leading_dense_block_count", 0, reader.LayerCount, 0));

    private static ModelPlan Read(PlanReader reader, ExpertPlan? experts, int denseCount)
    {
        RecurrentPlan convolution = RecurrentReader.ReadShortConvolution(reader);
        return DecoderReader.Read(reader, layer => layer with
        {
            Recurrent = layer.Attention == null ? convolution : null,
            FeedForward = layer.Index < denseCount ? layer.FeedForward : null,
            Experts = layer.Index < denseCount ? null : experts,
        }, isHybrid: true) with
        {
            // The last norm, under the name of an embedding's.
            OutputNorm = "token_embd_norm",
        };
    }
}
