namespace Sluice.Inference.Architectures;

/// <summary>OLMo 2 and 3 (<c>olmo2</c>): no norm before a part, one behind it; queries and keys normalised as a whole. OLMoE: the norm before.</summary>
internal static class OlmoFamily
{
    public static ModelPlan Read2(PlanReader reader)
    {
        int window = WindowReader.Length(reader);
        ModelPlan plan = DecoderReader.Read(reader, layer =>
        {
            LayerPlan shaped = Whole(layer).WithPostNormsOnly();
            return window > 0 && WindowReader.IsLocal(reader, layer.Index, 4) ? WindowReader.Narrow(shaped, window, rope: 1) : shaped;
        });

        // Only layers that see everything stretch their positions.
        RopeConfig rope = plan.Ropes[0];
        return plan with
        {
            Ropes = [rope, rope with
            {
                FrequencyBase = reader.Number("rope.freq_base_swa", 1.001, 1e12, rope.FrequencyBase),
                Scaling = RopeScaling.None,
                Factor = 1,
                AttentionFactor = 1,
            }],
        };
    }

    public static ModelPlan ReadExperts(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.Softmax, normalizes: false, fallbackLength: "feed_forward_length");
        return DecoderReader.Read(reader, layer => Whole(layer) with { FeedForward = null, Experts = experts });
    }

    private static LayerPlan Whole(LayerPlan layer) => layer with { Attention = layer.Attention! with { HeadNorm = HeadNorm.WholeProjection } };
}
