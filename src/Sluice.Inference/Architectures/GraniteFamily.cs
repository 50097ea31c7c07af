namespace Sluice.Inference.Architectures;

/// <summary>
/// Granite: interleaved pairs, and a factor from a key wherever something is added or multiplied. Dense or with experts, and with Mamba in
/// place of most attention.
/// </summary>
internal static class GraniteFamily
{
    public static ModelPlan Read(PlanReader reader) => Scale(reader, DecoderReader.Read(reader, layer => Shape(reader, layer)));

    public static ModelPlan ReadExperts(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.Softmax, normalizes: true, fallbackLength: "feed_forward_length");
        return Scale(reader, DecoderReader.Read(reader, layer => Shape(reader, layer) with { FeedForward = null, Experts = experts }));
    }

    /// <summary>Layers without key/value heads are Mambas.</summary>
    public static ModelPlan ReadHybrid(PlanReader reader)
    {
        RecurrentPlan mamba = RecurrentReader.ReadMamba2(reader);
        ExpertPlan? experts = ExpertReader.Read(reader, ExpertGate.Softmax, normalizes: true, fallbackLength: "feed_forward_length");
        return Scale(reader, DecoderReader.Read(reader, layer => Shape(reader, layer) with
        {
            Recurrent = layer.Attention == null ? mamba : null,
            FeedForward = experts == null ? layer.FeedForward : null,
            Experts = experts,
        }, isHybrid: true));
    }

    // In these files "finetuned" says whether anything turns at all.
    private static LayerPlan Shape(PlanReader reader, LayerPlan layer)
    {
        layer = layer with { ResidualScale = (float)reader.Number("residual_scale", 1e-6, 1e6, 1) };
        return reader.Flag("rope.scaling.finetuned", true) && layer.Attention != null ? LlamaFamily.Interleave(layer) : layer.WithoutRope();
    }

    private static ModelPlan Scale(PlanReader reader, ModelPlan plan) => plan with
    {
        EmbeddingScale = (float)reader.Number("embedding_scale", 1e-6, 1e6, 1),
        LogitScale = 1 / (float)reader.Number("logit_scale", 1e-6, 1e6, 1),
    };
}
