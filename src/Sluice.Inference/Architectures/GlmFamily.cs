namespace Sluice.Inference.Architectures;

/// <summary>
/// GLM 4 (<c>glm4</c>): norms on both sides, interleaved pairs, half of a head turns. GLM 4.5 (<c>glm4moe</c>): halves, and experts behind a dense
/// layer.
/// </summary>
internal static class GlmFamily
{
    public static ModelPlan Read4(PlanReader reader) => DecoderReader.Read(reader, static layer => LlamaFamily.Interleave(layer) with
    {
        PostMixerNorm = "post_attention_norm",
        PostFeedForwardNorm = "post_ffw_norm",
    });

    public static ModelPlan Read4Experts(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.Sigmoid, normalizes: true);
        int leading = reader.Integer("leading_dense_block_count", 0, reader.LayerCount, 0);
        return DecoderReader.Read(reader, layer => layer with
        {
            FeedForwardNorm = "post_attention_norm",
            FeedForward = layer.Index < leading ? layer.FeedForward : null,
            Experts = layer.Index < leading ? null : experts,
        });
    }
}
