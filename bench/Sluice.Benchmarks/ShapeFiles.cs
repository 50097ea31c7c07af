namespace Sluice.Benchmarks;

/// <summary>Writes files at the shapes of models that people run, with drawn weights: real ones are not needed to measure speed.</summary>
internal static class ShapeFiles
{
    private static readonly Dictionary<string, Func<ShapeFile>> s_shapes = new()
    {
        ["llama-1b"] = static () => Decoder("llama", layers: 16, width: 2048, heads: 32, keyValueHeads: 8, headLength: 64, feedForward: 8192, vocabulary: 128_256, norms: false),
        ["qwen3-4b"] = static () => Decoder("qwen3", layers: 36, width: 2560, heads: 32, keyValueHeads: 8, headLength: 128, feedForward: 9728, vocabulary: 151_936, norms: true),
        ["gemma3-4b"] = Gemma,
        ["qwen35-2b"] = Qwen35,
        ["qwen3-30b-a3b-8"] = Qwen3Experts,
        ["gpt-oss-20b-6"] = GptOss,
    };

    public static int Write(string[] arguments)
    {
        if (arguments is not [var name, var path] || !s_shapes.TryGetValue(name, out Func<ShapeFile>? shape))
        {
            Console.Error.WriteLine($"Expected a shape and a file; shapes are {string.Join(", ", s_shapes.Keys)}.");
            return 2;
        }

        shape().Save(path);
        Console.WriteLine($"{path}: {new FileInfo(path).Length >> 20} MiB");
        return 0;
    }

    private static ShapeFile Base(
        string architecture, int layers, int width, int heads, int keyValueHeads, int headLength, int feedForward, int vocabulary, bool isMixed = true) =>
        new ShapeFile(architecture, vocabulary, layers, isMixed)
            .Key("context_length", 32_768u).Key("embedding_length", (uint)width).Key("block_count", (uint)layers)
            .Key("feed_forward_length", (uint)feedForward).Key("attention.head_count", (uint)heads).Key("attention.head_count_kv", (uint)keyValueHeads)
            .Key("attention.key_length", (uint)headLength).Key("attention.value_length", (uint)headLength)
            .Key("attention.layer_norm_rms_epsilon", 1e-6f).Key("vocab_size", (uint)vocabulary)
            .Matrix("token_embd", width, vocabulary).Gain("output_norm", width);

    private static void Attention(ShapeFile file, string prefix, int width, int heads, int keyValueHeads, int headLength, bool norms, bool isGated = false)
    {
        file.Matrix(prefix + "attn_q", width, (isGated ? 2 : 1) * heads * headLength).Matrix(prefix + "attn_k", width, keyValueHeads * headLength)
            .Matrix(prefix + "attn_v", width, keyValueHeads * headLength).Matrix(prefix + "attn_output", heads * headLength, width);
        if (norms)
        {
            file.Gain(prefix + "attn_q_norm", headLength).Gain(prefix + "attn_k_norm", headLength);
        }
    }

    private static void Dense(ShapeFile file, string prefix, int width, int length) =>
        file.Matrix(prefix + "ffn_gate", width, length).Matrix(prefix + "ffn_up", width, length).Matrix(prefix + "ffn_down", length, width);

    private static void Experts(ShapeFile file, string prefix, int width, int length, int count) =>
        file.Singles(prefix + "ffn_gate_inp.weight", 0, 2 / Math.Sqrt(width), width, count).Matrix(prefix + "ffn_gate_exps", width, length, count)
            .Matrix(prefix + "ffn_up_exps", width, length, count).Matrix(prefix + "ffn_down_exps", length, width, count);

    private static ShapeFile Decoder(
        string architecture, int layers, int width, int heads, int keyValueHeads, int headLength, int feedForward, int vocabulary, bool norms)
    {
        ShapeFile file = Base(architecture, layers, width, heads, keyValueHeads, headLength, feedForward, vocabulary)
            .Key("rope.freq_base", 500_000f).Key("rope.dimension_count", (uint)headLength);
        for (int layer = 0; layer < layers; layer++)
        {
            string prefix = $"blk.{layer}.";
            file.Gain(prefix + "attn_norm", width).Gain(prefix + "ffn_norm", width);
            Attention(file, prefix, width, heads, keyValueHeads, headLength, norms);
            Dense(file, prefix, width, feedForward);
        }

        return file;
    }

    private static ShapeFile Gemma()
    {
        const int Width = 2560;
        ShapeFile file = Base("gemma3", 34, Width, 8, 4, 256, 10_240, 262_208)
            .Key("rope.freq_base", 1e6f).Key("rope.scaling.type", "linear").Key("rope.scaling.factor", 8f).Key("attention.sliding_window", 1024u);
        for (int layer = 0; layer < 34; layer++)
        {
            string prefix = $"blk.{layer}.";
            file.Gain(prefix + "attn_norm", Width).Gain(prefix + "ffn_norm", Width).Gain(prefix + "post_attention_norm", Width).Gain(prefix + "post_ffw_norm", Width);
            Attention(file, prefix, Width, 8, 4, 256, norms: true);
            Dense(file, prefix, Width, 10_240);
        }

        return file;
    }

    private static ShapeFile Qwen35()
    {
        const int Width = 2048;
        const int Side = 128;
        const int Heads = 16;
        const int Inner = Side * Heads;
        ShapeFile file = Base("qwen35", 24, Width, 8, 2, 256, 6144, 248_320)
            .Key("rope.dimension_count", 64u).Keys("rope.dimension_sections", [11, 11, 10, 0]).Key("rope.freq_base", 1e7f).Key("ssm.conv_kernel", 4u)
            .Key("ssm.inner_size", Inner).Key("ssm.state_size", Side).Key("ssm.time_step_rank", Heads).Key("ssm.group_count", Heads)
            .Key("full_attention_interval", 4u);
        for (int layer = 0; layer < 24; layer++)
        {
            string prefix = $"blk.{layer}.";
            file.Gain(prefix + "attn_norm", Width).Gain(prefix + "post_attention_norm", Width);
            if (layer % 4 == 3)
            {
                Attention(file, prefix, Width, 8, 2, 256, norms: true, isGated: true);
            }
            else
            {
                file.Matrix(prefix + "attn_qkv", Width, 3 * Inner).Matrix(prefix + "attn_gate", Width, Inner)
                    .Singles(prefix + "ssm_conv1d.weight", 0, 0.5, 4, 3 * Inner).Singles(prefix + "ssm_dt.bias", 0, 0.3, Heads)
                    .Singles(prefix + "ssm_a", -0.4f, 0.05, Heads).Matrix(prefix + "ssm_beta", Width, Heads).Matrix(prefix + "ssm_alpha", Width, Heads)
                    .Gain(prefix + "ssm_norm", Side).Matrix(prefix + "ssm_out", Inner, Width);
            }

            Dense(file, prefix, Width, 6144);
        }

        return file;
    }

    private static ShapeFile Qwen3Experts()
    {
        const int Width = 2048;
        ShapeFile file = Base("qwen3moe", 8, Width, 32, 4, 128, 6144, 151_936).Key("rope.freq_base", 1e6f)
            .Key("expert_count", 128u).Key("expert_used_count", 8u).Key("expert_feed_forward_length", 768u).Matrix("output", Width, 151_936);
        for (int layer = 0; layer < 8; layer++)
        {
            string prefix = $"blk.{layer}.";
            file.Gain(prefix + "attn_norm", Width).Gain(prefix + "ffn_norm", Width);
            Attention(file, prefix, Width, 32, 4, 128, norms: true);
            Experts(file, prefix, Width, 768, 128);
        }

        return file;
    }

    private static ShapeFile GptOss()
    {
        const int Width = 2880;
        ShapeFile file = Base("gpt-oss", 6, Width, 64, 8, 64, Width, 201_088, isMixed: false)
            .Key("rope.freq_base", 150_000f).Key("rope.scaling.type", "yarn").Key("rope.scaling.factor", 32f)
            .Key("rope.scaling.original_context_length", 4096u).Key("attention.sliding_window", 128u)
            .Key("expert_count", 32u).Key("expert_used_count", 4u).Key("expert_feed_forward_length", Width).Matrix("output", Width, 201_088);
        for (int layer = 0; layer < 6; layer++)
        {
            string prefix = $"blk.{layer}.";
            file.Gain(prefix + "attn_norm", Width).Gain(prefix + "post_attention_norm", Width);
            Attention(file, prefix, Width, 64, 8, 64, norms: false);
            Experts(file, prefix, Width, Width, 32);
            file.Singles(prefix + "attn_q.bias", 0, 0.1, 4096).Singles(prefix + "attn_k.bias", 0, 0.1, 512).Singles(prefix + "attn_v.bias", 0, 0.1, 512)
                .Singles(prefix + "attn_output.bias", 0, 0.1, Width).Singles(prefix + "attn_sinks.weight", 0, 0.3, 64)
                .Singles(prefix + "ffn_gate_inp.bias", 0, 0.1, 32).Singles(prefix + "ffn_gate_exps.bias", 0, 0.1, Width, 32)
                .Singles(prefix + "ffn_up_exps.bias", 0, 0.1, Width, 32).Singles(prefix + "ffn_down_exps.bias", 0, 0.1, Width, 32);
        }

        return file;
    }
}
