namespace Sluice.Inference.Architectures;

/// <summary>
/// Llama 4: three of four layers see a chunk and turn, the fourth sees everything and doesn't; its queries grow with their position. Experts by
/// sigmoids that multiply what the expert reads, beside a shared part.
/// </summary>
internal static class Llama4Family
{
    private const int ChunkLength = 8192;

    // The larger of the two published models is the one without norms of queries and keys.
    private const int ExpertCountWithoutNorm = 128;

    public static ModelPlan Read(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.Sigmoid, normalizes: false);
        experts = experts with { WeighsInput = true, SharedLength = experts.SharedLength == 0 ? experts.Length : experts.SharedLength };
        int step = reader.Integer("interleave_moe_layer_step", 1, reader.LayerCount, 1);
        int chunk = WindowReader.Length(reader, ChunkLength) is > 0 and var length ? length : ChunkLength;
        HeadNorm norm = experts.Count == ExpertCountWithoutNorm ? HeadNorm.IfPresent : HeadNorm.UnitAfterRope;
        return DecoderReader.Read(reader, layer =>
        {
            bool hasExperts = (layer.Index + 1) % step == 0;
            AttentionPlan attention = (layer.Index + 1) % 4 == 0
                ? layer.Attention! with { Rope = -1, Temperature = new QueryTemperature(0.1f, ChunkLength, 1) }
                : layer.Attention! with { IsInterleaved = true, Mask = AttentionMask.Chunk, Window = chunk, HeadNorm = norm };
            return layer with
            {
                Attention = attention,
                FeedForward = hasExperts ? null : layer.FeedForward,
                Experts = hasExperts ? experts : null,
            };
        });
    }
}
