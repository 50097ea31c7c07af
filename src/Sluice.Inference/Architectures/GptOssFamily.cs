namespace Sluice.Inference.Architectures;

/// <summary>gpt-oss: every other layer has a window, each head a sink; biases everywhere, and experts with a clamped gate.</summary>
internal static class GptOssFamily
{
    public static ModelPlan Read(PlanReader reader)
    {
        ExpertPlan experts = ExpertReader.Require(reader, ExpertGate.SoftmaxOfChosen, normalizes: false) with { Activation = Activation.ClampedSwish };
        int window = WindowReader.Length(reader, 128);
        return DecoderReader.Read(reader, layer =>
        {
            LayerPlan shaped = layer with
            {
                Attention = layer.Attention! with { HasSinks = true },
                FeedForwardNorm = "post_attention_norm",
                FeedForward = null,
                Experts = experts,
            };
            return WindowReader.IsLocal(reader, layer.Index, 2) ? WindowReader.Narrow(shaped, window) : shaped;
        });
    }
}
