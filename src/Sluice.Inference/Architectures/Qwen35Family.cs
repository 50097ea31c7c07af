namespace Sluice.Inference.Architectures;

/// <summary>
/// Qwen 3.5 and its successors of the same shape: three of four layers keep a state by the gated delta rule, the fourth attends, with a gate on
/// what it gives. Dense or with experts.
/// </summary>
internal static class Qwen35Family
{
    public static ModelPlan Read(PlanReader reader) => Read(reader, null);

    public static ModelPlan ReadExperts(PlanReader reader) => Read(reader, ExpertReader.Require(reader, ExpertGate.Softmax, normalizes: true));

    private static ModelPlan Read(PlanReader reader, ExpertPlan? experts)
    {
        RecurrentPlan recurrent = RecurrentReader.ReadDeltaRule(reader);
        int interval = reader.Integer("full_attention_interval", 1, ModelLimits.BlockCountMax, 4);
        return DecoderReader.Read(reader, layer =>
        {
            bool attends = reader.FlagAt("attention.recurrent_layers", layer.Index) is { } isRecurrent
                ? !isRecurrent
                : (layer.Index + 1) % interval == 0;
            return layer with
            {
                Attention = attends ? layer.Attention! with { HasOutputGate = true } : null,
                Recurrent = attends ? null : recurrent,
                FeedForwardNorm = "post_attention_norm",
                FeedForward = experts == null ? layer.FeedForward : null,
                Experts = experts,
            };
        });
    }
}
