namespace Sluice.Inference.Architectures;

/// <summary>EXAONE 4: norms behind the parts only, and per head. The largest has windows, and turns in local layers alone.</summary>
internal static class ExaoneFamily
{
    private const int WindowedLayerCount = 64;

    public static ModelPlan Read4(PlanReader reader)
    {
        bool hasWindows = reader.LayerCount == WindowedLayerCount;
        int window = WindowReader.Length(reader, 4096);
        return DecoderReader.Read(reader, layer =>
        {
            LayerPlan shaped = layer.WithPostNormsOnly();
            return !hasWindows ? shaped
                : WindowReader.IsLocal(reader, layer.Index, 4) ? WindowReader.Narrow(shaped, window)
                : shaped.WithoutRope();
        });
    }
}
