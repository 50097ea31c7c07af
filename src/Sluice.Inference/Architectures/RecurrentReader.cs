namespace Sluice.Inference.Architectures;

/// <summary>The keys of recurrent layers. The kinds share their names and mean different things by them.</summary>
internal static class RecurrentReader
{
    private const int KernelLengthMax = 16;

    /// <exception cref="Gguf.GgufException">A key is missing or out of range, or sizes don't fit each other.</exception>
    public static RecurrentPlan ReadDeltaRule(PlanReader reader)
    {
        int side = reader.Integer("ssm.state_size", 16, ModelLimits.HeadWidthMax);
        int keyHeads = reader.Integer("ssm.group_count", 1, ModelLimits.HeadCountMax);
        int heads = reader.Integer("ssm.time_step_rank", 1, ModelLimits.HeadCountMax);
        int inner = reader.Integer("ssm.inner_size", 16, ModelLimits.WidthMax);
        if (side % 16 != 0)
        {
            throw reader.Error("ssm.state_size", "a multiple of 16", $"{side}");
        }

        if (inner != side * heads || heads % keyHeads != 0)
        {
            throw reader.Error("ssm.inner_size", $"state_size {side} times time_step_rank {heads}, a multiple of group_count {keyHeads}", $"{inner}");
        }

        return new RecurrentPlan
        {
            Kind = RecurrentKind.DeltaRule,
            ChannelCount = (2 * side * keyHeads) + inner,
            KernelLength = reader.Integer("ssm.conv_kernel", 2, KernelLengthMax),
            InnerLength = inner,
            HeadCount = heads,
            HeadLength = side,
            StateLength = side,
            GroupCount = keyHeads,
        };
    }

    /// <exception cref="Gguf.GgufException">A key is missing or out of range, or sizes don't fit each other.</exception>
    public static RecurrentPlan ReadMamba2(PlanReader reader)
    {
        int state = reader.Integer("ssm.state_size", 16, ModelLimits.HeadWidthMax);
        int groups = reader.Integer("ssm.group_count", 1, ModelLimits.HeadCountMax, 1);
        int heads = reader.Integer("ssm.time_step_rank", 1, ModelLimits.WidthMax);
        int inner = reader.Integer("ssm.inner_size", 16, ModelLimits.WidthMax);
        if (state % 16 != 0)
        {
            throw reader.Error("ssm.state_size", "a multiple of 16", $"{state}");
        }

        if (inner % (16 * groups) != 0 || inner % heads != 0 || heads % groups != 0)
        {
            throw reader.Error("ssm.inner_size", $"a multiple of time_step_rank {heads} and of 16 times group_count {groups}", $"{inner}");
        }

        return new RecurrentPlan
        {
            Kind = RecurrentKind.Mamba2,
            ChannelCount = inner + (2 * groups * state),
            KernelLength = reader.Integer("ssm.conv_kernel", 2, KernelLengthMax),
            InnerLength = inner,
            HeadCount = heads,
            HeadLength = inner / heads,
            StateLength = state,
            GroupCount = groups,
        };
    }

    /// <exception cref="Gguf.GgufException">A key is missing or out of range.</exception>
    public static RecurrentPlan ReadShortConvolution(PlanReader reader)
    {
        int embedding = reader.Integer("embedding_length", 16, ModelLimits.WidthMax);
        return new RecurrentPlan
        {
            Kind = RecurrentKind.ShortConvolution,
            ChannelCount = embedding,
            KernelLength = reader.Integer("shortconv.l_cache", 2, KernelLengthMax),
            InnerLength = embedding,
        };
    }
}
