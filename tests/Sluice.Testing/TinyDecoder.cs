namespace Sluice.Testing;

/// <summary>The tensors and keys that most decoders have, with what distinguishes a family as options. Defaults are Llama's.</summary>
/// <param name="Architecture">As in the file.</param>
public sealed record TinyDecoder(string Architecture)
{
    /// <summary>Names the weights. The default value is the architecture.</summary>
    public string? Name { get; init; }

    public int Layers { get; init; } = 4;

    public int Embedding { get; init; } = 64;

    public int FeedForward { get; init; } = 96;

    public int Heads { get; init; } = 4;

    public int KeyValueHeads { get; init; } = 2;

    public int KeyLength { get; init; } = 16;

    /// <summary>Values of a head that turn; null for all.</summary>
    public int? RopeDimensions { get; init; }

    public float Epsilon { get; init; } = 1e-5f;

    public bool IsTied { get; init; }

    public bool HasFusedQueryKeyValue { get; init; }

    public bool HasFusedGateUp { get; init; }

    public bool HasBias { get; init; }

    public bool HasPreNorms { get; init; } = true;

    public bool HasPostNorms { get; init; }

    /// <summary>Whether the norm before the feed-forward part is called post_attention_norm.</summary>
    public bool NamesFeedForwardNormPost { get; init; }

    /// <summary>head, whole, or nothing.</summary>
    public string HeadNorm { get; init; } = "";

    public int Experts { get; init; }

    public int UsedExperts { get; init; } = 2;

    public int ExpertLength { get; init; } = 32;

    public int SharedLength { get; init; }

    public bool HasSharedGate { get; init; }

    public bool HasChoiceBias { get; init; }

    public int LeadingDense { get; init; }

    public int ExpertStep { get; init; } = 1;

    /// <summary>Further keys.</summary>
    public IReadOnlyList<(string Key, object Value)> Keys { get; init; } = [];

    /// <summary>Adds further tensors.</summary>
    public Action<TinyArchitecture>? Further { get; init; }

    /// <summary>The whole model.</summary>
    public TinyArchitecture Build()
    {
        var model = new TinyArchitecture(Name ?? Architecture, Architecture)
            .Key("context_length", 256)
            .Key("embedding_length", Embedding)
            .Key("block_count", Layers)
            .Key("feed_forward_length", FeedForward)
            .Key("attention.head_count", Heads)
            .Key("attention.head_count_kv", KeyValueHeads)
            .Key("attention.key_length", KeyLength)
            .Key("attention.value_length", KeyLength)
            .Key("attention.layer_norm_rms_epsilon", Epsilon)
            .Key("vocab_size", TinyModel.VocabularySize);
        if (RopeDimensions is { } dimensions) model.Key("rope.dimension_count", dimensions);
        if (Experts > 0)
        {
            model.Key("expert_count", Experts).Key("expert_used_count", UsedExperts).Key("expert_feed_forward_length", ExpertLength);
        }

        foreach (var (key, value) in Keys) model.Key(key, value);
        model.Scaled("token_embd.weight", IsTied ? 3 : Math.Sqrt(Embedding), Embedding, TinyModel.VocabularySize);
        for (var layer = 0; layer < Layers; layer++) AddLayer(model, layer);
        model.Gain("output_norm.weight", Embedding);
        if (!IsTied) model.Scaled("output.weight", 3, Embedding, TinyModel.VocabularySize);
        Further?.Invoke(model);
        return model;
    }

    private void AddLayer(TinyArchitecture model, int layer)
    {
        var prefix = $"blk.{layer}.";
        if (HasPreNorms) model.Gain(prefix + "attn_norm.weight", Embedding);
        AddAttention(model, prefix);
        if (HasPostNorms || NamesFeedForwardNormPost) model.Gain(prefix + "post_attention_norm.weight", Embedding);
        if (HasPreNorms && !NamesFeedForwardNormPost) model.Gain(prefix + "ffn_norm.weight", Embedding);
        if (Experts > 0 && layer >= LeadingDense && (layer + 1) % ExpertStep == 0)
        {
            AddExperts(model, prefix);
        }
        else
        {
            if (!HasFusedGateUp) model.Matrix(prefix + "ffn_gate.weight", Embedding, FeedForward);
            model.Matrix(prefix + "ffn_up.weight", Embedding, HasFusedGateUp ? 2 * FeedForward : FeedForward);
            model.Scaled(prefix + "ffn_down.weight", 1.5, FeedForward, Embedding);
        }

        if (HasPostNorms) model.Gain(prefix + "post_ffw_norm.weight", Embedding);
    }

    private void AddAttention(TinyArchitecture model, string prefix)
    {
        var queries = Heads * KeyLength;
        var keys = KeyValueHeads * KeyLength;
        if (HasFusedQueryKeyValue)
        {
            model.Scaled(prefix + "attn_qkv.weight", 1.2, Embedding, queries + (2 * keys));
        }
        else
        {
            foreach (var (letter, length) in (ReadOnlySpan<(string, int)>)[("q", queries), ("k", keys), ("v", keys)])
            {
                // Sharp attention, so that a wrong rotation or mask changes what is looked at.
                model.Scaled($"{prefix}attn_{letter}.weight", letter == "v" ? 1 : 1.5, Embedding, length);
                if (HasBias) model.Bias($"{prefix}attn_{letter}.bias", length);
            }
        }

        model.Matrix(prefix + "attn_output.weight", queries, Embedding);
        if (HeadNorm != "")
        {
            model.Gain(prefix + "attn_q_norm.weight", HeadNorm == "whole" ? queries : KeyLength);
            model.Gain(prefix + "attn_k_norm.weight", HeadNorm == "whole" ? keys : KeyLength);
        }
    }

    private void AddExperts(TinyArchitecture model, string prefix)
    {
        model.Scaled(prefix + "ffn_gate_inp.weight", 2, Embedding, Experts)
            .Matrix(prefix + "ffn_gate_exps.weight", Embedding, ExpertLength, Experts)
            .Matrix(prefix + "ffn_up_exps.weight", Embedding, ExpertLength, Experts)
            .Scaled(prefix + "ffn_down_exps.weight", 1.5, ExpertLength, Embedding, Experts);
        if (HasChoiceBias) model.Bias(prefix + "exp_probs_b.bias", Experts);
        if (SharedLength == 0) return;
        model.Matrix(prefix + "ffn_gate_shexp.weight", Embedding, SharedLength)
            .Matrix(prefix + "ffn_up_shexp.weight", Embedding, SharedLength)
            .Scaled(prefix + "ffn_down_shexp.weight", 1.5, SharedLength, Embedding);
        if (HasSharedGate) model.Matrix(prefix + "ffn_gate_inp_shexp.weight", Embedding);
    }
}
