namespace Sluice.Testing;

/// <summary>Small models that make a vector of a text, each of a family.</summary>
internal static class TinyEncoders
{
    private const int Embedding = 64;
    private const int FeedForward = 96;
    private const int Window = 6;

    public static IEnumerable<TinyArchitecture> All()
    {
        yield return Bert("bert", pooling: 1);
        yield return Bert("bert-rank", pooling: 4).Matrix("cls.weight", Embedding, Embedding).Bias("cls.bias", Embedding)
            .Matrix("cls.output.weight", Embedding, 1).Bias("cls.output.bias", 1);
        yield return Nomic();
        yield return Modern();
        yield return GemmaEmbedding();
        yield return (new TinyDecoder("qwen3") { Name = "qwen3-embedding", HeadNorm = "head", IsTied = true, Keys = [("pooling_type", 3)] }).Build();
        yield return (new TinyDecoder("qwen3") { Name = "qwen3-rank", HeadNorm = "head", IsTied = true, Keys = [("pooling_type", 4)] }).Build()
            .Key("classifier.output_labels", (string[])["yes", "no"]).Matrix("cls.output.weight", Embedding, 2);
    }

    private static TinyArchitecture Encoder(string name, string architecture, int layers, float epsilon, int pooling) =>
        new TinyArchitecture(name, architecture)
            .Key("context_length", 256).Key("embedding_length", Embedding).Key("block_count", layers).Key("attention.head_count", 4)
            .Key("attention.layer_norm_epsilon", epsilon).Key("feed_forward_length", FeedForward).Key("attention.causal", false)
            .Key("pooling_type", pooling)
            .Scaled("token_embd.weight", Math.Sqrt(Embedding), Embedding, TinyModel.VocabularySize);

    private static TinyArchitecture Bert(string name, int pooling)
    {
        var model = Encoder(name, "bert", 3, 1e-12f, pooling).WithTokenTypes().Matrix("token_types.weight", Embedding, 2)
            .Matrix("position_embd.weight", Embedding, 256).Gain("token_embd_norm.weight", Embedding).Bias("token_embd_norm.bias", Embedding);
        for (var layer = 0; layer < 3; layer++)
        {
            var prefix = $"blk.{layer}.";
            foreach (var part in (string[])["attn_q", "attn_k", "attn_v", "attn_output"])
            {
                model.Matrix($"{prefix}{part}.weight", Embedding, Embedding).Bias($"{prefix}{part}.bias", Embedding);
            }

            SumNorms(model, prefix).Matrix(prefix + "ffn_up.weight", Embedding, FeedForward).Bias(prefix + "ffn_up.bias", FeedForward)
                .Matrix(prefix + "ffn_down.weight", FeedForward, Embedding).Bias(prefix + "ffn_down.bias", Embedding);
        }

        return model;
    }

    private static TinyArchitecture Nomic()
    {
        var model = Encoder("nomic-bert", "nomic-bert", 3, 1e-12f, pooling: 1).WithTokenTypes().Key("rope.freq_base", 1000f)
            .Matrix("token_types.weight", Embedding, 2).Gain("token_embd_norm.weight", Embedding).Bias("token_embd_norm.bias", Embedding);
        for (var layer = 0; layer < 3; layer++)
        {
            var prefix = $"blk.{layer}.";
            SumNorms(model, prefix).Matrix(prefix + "attn_qkv.weight", Embedding, 3 * Embedding)
                .Matrix(prefix + "attn_output.weight", Embedding, Embedding).Matrix(prefix + "ffn_up.weight", Embedding, FeedForward)
                .Matrix(prefix + "ffn_gate.weight", Embedding, FeedForward).Matrix(prefix + "ffn_down.weight", FeedForward, Embedding);
        }

        return model;
    }

    private static TinyArchitecture Modern()
    {
        var model = Encoder("modern-bert", "modern-bert", 4, 1e-5f, pooling: 2).Key("rope.freq_base", 160000f).Key("rope.freq_base_swa", 10000f)
            .Key("attention.sliding_window", Window).Key("attention.sliding_window_pattern", 3)
            .Gain("token_embd_norm.weight", Embedding).Gain("output_norm.weight", Embedding);
        for (var layer = 0; layer < 4; layer++)
        {
            var prefix = $"blk.{layer}.";
            if (layer > 0) model.Gain(prefix + "attn_norm.weight", Embedding);
            model.Matrix(prefix + "attn_qkv.weight", Embedding, 3 * Embedding).Matrix(prefix + "attn_output.weight", Embedding, Embedding)
                .Gain(prefix + "ffn_norm.weight", Embedding).Matrix(prefix + "ffn_up.weight", Embedding, 2 * FeedForward)
                .Matrix(prefix + "ffn_down.weight", FeedForward, Embedding);
        }

        return model;
    }

    private static TinyArchitecture GemmaEmbedding() => new TinyDecoder("gemma-embedding")
    {
        IsTied = true,
        HasPostNorms = true,
        HeadNorm = "head",
        Epsilon = 1e-6f,
        Layers = 6,
        Keys =
        [
            ("pooling_type", 1), ("attention.causal", false), ("attention.sliding_window", Window), ("attention.sliding_window_pattern", 3),
            ("rope.freq_base", 1e6f), ("dense_2_feat_in", Embedding), ("dense_2_feat_out", 96), ("dense_3_feat_in", 96),
            ("dense_3_feat_out", Embedding),
        ],
        Further = static model => model.Matrix("dense_2.weight", Embedding, 96).Matrix("dense_3.weight", 96, Embedding),
    }.Build();

    private static TinyArchitecture SumNorms(TinyArchitecture model, string prefix) =>
        model.Gain(prefix + "attn_output_norm.weight", Embedding).Bias(prefix + "attn_output_norm.bias", Embedding)
            .Gain(prefix + "layer_output_norm.weight", Embedding).Bias(prefix + "layer_output_norm.bias", Embedding);
}
