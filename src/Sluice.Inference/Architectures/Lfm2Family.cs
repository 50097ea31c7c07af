namespace Sluice.Inference.Architectures;

/// <summary>LFM 2 and 2.5: short convolutions, and attention where a layer has key/value heads.</summary>
internal static class Lfm2Family
{
    public static ModelPlan Read(PlanReader reader)
    {
        RecurrentPlan convolution = RecurrentReader.ReadShortConvolution(reader);
        return DecoderReader.Read(reader, layer => layer with { Recurrent = layer.Attention == null ? convolution : null }) with
        {
            // The last norm, under the name of an embedding's.
            OutputNorm = "token_embd_norm",
        };
    }
}
