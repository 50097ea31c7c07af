namespace Sluice.Testing;

/// <summary>Small models with recurrent layers among others.</summary>
internal static class TinyHybrids
{
    private const int Embedding = 64;
    private const int FeedForward = 96;

    public static IEnumerable<TinyArchitecture> All()
    {
        yield return Qwen35("qwen35", experts: 0);
        yield return Qwen35("qwen35moe", experts: 6);
        yield return Lfm2("lfm2", leadingDense: 4);
        yield return Lfm2("lfm2moe", leadingDense: 1);
        yield return GraniteHybrid("granitehybrid", experts: 0);
        yield return GraniteHybrid("granitehybrid-experts", experts: 6);
        yield return Falcon();
        yield return Nemotron("nemotron_h", experts: 0);
        yield return Nemotron("nemotron_h_moe", experts: 6);
    }

    // Two key heads, four value heads of 16; the fourth layer attends.
    private static TinyArchitecture Qwen35(string name, int experts)
    {
        const int Side = 16;
        const int KeyHeads = 2;
        const int ValueHeads = 4;
        const int Inner = Side * ValueHeads;
        const int Channels = (2 * Side * KeyHeads) + Inner;
        var model = Base(name, name, layers: 4, FeedForward, keyValueHeads: 2, 1e-6f)
            .Key("attention.key_length", 32).Key("attention.value_length", 32).Key("rope.dimension_count", 16)
            .Key("rope.dimension_sections", (int[])[3, 3, 2, 0]).Key("rope.freq_base", 1e7f).Key("ssm.conv_kernel", 4).Key("ssm.inner_size", Inner)
            .Key("ssm.state_size", Side).Key("ssm.time_step_rank", ValueHeads).Key("ssm.group_count", KeyHeads).Key("full_attention_interval", 4);
        if (experts > 0)
        {
            model.Key("expert_count", experts).Key("expert_used_count", 2).Key("expert_feed_forward_length", 32)
                .Key("expert_shared_feed_forward_length", 48);
        }

        model.Scaled("output.weight", 3, Embedding, TinyModel.VocabularySize).Gain("output_norm.weight", Embedding);
        for (var layer = 0; layer < 4; layer++)
        {
            var prefix = $"blk.{layer}.";
            model.Gain(prefix + "attn_norm.weight", Embedding).Gain(prefix + "post_attention_norm.weight", Embedding);
            if (layer == 3)
            {
                model.Scaled(prefix + "attn_q.weight", 1.5, Embedding, 2 * 4 * 32).Scaled(prefix + "attn_k.weight", 1.5, Embedding, 2 * 32)
                    .Matrix(prefix + "attn_v.weight", Embedding, 2 * 32).Matrix(prefix + "attn_output.weight", 4 * 32, Embedding)
                    .Gain(prefix + "attn_q_norm.weight", 32).Gain(prefix + "attn_k_norm.weight", 32);
            }
            else
            {
                model.Matrix(prefix + "attn_qkv.weight", Embedding, Channels).Matrix(prefix + "attn_gate.weight", Embedding, Inner)
                    .Matrix(prefix + "ssm_conv1d.weight", 4, Channels).Bias(prefix + "ssm_dt.bias", ValueHeads)
                    .Add(prefix + "ssm_a", [ValueHeads], Decays).Matrix(prefix + "ssm_beta.weight", Embedding, ValueHeads)
                    .Matrix(prefix + "ssm_alpha.weight", Embedding, ValueHeads).Gain(prefix + "ssm_norm.weight", Side)
                    .Matrix(prefix + "ssm_out.weight", Inner, Embedding);
            }

            if (experts == 0)
            {
                Dense(model, prefix);
                continue;
            }

            model.Scaled(prefix + "ffn_gate_inp.weight", 2, Embedding, experts).Matrix(prefix + "ffn_gate_exps.weight", Embedding, 32, experts)
                .Matrix(prefix + "ffn_up_exps.weight", Embedding, 32, experts).Scaled(prefix + "ffn_down_exps.weight", 1.5, 32, Embedding, experts)
                .Matrix(prefix + "ffn_gate_inp_shexp.weight", Embedding).Matrix(prefix + "ffn_gate_shexp.weight", Embedding, 48)
                .Matrix(prefix + "ffn_up_shexp.weight", Embedding, 48).Matrix(prefix + "ffn_down_shexp.weight", 48, Embedding);
        }

        return model;
    }

    private static TinyArchitecture Lfm2(string name, int leadingDense)
    {
        int[] keyValueHeads = [0, 2, 0, 2];
        var model = Base(name, name, 4, FeedForward, keyValueHeads, 1e-5f).Key("shortconv.l_cache", 3).Key("rope.freq_base", 1e6f)
            .Gain("token_embd_norm.weight", Embedding);
        if (leadingDense < 4)
        {
            model.Key("leading_dense_block_count", leadingDense).Key("expert_count", 6).Key("expert_used_count", 2)
                .Key("expert_feed_forward_length", 32).Key("expert_gating_func", 2);
        }

        for (var layer = 0; layer < 4; layer++)
        {
            var prefix = $"blk.{layer}.";
            model.Gain(prefix + "attn_norm.weight", Embedding).Gain(prefix + "ffn_norm.weight", Embedding);
            if (keyValueHeads[layer] > 0)
            {
                Attention(model, prefix).Gain(prefix + "attn_q_norm.weight", 16).Gain(prefix + "attn_k_norm.weight", 16);
            }
            else
            {
                model.Scaled(prefix + "shortconv.conv.weight", 1.5, 3, Embedding).Matrix(prefix + "shortconv.in_proj.weight", Embedding, 3 * Embedding)
                    .Matrix(prefix + "shortconv.out_proj.weight", Embedding, Embedding);
            }

            if (layer < leadingDense)
            {
                Dense(model, prefix);
                continue;
            }

            Experts(model, prefix, 6).Bias(prefix + "exp_probs_b.bias", 6);
        }

        return model;
    }

    private static TinyArchitecture GraniteHybrid(string name, int experts)
    {
        int[] keyValueHeads = [0, 2, 0];
        var model = Mamba(Base(name, "granitehybrid", 3, experts > 0 ? 32 : FeedForward, keyValueHeads, 1e-5f), groups: 1)
            .Key("embedding_scale", 12f).Key("residual_scale", 0.22f).Key("attention.scale", 0.2f).Key("logit_scale", 2f)
            .Key("rope.scaling.finetuned", false).Gain("output_norm.weight", Embedding);
        if (experts > 0) model.Key("expert_count", experts).Key("expert_used_count", 2).Key("expert_shared_feed_forward_length", 48);
        for (var layer = 0; layer < 3; layer++)
        {
            var prefix = $"blk.{layer}.";
            model.Gain(prefix + "attn_norm.weight", Embedding).Gain(prefix + "ffn_norm.weight", Embedding);
            _ = keyValueHeads[layer] > 0 ? Attention(model, prefix) : MambaLayer(model, prefix, groups: 1);
            if (experts == 0)
            {
                Dense(model, prefix);
                continue;
            }

            Experts(model, prefix, experts).Matrix(prefix + "ffn_gate_shexp.weight", Embedding, 48)
                .Matrix(prefix + "ffn_up_shexp.weight", Embedding, 48).Matrix(prefix + "ffn_down_shexp.weight", 48, Embedding);
        }

        return model;
    }

    // Both mixers in every layer; this size has no norm behind its Mamba.
    private static TinyArchitecture Falcon()
    {
        var model = Mamba(Base("falcon-h1", "falcon-h1", 3, FeedForward, keyValueHeads: 2, 1e-5f), groups: 1)
            .Key("attention.key_length", 16).Key("attention.value_length", 16).Key("rope.freq_base", 1e6f)
            .Scaled("output.weight", 3, Embedding, TinyModel.VocabularySize).Gain("output_norm.weight", Embedding);
        for (var layer = 0; layer < 3; layer++)
        {
            var prefix = $"blk.{layer}.";
            model.Gain(prefix + "attn_norm.weight", Embedding).Gain(prefix + "ffn_norm", Embedding);
            Attention(model, prefix);
            MambaLayer(model, prefix, groups: 1);
            Dense(model, prefix);
        }

        return model;
    }

    // A Mamba, a feed-forward part, attention, another: each layer is one part.
    private static TinyArchitecture Nemotron(string name, int experts)
    {
        int[] keyValueHeads = [0, 0, 2, 0];
        int[] feedForward = [0, 32, 0, 32];
        var model = Mamba(Base(name, name, 4, feedForward, keyValueHeads, 1e-5f), groups: 2)
            .Key("attention.layer_norm_epsilon", 1e-5f).Key("attention.key_length", 16).Key("attention.value_length", 16)
            .Scaled("output.weight", 3, Embedding, TinyModel.VocabularySize).Gain("output_norm.weight", Embedding);
        if (experts > 0)
        {
            model.Key("expert_count", experts).Key("expert_used_count", 2).Key("expert_feed_forward_length", 32)
                .Key("expert_shared_feed_forward_length", 48).Key("expert_shared_count", 1).Key("expert_weights_norm", true)
                .Key("expert_weights_scale", 2.5f);
        }

        for (var layer = 0; layer < 4; layer++)
        {
            var prefix = $"blk.{layer}.";
            model.Gain(prefix + "attn_norm.weight", Embedding);
            if (feedForward[layer] == 0)
            {
                _ = keyValueHeads[layer] > 0 ? Attention(model, prefix) : MambaLayer(model, prefix, groups: 2);
            }
            else if (experts == 0)
            {
                model.Matrix(prefix + "ffn_up.weight", Embedding, 32).Matrix(prefix + "ffn_down.weight", 32, Embedding);
            }
            else
            {
                model.Scaled(prefix + "ffn_gate_inp.weight", 2, Embedding, experts).Bias(prefix + "exp_probs_b.bias", experts)
                    .Matrix(prefix + "ffn_up_exps.weight", Embedding, 32, experts).Matrix(prefix + "ffn_down_exps.weight", 32, Embedding, experts)
                    .Matrix(prefix + "ffn_up_shexp.weight", Embedding, 48).Matrix(prefix + "ffn_down_shexp.weight", 48, Embedding);
            }
        }

        return model;
    }

    private static TinyArchitecture Base(string name, string architecture, int layers, object feedForward, object keyValueHeads, float epsilon) =>
        new TinyArchitecture(name, architecture)
            .Key("context_length", 256).Key("embedding_length", Embedding).Key("block_count", layers).Key("feed_forward_length", feedForward)
            .Key("attention.head_count", 4).Key("attention.head_count_kv", keyValueHeads).Key("attention.layer_norm_rms_epsilon", epsilon)
            .Key("vocab_size", TinyModel.VocabularySize)
            .Scaled("token_embd.weight", 3, Embedding, TinyModel.VocabularySize);

    // Eight heads of 16, and a state of 16 a value.
    private static TinyArchitecture Mamba(TinyArchitecture model, int groups) => model.Key("ssm.conv_kernel", 4).Key("ssm.inner_size", 128)
        .Key("ssm.state_size", 16).Key("ssm.time_step_rank", 8).Key("ssm.group_count", groups);

    private static TinyArchitecture MambaLayer(TinyArchitecture model, string prefix, int groups)
    {
        var channels = 128 + (2 * groups * 16);
        return model.Matrix(prefix + "ssm_in.weight", Embedding, 128 + channels + 8).Matrix(prefix + "ssm_conv1d.weight", 4, channels)
            .Bias(prefix + "ssm_conv1d.bias", channels).Bias(prefix + "ssm_dt.bias", 8).Add(prefix + "ssm_a", [1, 8], Decays)
            .Gain(prefix + "ssm_d", 1, 8).Gain(prefix + "ssm_norm.weight", 128 / groups, groups).Matrix(prefix + "ssm_out.weight", 128, Embedding);
    }

    private static TinyArchitecture Attention(TinyArchitecture model, string prefix) => model.Scaled(prefix + "attn_q.weight", 1.5, Embedding, 64)
        .Scaled(prefix + "attn_k.weight", 1.5, Embedding, 32).Matrix(prefix + "attn_v.weight", Embedding, 32)
        .Matrix(prefix + "attn_output.weight", 64, Embedding);

    private static void Dense(TinyArchitecture model, string prefix) => model.Matrix(prefix + "ffn_gate.weight", Embedding, FeedForward)
        .Matrix(prefix + "ffn_up.weight", Embedding, FeedForward).Scaled(prefix + "ffn_down.weight", 1.5, FeedForward, Embedding);

    private static TinyArchitecture Experts(TinyArchitecture model, string prefix, int count) => model
        .Scaled(prefix + "ffn_gate_inp.weight", 2, Embedding, count).Matrix(prefix + "ffn_gate_exps.weight", Embedding, 32, count)
        .Matrix(prefix + "ffn_up_exps.weight", Embedding, 32, count).Scaled(prefix + "ffn_down_exps.weight", 1.5, 32, Embedding, count);

    // As -exp(x) of training, around -0.4.
    private static float[] Decays(RandomBlocks random, long count) =>
        [.. random.Singles(count, 0.5).Select(static v => (float)-Math.Exp(v - 1))];
}
