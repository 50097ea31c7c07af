namespace Sluice.Inference.Architectures;

/// <summary>
/// Gemma 4: two sizes of heads, scores as they are, values normalised too. The last layers read the keys of earlier ones, and in the small models
/// each layer adds something of the token's own. One has experts beside its dense part, each with norms of its own.
/// </summary>
internal static class Gemma4Family
{
    public static ModelPlan Read(PlanReader reader)
    {
        ExpertPlan? experts = ExpertReader.Read(reader, ExpertGate.Softmax, normalizes: true);
        int window = WindowReader.Length(reader);
        int sharing = reader.Integer("attention.shared_kv_layers", 0, reader.LayerCount - 1, 0);
        int ownCount = reader.LayerCount - sharing;
        int perLayer = reader.Integer("embedding_length_per_layer_input", 0, ModelLimits.WidthMax, 0);
        ModelPlan plan = DecoderReader.Read(reader, layer => Shape(reader, layer, window, ownCount) with
        {
            Experts = experts == null ? null : experts with { Activation = Activation.Gelu },
        });
        int localLength = DecoderReader.ReadHeadLength(reader, "attention.key_length_swa", plan.Layers[0].Attention!.KeyLength);
        RopeConfig rope = plan.Ropes[0];
        return plan with
        {
            EmbeddingScale = MathF.Sqrt(plan.EmbeddingLength),
            PerLayerLength = perLayer,
            Ropes = [rope, rope with
            {
                DimensionCount = reader.Integer("rope.dimension_count_swa", 2, localLength, localLength),
                FrequencyBase = reader.Number("rope.freq_base_swa", 1.001, 1e12, 10000),
                Scaling = RopeScaling.None,
                Factor = 1,
                Divisors = null,
            }],
        };
    }

    private static LayerPlan Shape(PlanReader reader, LayerPlan layer, int window, int ownCount)
    {
        bool isLocal = IsLocal(reader, layer.Index);
        AttentionPlan attention = layer.Attention! with
        {
            Scale = 1,
            NormalizesValues = true,
            SharesCacheOf = layer.Index < ownCount ? null : ownCount - (isLocal ? 2 : 1),
        };
        if (isLocal)
        {
            attention = attention with
            {
                KeyLength = DecoderReader.ReadHeadLength(reader, "attention.key_length_swa", attention.KeyLength),
                ValueLength = DecoderReader.ReadHeadLength(reader, "attention.value_length_swa", attention.ValueLength),
            };
        }

        // Experts stand beside a dense part, never in its place.
        layer = layer.FeedForward == null
            ? throw reader.Error("feed_forward_length", "at least 1", "0")
            : layer.With(Activation.Gelu) with { Attention = attention };
        return (isLocal ? WindowReader.Narrow(layer, window, rope: 1) : layer) with
        {
            PostMixerNorm = "post_attention_norm",
            PostFeedForwardNorm = "post_ffw_norm",
            HasOutputScale = reader.HasTensor($"blk.{layer.Index}.layer_output_scale.weight"),
        };
    }

    private static bool IsLocal(PlanReader reader, int layer) => reader.FlagAt("attention.sliding_window_pattern", layer)
        ?? throw reader.Error("attention.sliding_window_pattern", "a list that says which layers are local", "none");
}
