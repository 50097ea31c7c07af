namespace Sluice.Testing;

/// <summary>A small model whose heads read one latent vector: 32 values and 16 that turn, with YaRN, and experts behind a dense layer.</summary>
internal static class TinyDeepSeek
{
    private const int Embedding = 64;
    private const int Heads = 4;
    private const int Latent = 32;
    private const int Turning = 16;
    private const int Fixed = 16;
    private const int Experts = 8;

    /// <param name="name">Seeds the weights.</param>
    /// <param name="queryRank">Values that queries are made of; 0 for none, as in the small model of the second version, which llama.cpp knows by its 27 layers.</param>
    /// <param name="groups">Groups of experts, of which two are chosen from; 1 for none.</param>
    public static TinyArchitecture Build(string name, int queryRank, int groups = 1)
    {
        var isLight = queryRank == 0;
        var layers = isLight ? 27 : 3;
        var model = new TinyArchitecture(name, "deepseek2")
            .Key("context_length", 256).Key("embedding_length", Embedding).Key("block_count", layers).Key("feed_forward_length", 96)
            .Key("attention.head_count", Heads).Key("attention.head_count_kv", 1).Key("attention.layer_norm_rms_epsilon", 1e-6f)
            .Key("vocab_size", TinyModel.VocabularySize).Key("rope.dimension_count", Turning).Key("attention.kv_lora_rank", Latent)
            .Key("attention.key_length", Latent + Turning).Key("attention.value_length", Latent).Key("attention.key_length_mla", Fixed + Turning)
            .Key("attention.value_length_mla", 16).Key("leading_dense_block_count", 1).Key("expert_count", Experts).Key("expert_used_count", 2)
            .Key("expert_feed_forward_length", 32).Key("expert_shared_count", 1).Key("expert_weights_scale", isLight ? 1f : 1.8f)
            .Key("expert_weights_norm", !isLight).Key("expert_gating_func", isLight ? 1 : 2).Key("rope.scaling.type", "yarn")
            .Key("rope.scaling.factor", 4f).Key("rope.scaling.original_context_length", 16).Key("rope.scaling.yarn_log_multiplier", 0.1f)
            .Scaled("token_embd.weight", Math.Sqrt(Embedding), Embedding, TinyModel.VocabularySize)
            .Scaled("output.weight", 3, Embedding, TinyModel.VocabularySize).Gain("output_norm.weight", Embedding);
        if (groups > 1) model.Key("expert_group_count", groups).Key("expert_group_used_count", 2);
        if (queryRank > 0) model.Key("attention.q_lora_rank", queryRank);
        for (var layer = 0; layer < layers; layer++)
        {
            var prefix = $"blk.{layer}.";
            if (queryRank > 0)
            {
                model.Matrix(prefix + "attn_q_a.weight", Embedding, queryRank).Gain(prefix + "attn_q_a_norm.weight", queryRank)
                    .Scaled(prefix + "attn_q_b.weight", 1.5, queryRank, Heads * (Fixed + Turning));
            }
            else
            {
                model.Scaled(prefix + "attn_q.weight", 0.7, Embedding, Heads * (Fixed + Turning));
            }

            model.Gain(prefix + "attn_norm.weight", Embedding).Gain(prefix + "ffn_norm.weight", Embedding)
                .Gain(prefix + "attn_kv_a_norm.weight", Latent).Matrix(prefix + "attn_kv_a_mqa.weight", Embedding, Latent + Turning)
                .Matrix(prefix + "attn_k_b.weight", Fixed, Latent, Heads).Matrix(prefix + "attn_v_b.weight", Latent, 16, Heads)
                .Matrix(prefix + "attn_output.weight", Heads * 16, Embedding);
            if (layer == 0)
            {
                model.Matrix(prefix + "ffn_gate.weight", Embedding, 96).Matrix(prefix + "ffn_up.weight", Embedding, 96)
                    .Matrix(prefix + "ffn_down.weight", 96, Embedding);
                continue;
            }

            model.Scaled(prefix + "ffn_gate_inp.weight", 2, Embedding, Experts).Matrix(prefix + "ffn_gate_exps.weight", Embedding, 32, Experts)
                .Matrix(prefix + "ffn_up_exps.weight", Embedding, 32, Experts).Matrix(prefix + "ffn_down_exps.weight", 32, Embedding, Experts)
                .Matrix(prefix + "ffn_gate_shexp.weight", Embedding, 32).Matrix(prefix + "ffn_up_shexp.weight", Embedding, 32)
                .Matrix(prefix + "ffn_down_shexp.weight", 32, Embedding);
            if (!isLight) model.Bias(prefix + "exp_probs_b.bias", Experts);
        }

        return model;
    }
}
