namespace Sluice.Inference.Architectures;

/// <summary>Which layers see a window only.</summary>
internal static class WindowReader
{
    /// <summary>Positions that a local layer sees; 0 for none.</summary>
    public static int Length(PlanReader reader, int fallback = 0) =>
        reader.Integer("attention.sliding_window", 0, ModelLimits.ContextLengthMax, fallback);

    /// <summary>Of n layers the first n - 1 are local; 0 and 1 for none.</summary>
    public static int Pattern(PlanReader reader, int fallback) =>
        reader.Integer("attention.sliding_window_pattern", 0, ModelLimits.BlockCountMax, fallback);

    public static bool IsLocal(int layer, int pattern) => pattern > 1 && layer % pattern < pattern - 1;

    /// <summary>The same layer with a window and its own way to turn.</summary>
    public static LayerPlan Narrow(LayerPlan layer, int window, int rope = 0) =>
        layer with { Attention = layer.Attention! with { Mask = AttentionMask.Window, Window = window, Rope = rope } };
}
