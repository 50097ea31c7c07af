namespace Sluice.Inference.Architectures;

/// <summary>How query and key pairs turn with their position.</summary>
/// <param name="DimensionCount">Leading values of a head that turn; even.</param>
/// <param name="FrequencyBase">θ; 10,000 when the file says nothing.</param>
/// <param name="Scaling">How positions beyond the trained context are squeezed.</param>
/// <param name="Factor">Scaling factor, 1 for none.</param>
/// <param name="OriginalContextLength">Trained context, for YaRN.</param>
/// <param name="AttentionFactor">Extra magnitude; 1 for none.</param>
internal sealed record RopeConfig(
    int DimensionCount, double FrequencyBase, RopeScaling Scaling, double Factor, int OriginalContextLength, double AttentionFactor)
{
    /// <summary>Rotations within the trained context from which on YaRN leaves a pair as it is.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Rotations up to which YaRN squeezes a pair by the whole factor.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>μ in YaRN's magnitude (1 + 0.1 ln f) / (1 + 0.1 μ ln f).</summary>
    public double LogMultiplier { get; init; }

    /// <summary>Tensor with a divisor for the frequency of each pair, where the file has it.</summary>
    public string? Divisors { get; init; } = "rope_freqs.weight";

    /// <summary>Reads the keys that all families share.</summary>
    /// <param name="reader">The file's keys.</param>
    /// <param name="keyLength">Values of a head.</param>
    /// <param name="contextLength">The model's.</param>
    /// <exception cref="Gguf.GgufException">A key is out of range or names another scaling.</exception>
    public static RopeConfig Read(PlanReader reader, int keyLength, int contextLength)
    {
        int dimensions = reader.Integer("rope.dimension_count", 2, keyLength, keyLength);
        if (dimensions % 2 != 0)
        {
            throw reader.Error("rope.dimension_count", $"an even number up to {keyLength}", $"{dimensions}");
        }

        // A factor without a type means linear, also where an old key has it; 0 and 1 mean none.
        double factor = reader.Number("rope.scaling.factor", 0, 1e6, reader.Number("rope.scale_linear", 0, 1e6, 1));
        string type = reader.Text("rope.scaling.type", "linear");
        RopeScaling scaling = type switch
        {
            "none" or "longrope" => RopeScaling.None,
            "linear" => factor is 0 or 1 ? RopeScaling.None : RopeScaling.Linear,
            "yarn" => RopeScaling.Yarn,
            _ => throw reader.Error("rope.scaling.type", "none, linear, yarn or longrope", $"'{type}'"),
        };
        int originalContextLength = reader.Integer(
            "rope.scaling.original_context_length", 1, ModelLimits.ContextLengthMax, contextLength);
        var rope = new RopeConfig(
            dimensions,
            reader.Number("rope.freq_base", 1.001, 1e12, 10000),
            scaling,
            scaling == RopeScaling.None || factor == 0 ? 1 : factor,
            originalContextLength,
            reader.Number("rope.scaling.attn_factor", 1e-3, 1e3, 1))
        {
            BetaFast = reader.Number("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32),
            BetaSlow = reader.Number("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1),
            LogMultiplier = reader.Number("rope.scaling.yarn_log_multiplier", 0, 1e3, 0),
        };

        // Which factors is decided once, by the context that the model is for: others in the middle of a text would void its cached keys.
        string factors = Math.Min(contextLength, reader.ContextMax) > originalContextLength ? "rope_factors_long.weight" : "rope_factors_short.weight";
        return reader.HasTensor(factors) ? rope with { Divisors = factors } : rope;
    }
}

/// <summary>Ways to stretch rotary positions.</summary>
internal enum RopeScaling
{
    None,
    Linear,
    Yarn,
}
