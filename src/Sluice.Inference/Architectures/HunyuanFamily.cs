namespace Sluice.Inference.Architectures;

/// <summary>Hunyuan, dense: norms per head behind the rotation.</summary>
internal static class HunyuanFamily
{
    public static ModelPlan ReadDense(PlanReader reader) => DecoderReader.Read(
        reader, static layer => layer with { Attention = layer.Attention! with { HeadNorm = HeadNorm.AfterRope } });
}
