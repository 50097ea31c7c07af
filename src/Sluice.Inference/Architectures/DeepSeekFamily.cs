using Sluice.Inference.Gguf;

namespace Sluice.Inference.Architectures;

/// <summary>
/// DeepSeek V2 and V3, and what shares their name (<c>deepseek2</c>), such as GLM 4.7 Flash: all heads read one latent vector a token, in the absorbed
/// form, where the matrices of each head's keys and values work on queries and results.
/// </summary>
internal static class DeepSeekFamily
{
    public static ModelPlan Read2(PlanReader reader)
    {
        int latent = reader.Integer("attention.kv_lora_rank", 16, ModelLimits.HeadWidthMax);
        int turning = reader.Integer("rope.dimension_count", 2, ModelLimits.HeadWidthMax);
        int head = reader.Integer("attention.key_length_mla", turning + 1, ModelLimits.HeadWidthMax);
        var plan = new LatentPlan(
            reader.Integer("attention.q_lora_rank", 0, ModelLimits.WidthMax, 0),
            latent,
            head - turning,
            turning,
            reader.Integer("attention.value_length_mla", 1, ModelLimits.HeadWidthMax));
        ExpertPlan? experts = ExpertReader.Read(reader, ExpertGate.Softmax, normalizes: false);
        int leading = reader.Integer("leading_dense_block_count", 0, reader.LayerCount, 0);
        ModelPlan model = DecoderReader.Read(reader);
        RopeConfig rope = model.Ropes[0];
        double stretch = rope.Scaling == RopeScaling.Yarn ? Math.Log(rope.Factor) : 0;

        // What YaRN would do to the length of what turns, these models do to all of the score.
        double magnitude = 1 + (rope.LogMultiplier * stretch);
        return model with
        {
            Ropes = [rope with { AttentionFactor = 1 / (1 + (0.1 * stretch)), LogMultiplier = 0 }],
            Layers = [.. model.Layers.Select(layer => layer with
            {
                Attention = Check(reader, layer.Attention!, plan) with
                {
                    IsInterleaved = true,
                    Latent = plan,
                    Scale = (float)(magnitude * magnitude / Math.Sqrt(head)),
                },
                FeedForward = experts == null || layer.Index < leading ? layer.FeedForward : null,
                Experts = layer.Index < leading ? null : experts,
            })],
        };
    }

    private static AttentionPlan Check(PlanReader reader, AttentionPlan attention, LatentPlan plan)
    {
        GgufException? error = attention.HeadCountKv != 1 ? reader.Error("attention.head_count_kv", "1", $"{attention.HeadCountKv}")
            : attention.KeyLength != plan.Length + plan.TurningLength
                ? reader.Error("attention.key_length", $"kv_lora_rank and rope.dimension_count, {plan.Length + plan.TurningLength}", $"{attention.KeyLength}")
            : attention.ValueLength != plan.Length ? reader.Error("attention.value_length", $"kv_lora_rank {plan.Length}", $"{attention.ValueLength}")
            : null;
        return error == null ? attention : throw error;
    }
}
