namespace Sluice.Inference.Architectures;

/// <summary>Seed-OSS: biases, and the norm before the feed-forward part under the name of one behind attention.</summary>
internal static class SeedFamily
{
    public static ModelPlan ReadOss(PlanReader reader) => DecoderReader.Read(
        reader, static layer => layer with { FeedForwardNorm = "post_attention_norm" });
}
