namespace Sluice.Inference.Architectures;

/// <summary>
/// Encoders. BERT, and XLM-R under the same name: a table of positions, and norms of the sums. Nomic: rotation in place of the table, and a gate.
/// ModernBERT: norms before the parts, and two of three layers see only what is near.
/// </summary>
internal static class BertFamily
{
    public static ModelPlan Read(PlanReader reader) => Encode(reader, DecoderReader.Read(reader, static layer =>
        WithSumNorms(layer).WithoutRope().With(Activation.GeluUngated))) with
    { HasPositionTable = true, Ropes = [] };

    public static ModelPlan ReadNomic(PlanReader reader) => Encode(reader, DecoderReader.Read(reader, WithSumNorms));

    public static ModelPlan ReadModern(PlanReader reader)
    {
        int window = WindowReader.Length(reader);
        int pattern = WindowReader.Pattern(reader, 3);
        Activation activation = reader.Text("hidden_activation", "gelu") == "silu" ? Activation.Silu : Activation.Gelu;
        ModelPlan plan = DecoderReader.Read(reader, layer =>
        {
            // The first layer reads what the embedding's norm gives. Of each group the first layer sees everything.
            bool isLocal = window > 0 && pattern > 1 && layer.Index % pattern != 0;
            return layer.With(activation) with
            {
                MixerNorm = layer.Index == 0 ? null : layer.MixerNorm,
                Attention = isLocal
                    ? layer.Attention! with { Mask = AttentionMask.Around, Window = window, Rope = 1 }
                    : layer.Attention! with { Mask = AttentionMask.All },
            };
        });
        RopeConfig rope = plan.Ropes[0];
        return plan with
        {
            IsCausal = false,
            EmbeddingNorm = "token_embd_norm",
            HasTokenTypes = reader.HasTensor("token_types.weight"),
            Ropes = [rope, rope with { FrequencyBase = reader.Number("rope.freq_base_swa", 1.001, 1e12, rope.FrequencyBase) }],
        };
    }

    private static ModelPlan Encode(PlanReader reader, ModelPlan plan) => plan with
    {
        IsCausal = false,
        EmbeddingNorm = "token_embd_norm",
        OutputNorm = null,
        HasTokenTypes = reader.HasTensor("token_types.weight"),
    };

    private static LayerPlan WithSumNorms(LayerPlan layer) => layer with
    {
        MixerNorm = null,
        FeedForwardNorm = null,
        MixerSumNorm = "attn_output_norm",
        FeedForwardSumNorm = "layer_output_norm",
        Attention = layer.Attention! with { Mask = AttentionMask.All },
    };
}
