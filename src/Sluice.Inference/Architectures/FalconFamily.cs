namespace Sluice.Inference.Architectures;

/// <summary>Falcon H1: attention and Mamba side by side in every layer, behind one norm; both results are added.</summary>
internal static class FalconFamily
{
    public static ModelPlan ReadH1(PlanReader reader)
    {
        RecurrentPlan mamba = RecurrentReader.ReadMamba2(reader);
        return DecoderReader.Read(reader, layer => layer with { Recurrent = mamba });
    }
}
