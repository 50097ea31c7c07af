namespace Sluice.Inference.Architectures;

/// <summary>Phi 3, 3.5 and 4 mini: fused matrices, which the reader finds by itself, and often fewer turning values than a head has.</summary>
internal static class PhiFamily
{
    // The window of some files is left aside, as llama.cpp does.
    public static ModelPlan Read3(PlanReader reader) => DecoderReader.Read(reader);
}
