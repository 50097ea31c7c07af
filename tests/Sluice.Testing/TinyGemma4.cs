namespace Sluice.Testing;

/// <summary>A small Gemma 4: heads of two sizes, three layers that read the keys of others, and something of each token's own in every layer.</summary>
internal static class TinyGemma4
{
    private const int Embedding = 64;
    private const int LocalLength = 16;
    private const int GlobalLength = 32;
    private const int OwnLayers = 3;

    /// <param name="name">Seeds the weights.</param>
    /// <param name="perLayer">Values of a token's own in a layer; 0 for a large model, whose last layers have keys of their own, and no values.</param>
    /// <param name="experts">Experts beside the dense part; 0 for none.</param>
    public static TinyArchitecture Build(string name, int perLayer, int experts = 0)
    {
        bool[] isLocal = [true, true, false, true, true, false];
        var own = perLayer > 0 ? OwnLayers : isLocal.Length;
        int[] keyValueHeads = perLayer > 0 ? [2, 2, 2, 2, 2, 2] : [2, 2, 1, 2, 2, 1];
        int[] feedForward = perLayer > 0 ? [96, 96, 96, 192, 192, 192] : [96, 96, 96, 96, 96, 96];
        var model = new TinyArchitecture(name, "gemma4")
            .Key("context_length", 256).Key("embedding_length", Embedding).Key("block_count", isLocal.Length).Key("feed_forward_length", feedForward)
            .Key("attention.head_count", 4).Key("attention.head_count_kv", keyValueHeads).Key("attention.layer_norm_rms_epsilon", 1e-6f)
            .Key("attention.key_length", GlobalLength).Key("attention.value_length", GlobalLength).Key("attention.key_length_swa", LocalLength)
            .Key("attention.value_length_swa", LocalLength).Key("rope.dimension_count", GlobalLength).Key("rope.dimension_count_swa", LocalLength)
            .Key("rope.freq_base", 1e6f).Key("rope.freq_base_swa", 1e4f).Key("attention.sliding_window", 5)
            .Key("attention.sliding_window_pattern", isLocal).Key("attention.shared_kv_layers", isLocal.Length - own)
            .Key("embedding_length_per_layer_input", perLayer).Key("final_logit_softcapping", 30f)
            .Scaled("token_embd.weight", 3, Embedding, TinyModel.VocabularySize).Gain("output_norm.weight", Embedding)
            .Add("rope_freqs.weight", [GlobalLength / 2], static (_, count) => [.. Enumerable.Range(0, (int)count).Select(i => i < count / 4 ? 1f : 1e30f)]);
        if (perLayer > 0)
        {
            model.Matrix("per_layer_token_embd.weight", perLayer * isLocal.Length, TinyModel.VocabularySize)
                .Matrix("per_layer_model_proj.weight", Embedding, perLayer * isLocal.Length).Gain("per_layer_proj_norm.weight", perLayer);
        }

        if (experts > 0) model.Key("expert_count", experts).Key("expert_used_count", 2).Key("expert_feed_forward_length", 32);
        for (var layer = 0; layer < isLocal.Length; layer++)
        {
            var prefix = $"blk.{layer}.";
            var length = isLocal[layer] ? LocalLength : GlobalLength;
            model.Gain(prefix + "attn_norm.weight", Embedding).Matrix(prefix + "attn_q.weight", Embedding, 4 * length)
                .Matrix(prefix + "attn_output.weight", 4 * length, Embedding).Gain(prefix + "attn_q_norm.weight", length);
            if (layer < own)
            {
                var keys = keyValueHeads[layer] * length;
                model.Matrix(prefix + "attn_k.weight", Embedding, keys).Gain(prefix + "attn_k_norm.weight", length);
                if (perLayer > 0 || isLocal[layer]) model.Matrix(prefix + "attn_v.weight", Embedding, keys);
            }

            model.Gain(prefix + "post_attention_norm.weight", Embedding).Gain(prefix + "layer_output_scale.weight", 1)
                .Gain(prefix + "ffn_norm.weight", Embedding).Gain(prefix + "post_ffw_norm.weight", Embedding)
                .Matrix(prefix + "ffn_gate.weight", Embedding, feedForward[layer]).Matrix(prefix + "ffn_up.weight", Embedding, feedForward[layer])
                .Matrix(prefix + "ffn_down.weight", feedForward[layer], Embedding);
            if (experts > 0) AddExperts(model, prefix, experts);
            if (perLayer > 0)
            {
                model.Matrix(prefix + "inp_gate.weight", Embedding, perLayer).Matrix(prefix + "proj.weight", perLayer, Embedding)
                    .Gain(prefix + "post_norm.weight", Embedding);
            }
        }

        return model;
    }

    private static void AddExperts(TinyArchitecture model, string prefix, int experts) => model
        .Scaled(prefix + "ffn_gate_inp.weight", 8, Embedding, experts).Gain(prefix + "ffn_gate_inp.scale", Embedding)
        .Gain(prefix + "pre_ffw_norm_2.weight", Embedding).Gain(prefix + "post_ffw_norm_1.weight", Embedding)
        .Gain(prefix + "post_ffw_norm_2.weight", Embedding).Matrix(prefix + "ffn_gate_up_exps.weight", Embedding, 2 * 32, experts)
        .Matrix(prefix + "ffn_down_exps.weight", 32, Embedding, experts).Gain(prefix + "ffn_down_exps.scale", experts);
}
