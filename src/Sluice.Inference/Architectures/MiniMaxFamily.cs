namespace Sluice.Inference.Architectures;

/// <summary>MiniMax M2: experts by sigmoids with a bias for the choice; queries and keys normalised as a whole.</summary>
internal static class MiniMaxFamily
{
    public static ModelPlan Read2(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.Sigmoid, normalizes: true, fallbackLength: "feed_forward_length");
        return DecoderReader.Read(reader, layer => layer with
        {
            Attention = layer.Attention! with { HeadNorm = HeadNorm.WholeProjection },
            FeedForward = null,
            Experts = experts,
        });
    }
}
