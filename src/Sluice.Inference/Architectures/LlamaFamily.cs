namespace Sluice.Inference.Architectures;

/// <summary>
/// Llama, Mistral and Mixtral (<c>llama</c>), Ministral 3 (<c>mistral3</c>), SmolLM3 (<c>smollm3</c>) and ERNIE 4.5 (<c>ernie4_5</c>): the plan as
/// it is, with interleaved pairs.
/// </summary>
internal static class LlamaFamily
{
    public static ModelPlan Read(PlanReader reader)
    {
        ExpertPlan? experts = ExpertReader.Read(reader, ExpertGate.Softmax, normalizes: true, fallbackLength: "feed_forward_length");
        return DecoderReader.Read(reader, layer => Interleave(layer) with
        {
            FeedForward = experts == null ? layer.FeedForward : null,
            Experts = experts,
        });
    }

    /// <summary>Every fourth layer doesn't turn.</summary>
    public static ModelPlan ReadSmolLm3(PlanReader reader) => DecoderReader.Read(
        reader, static layer => (layer.Index + 1) % 4 == 0 ? layer.WithoutRope() : Interleave(layer));

    /// <summary>Queries grow with their position.</summary>
    public static ModelPlan ReadMistral3(PlanReader reader)
    {
        ModelPlan plan = DecoderReader.Read(reader, Interleave);
        float scale = (float)reader.Number("attention.temperature_scale", 0, 100, 0);
        if (scale == 0)
        {
            return plan;
        }

        int length = reader.Integer(
            "attention.temperature_length", 1, ModelLimits.ContextLengthMax, plan.Ropes[0].OriginalContextLength);
        var temperature = new QueryTemperature(scale, length, 0);
        return plan with { Layers = [.. plan.Layers.Select(l => l with { Attention = l.Attention! with { Temperature = temperature } })] };
    }

    /// <summary>Puts interleaved pairs into halves.</summary>
    public static LayerPlan Interleave(LayerPlan layer) => layer with { Attention = layer.Attention! with { IsInterleaved = true } };
}
