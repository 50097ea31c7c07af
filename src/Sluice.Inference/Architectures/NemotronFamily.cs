namespace Sluice.Inference.Architectures;

/// <summary>
/// Nemotron 3 (<c>nemotron_h</c>, <c>nemotron_h_moe</c>): each layer is one part, a Mamba, attention without rotation, or a feed-forward part, behind
/// one norm.
/// </summary>
internal static class NemotronFamily
{
    public static ModelPlan Read(PlanReader reader) => Read(reader, null);

    public static ModelPlan ReadExperts(PlanReader reader) => Read(reader, ExpertReader.Require(reader, ExpertGate.Sigmoid, normalizes: true) with
    {
        Activation = Activation.SquaredReluUngated,
    });

    private static ModelPlan Read(PlanReader reader, ExpertPlan? experts)
    {
        RecurrentPlan mamba = RecurrentReader.ReadMamba2(reader);
        return DecoderReader.Read(reader, layer => layer.FeedForward != null
            ? layer with
            {
                Attention = null,
                MixerNorm = null,
                FeedForwardNorm = "attn_norm",
                FeedForward = experts == null ? layer.FeedForward with { Activation = Activation.SquaredReluUngated } : null,
                Experts = experts,
            }
            : layer with
            {
                Attention = layer.Attention == null ? null : layer.Attention with { Rope = -1 },
                Recurrent = layer.Attention == null ? mamba : null,
                FeedForwardNorm = null,
            }, isHybrid: true) with
        { HasLayersOfOnePart = true };
    }
}
