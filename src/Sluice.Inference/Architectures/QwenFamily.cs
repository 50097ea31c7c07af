namespace Sluice.Inference.Architectures;

/// <summary>Qwen 2, with biases, and Qwen 3, with norms per head: the plan as it is; both with experts as well.</summary>
internal static class QwenFamily
{
    public static ModelPlan Read(PlanReader reader) => DecoderReader.Read(reader);

    /// <summary>Also as a model of vectors, or of scores: then the labels, "yes" and "no", share 1.</summary>
    public static ModelPlan Read3(PlanReader reader) => DecoderReader.Read(reader) with { SharesLabels = true };

    /// <summary>Weights as the router gives them, and a shared part behind a gate.</summary>
    public static ModelPlan Read2Experts(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.Softmax, normalizes: false);
        return DecoderReader.Read(reader, layer => layer with { FeedForward = null, Experts = experts });
    }

    /// <summary>Weights that make one, although no key says so.</summary>
    public static ModelPlan Read3Experts(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.Softmax, normalizes: true);
        return DecoderReader.Read(reader, layer => layer with { FeedForward = null, Experts = experts });
    }
}
