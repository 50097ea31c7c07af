namespace Sluice.Testing;

/// <summary>Every small model of a family whose numbers llama.cpp gave: see <c>tests/reference/make_architecture_truth.py</c>.</summary>
public static class TinyArchitectures
{
    private const int Window = 5;

    /// <summary>Models that write text.</summary>
    public static IReadOnlyList<TinyArchitecture> Decoders { get; } =
    [
        .. Dense().Concat(WithExperts()).Select(static d => d.Build()), .. TinyHybrids.All(),
        TinyGemma4.Build("gemma4", perLayer: 32), TinyGemma4.Build("gemma4-large", perLayer: 0),
        TinyGemma4.Build("gemma4-experts", perLayer: 0, experts: 6),
        TinyDeepSeek.Build("deepseek2", queryRank: 32), TinyDeepSeek.Build("deepseek2-groups", queryRank: 32, groups: 4),
        TinyDeepSeek.Build("deepseek2-light", queryRank: 0),
    ];

    /// <summary>Those of <see cref="Decoders"/> that keep a state.</summary>
    public static IReadOnlyList<TinyArchitecture> Hybrids { get; } = [.. Decoders.Where(static m => TinyHybrids.All().Any(h => h.Name == m.Name))];

    /// <summary>Models that make vectors, or scores, of texts.</summary>
    public static IReadOnlyList<TinyArchitecture> Encoders { get; } = [.. TinyEncoders.All()];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<TinyArchitecture> All { get; } = [.. Decoders, .. Encoders];

    /// <summary>The model of that name.</summary>
    public static TinyArchitecture Get(string name) => All.Single(model => model.Name == name);

    private static IEnumerable<TinyDecoder> Dense()
    {
        yield return new("llama") { Name = "llama-factor-alone", Keys = [("rope.scaling.factor", 4f)] };
        yield return new("gemma") { IsTied = true };
        yield return new("gemma2")
        {
            IsTied = true,
            HasPostNorms = true,
            Keys = [("attention.sliding_window", Window), ("attn_logit_softcapping", 50f), ("final_logit_softcapping", 30f)],
        };
        yield return new("gemma3")
        {
            IsTied = true,
            HasPostNorms = true,
            HeadNorm = "head",
            KeyLength = 32,
            Epsilon = 1e-6f,
            Layers = 6,
            Keys =
            [
                ("attention.sliding_window", Window), ("attention.sliding_window_pattern", 3), ("rope.freq_base", 1e6f),
                ("rope.scaling.type", "linear"), ("rope.scaling.factor", 8f),
            ],
        };
        yield return new("granite")
        {
            IsTied = true,
            Keys = [("embedding_scale", 12f), ("residual_scale", 0.22f), ("attention.scale", 0.2f), ("logit_scale", 2f)],
        };
        yield return new("smollm3") { IsTied = true, Keys = [("rope.freq_base", 5e6f)] };
        yield return new("mistral3")
        {
            Keys =
            [
                ("rope.freq_base", 1e6f), ("rope.scaling.type", "yarn"), ("rope.scaling.factor", 16f),
                ("rope.scaling.original_context_length", 8), ("rope.scaling.yarn_log_multiplier", 1f), ("attention.temperature_scale", 0.1f),
            ],
        };
        yield return new("phi3") { HasFusedQueryKeyValue = true, HasFusedGateUp = true };
        yield return Phi3Long("phi3-long", originalContext: 128);
        yield return Phi3Long("phi3-short", originalContext: 256);
        yield return new("olmo2") { HasPreNorms = false, HasPostNorms = true, HeadNorm = "whole" };
        yield return new("olmo2")
        {
            Name = "olmo2-window",
            HasPreNorms = false,
            HasPostNorms = true,
            HeadNorm = "whole",
            Keys =
            [
                ("attention.sliding_window", Window), ("rope.freq_base", 5e5f), ("rope.scaling.type", "yarn"), ("rope.scaling.factor", 8f),
                ("rope.scaling.original_context_length", 32),
            ],
        };
        yield return new("exaone4") { IsTied = true, HasPreNorms = false, HasPostNorms = true, HeadNorm = "head" };
        yield return new("exaone4")
        {
            Name = "exaone4-window",
            Layers = 64,
            HasPreNorms = false,
            HasPostNorms = true,
            HeadNorm = "head",
            Keys = [("attention.sliding_window", Window)],
        };
        yield return new("glm4") { HasPostNorms = true, HasFusedGateUp = true, RopeDimensions = 8 };
        yield return new("hunyuan-dense") { IsTied = true, HeadNorm = "head" };
        yield return new("ernie4_5") { IsTied = true };
        yield return new("seed_oss") { HasBias = true, NamesFeedForwardNormPost = true };
    }

    private static IEnumerable<TinyDecoder> WithExperts()
    {
        yield return new("llama") { Name = "mixtral", Experts = 6, FeedForward = 32 };
        yield return new("qwen3moe") { Experts = 6, HeadNorm = "head" };
        yield return new("qwen2moe")
        {
            Experts = 6,
            HasBias = true,
            SharedLength = 48,
            HasSharedGate = true,
            Keys = [("expert_shared_feed_forward_length", 48)],
        };
        yield return new("olmoe") { Experts = 6, HeadNorm = "whole", KeyValueHeads = 4, FeedForward = 32 };
        yield return new("granitemoe")
        {
            IsTied = true,
            Experts = 6,
            FeedForward = 32,
            SharedLength = 48,
            Keys =
            [
                ("embedding_scale", 12f), ("residual_scale", 0.22f), ("attention.scale", 0.2f), ("logit_scale", 2f),
                ("expert_shared_feed_forward_length", 48),
            ],
        };
        yield return new("glm4moe")
        {
            Experts = 6,
            LeadingDense = 1,
            HasBias = true,
            NamesFeedForwardNormPost = true,
            RopeDimensions = 8,
            HasChoiceBias = true,
            SharedLength = 32,
            Keys =
            [
                ("expert_gating_func", 2), ("expert_shared_count", 1), ("leading_dense_block_count", 1), ("expert_weights_scale", 1.5f),
                ("expert_weights_norm", true),
            ],
        };
        yield return new("minimax-m2")
        {
            Experts = 6,
            HeadNorm = "whole",
            RopeDimensions = 8,
            HasChoiceBias = true,
            FeedForward = 32,
            Keys = [("expert_gating_func", 2)],
        };
        yield return new("llama4")
        {
            Experts = 6,
            UsedExperts = 1,
            SharedLength = 32,
            ExpertStep = 2,
            Keys = [("rope.freq_base", 5e5f), ("interleave_moe_layer_step", 2)],
        };
        yield return new("gpt-oss")
        {
            Name = "gpt-oss",
            Experts = 6,
            UsedExperts = 3,
            HasBias = true,
            NamesFeedForwardNormPost = true,
            Keys =
            [
                ("attention.sliding_window", Window), ("rope.freq_base", 150000f), ("rope.scaling.type", "yarn"), ("rope.scaling.factor", 32f),
                ("rope.scaling.original_context_length", 64),
            ],
            Further = static model =>
            {
                for (var layer = 0; layer < 4; layer++)
                {
                    var prefix = $"blk.{layer}.";
                    model.Bias(prefix + "attn_output.bias", 64).Bias(prefix + "attn_sinks.weight", 4).Bias(prefix + "ffn_gate_inp.bias", 6)
                        .Bias(prefix + "ffn_gate_exps.bias", 32, 6).Bias(prefix + "ffn_up_exps.bias", 32, 6).Bias(prefix + "ffn_down_exps.bias", 64, 6);
                }
            },
        };
    }

    private static TinyDecoder Phi3Long(string name, int originalContext) => new("phi3")
    {
        Name = name,
        HasFusedQueryKeyValue = true,
        HasFusedGateUp = true,
        IsTied = true,
        RopeDimensions = 12,
        Keys =
        [
            ("rope.scaling.original_context_length", originalContext),
            ("rope.scaling.attn_factor", (float)Math.Sqrt(1 + (Math.Log(256.0 / originalContext) / Math.Log(originalContext)))),
        ],
        Further = static model => model.Add("rope_factors_long.weight", [6], static (_, _) => [1.5f, 1.8f, 2.1f, 2.4f, 2.7f, 3f])
            .Add("rope_factors_short.weight", [6], static (_, _) => [1f, 1.1f, 1.2f, 1.3f, 1.4f, 1.5f]),
    };
}
