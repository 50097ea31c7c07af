namespace Sluice.Inference.Architectures;

/// <summary>Llama and Mistral: the plan as it is, with interleaved pairs.</summary>
internal static class LlamaFamily
{
    public static ModelPlan Read(PlanReader reader) =>
        DecoderReader.Read(reader, static layer => layer with { Attention = layer.Attention! with { IsInterleaved = true } });
}
