namespace Sluice.Inference.Architectures;

/// <summary>Gemma: the embedding multiplied by √d, a gate of GELU; from Gemma 2 on norms on both sides of each part and windows.</summary>
internal static class GemmaFamily
{
    public static ModelPlan Read(PlanReader reader) => Scale(DecoderReader.Read(reader, static layer => layer.With(Activation.Gelu)));

    /// <summary>Every other layer is local; scores and logits are capped.</summary>
    public static ModelPlan Read2(PlanReader reader)
    {
        int window = WindowReader.Length(reader, 4096);
        float cap = (float)reader.Number("attn_logit_softcapping", 0, 1e6, 50);
        ModelPlan plan = DecoderReader.Read(reader, layer => Narrow(reader, WithNorms(layer), window, pattern: 2, rope: 0));
        return Scale(plan) with
        {
            LogitCap = (float)reader.Number("final_logit_softcapping", 0, 1e6, 30),
            Layers = [.. plan.Layers.Select(layer => layer with
            {
                Attention = layer.Attention! with { ScoreCap = cap, Scale = ScaleOf(plan, layer.Attention, layerCount27B: 46) },
            })],
        };
    }

    /// <summary>Five of six layers are local, with their own base and without scaling.</summary>
    public static ModelPlan Read3(PlanReader reader)
    {
        int window = WindowReader.Length(reader);
        ModelPlan plan = DecoderReader.Read(reader, layer => Narrow(reader, WithNorms(layer), window, pattern: 6, rope: 1));
        return Scale(plan) with
        {
            Ropes = [plan.Ropes[0], LocalRope(reader, plan.Ropes[0])],
            Layers = [.. plan.Layers.Select(layer => layer with
            {
                Attention = layer.Attention! with { Scale = ScaleOf(plan, layer.Attention, layerCount27B: 62) },
            })],
        };
    }

    /// <summary>EmbeddingGemma: the third Gemma that sees its whole input, or half a window on either side, and two matrices behind the mean.</summary>
    public static ModelPlan ReadEmbedding(PlanReader reader)
    {
        ModelPlan plan = Read3(reader);
        return plan with
        {
            IsCausal = false,
            Layers = [.. plan.Layers.Select(static layer => layer with
            {
                Attention = layer.Attention! with
                {
                    Mask = layer.Attention.Mask == AttentionMask.Window ? AttentionMask.Around : AttentionMask.All,
                },
            })],
            PooledLayers = [.. PooledLayer(reader, "dense_2"), .. PooledLayer(reader, "dense_3")],
        };
    }

    private static IEnumerable<PooledLayerPlan> PooledLayer(PlanReader reader, string name) => reader.HasTensor(name + ".weight")
        ? [new PooledLayerPlan(name, reader.Integer(name + "_feat_out", 1, ModelLimits.WidthMax), HasTanh: false)]
        : [];

    private static LayerPlan WithNorms(LayerPlan layer) => layer.With(Activation.Gelu) with
    {
        PostMixerNorm = "post_attention_norm",
        PostFeedForwardNorm = "post_ffw_norm",
    };

    private static LayerPlan Narrow(PlanReader reader, LayerPlan layer, int window, int pattern, int rope) =>
        window > 0 && WindowReader.IsLocal(reader, layer.Index, pattern) ? WindowReader.Narrow(layer, window, rope) : layer;

    private static RopeConfig LocalRope(PlanReader reader, RopeConfig rope) => rope with
    {
        FrequencyBase = reader.Number("rope.freq_base_swa", 1.001, 1e12, 10000),
        Scaling = RopeScaling.None,
        Factor = 1,
    };

    private static ModelPlan Scale(ModelPlan plan) => plan with { EmbeddingScale = MathF.Sqrt(plan.EmbeddingLength) };

    // The largest of each generation was trained with another width in mind than that of its heads.
    private static float ScaleOf(ModelPlan plan, AttentionPlan attention, int layerCount27B) => plan.Layers.Count == layerCount27B
        ? 1f / MathF.Sqrt((float)plan.EmbeddingLength / attention.HeadCount)
        : attention.Scale;
}
