namespace Sluice.Inference.Architectures;

/// <summary>Qwen 2, with biases, and Qwen 3, with norms per head: the plan as it is.</summary>
internal static class QwenFamily
{
    public static ModelPlan Read(PlanReader reader) => DecoderReader.Read(reader);
}
