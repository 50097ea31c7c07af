using Sluice.Inference.Architectures;

namespace Sluice.Inference.Transformer;

/// <summary>Reads the weights of recurrent layers.</summary>
internal sealed unsafe class StateWeightReader(WeightReader reader, int embedding)
{
    /// <exception cref="Gguf.GgufException">A tensor is missing or has another shape than the plan says.</exception>
    public RecurrentWeights Read(string prefix, RecurrentPlan plan) => plan.Kind switch
    {
        RecurrentKind.DeltaRule => ReadDeltaRule(prefix, plan),
        RecurrentKind.Mamba2 => ReadMamba2(prefix, plan),
        _ => ReadShortConvolution(prefix, plan),
    };

    private RecurrentWeights ReadDeltaRule(string prefix, RecurrentPlan plan) => new()
    {
        Channels = reader.Matrix(prefix + "attn_qkv.weight", plan.ChannelCount, embedding),
        Gate = reader.Matrix(prefix + "attn_gate.weight", plan.InnerLength, embedding),
        Step = reader.Matrix(prefix + "ssm_alpha.weight", plan.HeadCount, embedding),
        Beta = reader.Matrix(prefix + "ssm_beta.weight", plan.HeadCount, embedding),
        Kernel = reader.Transposed(prefix + "ssm_conv1d.weight", plan.ChannelCount, plan.KernelLength),
        StepBias = reader.Vector(prefix + "ssm_dt.bias", plan.HeadCount),
        Decay = reader.Vector(prefix + "ssm_a", plan.HeadCount),
        Norm = reader.Vector(prefix + "ssm_norm.weight", plan.HeadLength),
        Output = reader.Matrix(prefix + "ssm_out.weight", embedding, plan.InnerLength),
    };

    // One matrix has z, then what the convolution runs over, then the steps.
    private RecurrentWeights ReadMamba2(string prefix, RecurrentPlan plan)
    {
        string name = prefix + "ssm_in.weight";
        int inner = plan.InnerLength;
        int all = inner + plan.ChannelCount + plan.HeadCount;
        return new RecurrentWeights
        {
            Gate = reader.Rows(name, all, embedding, 0, inner),
            Channels = reader.Rows(name, all, embedding, inner, plan.ChannelCount),
            Step = reader.Rows(name, all, embedding, inner + plan.ChannelCount, plan.HeadCount),
            Kernel = reader.Transposed(prefix + "ssm_conv1d.weight", plan.ChannelCount, plan.KernelLength),
            KernelBias = reader.FindVector(prefix + "ssm_conv1d.bias", plan.ChannelCount),
            StepBias = reader.Vector(prefix + "ssm_dt.bias", plan.HeadCount),
            Decay = reader.Flat(prefix + "ssm_a", plan.HeadCount),
            Skip = reader.Flat(prefix + "ssm_d", plan.HeadCount),
            Norm = reader.Has(prefix + "ssm_norm.weight") ? reader.Flat(prefix + "ssm_norm.weight", inner) : null,
            Output = reader.Matrix(prefix + "ssm_out.weight", embedding, inner),
        };
    }

    // One matrix has b, c and x.
    private RecurrentWeights ReadShortConvolution(string prefix, RecurrentPlan plan)
    {
        string name = prefix + "shortconv.in_proj.weight";
        int length = plan.ChannelCount;
        return new RecurrentWeights
        {
            Step = reader.Rows(name, 3L * length, embedding, 0, length),
            Gate = reader.Rows(name, 3L * length, embedding, length, length),
            Channels = reader.Rows(name, 3L * length, embedding, 2L * length, length),
            Kernel = reader.Transposed(prefix + "shortconv.conv.weight", length, plan.KernelLength),
            Output = reader.Matrix(prefix + "shortconv.out_proj.weight", embedding, length),
        };
    }
}
