namespace Sluice.Inference.Architectures;

/// <summary>The keys of experts, which families share. What a file leaves out, a family knows.</summary>
internal static class ExpertReader
{
    /// <summary>Null for a model without experts.</summary>
    /// <param name="reader">The file's keys.</param>
    /// <param name="gate">The family's, where the file doesn't say.</param>
    /// <param name="normalizes">Whether the family divides the weights by their sum, where the file doesn't say.</param>
    /// <param name="fallbackLength">Key with the length of an expert, where the file has none of its own.</param>
    /// <exception cref="Gguf.GgufException">A key is missing or out of range.</exception>
    public static ExpertPlan? Read(PlanReader reader, ExpertGate gate, bool normalizes, string? fallbackLength = null)
    {
        int count = reader.Integer("expert_count", 0, ModelLimits.ExpertCountMax, 0);
        if (count == 0)
        {
            return null;
        }

        int used = reader.Integer("expert_used_count", 1, count);
        int length = reader.Integer(
            reader.Has("expert_feed_forward_length") || fallbackLength == null ? "expert_feed_forward_length" : fallbackLength,
            16,
            ModelLimits.WidthMax);
        int groups = reader.Integer("expert_group_count", 0, count, 0);
        if (groups > 1 && (count % groups != 0 || count / groups < 2))
        {
            throw reader.Error("expert_group_count", $"a divisor of expert_count {count} that leaves groups of two or more", $"{groups}");
        }

        int gating = reader.Integer("expert_gating_func", 0, 3, 0);
        double scale = reader.Number("expert_weights_scale", 0, 1e3, 0);
        return new ExpertPlan
        {
            Count = count,
            UsedCount = used,
            Length = length,
            Gate = gating == 0 ? gate : (ExpertGate)gating,
            NormalizesWeights = reader.Flag("expert_weights_norm", normalizes),
            WeightScale = scale == 0 ? 1 : (float)scale,
            GroupCount = Math.Max(1, groups),
            GroupUsedCount = groups > 1 ? reader.Integer("expert_group_used_count", 1, groups) : 1,
            SharedLength = reader.Integer(
                "expert_shared_feed_forward_length", 0, ModelLimits.WidthMax, length * reader.Integer("expert_shared_count", 0, ModelLimits.ExpertCountMax, 0)),
        };
    }

    /// <summary>The same for a model that can't be without experts.</summary>
    public static ExpertPlan Require(PlanReader reader, ExpertGate gate, bool normalizes, string? fallbackLength = null) =>
        Read(reader, gate, normalizes, fallbackLength) ?? throw reader.Error("expert_count", "at least 1", "0");
}
