namespace Sluice.Inference.Architectures;

/// <summary>Which layers see a window only.</summary>
internal static class WindowReader
{
    private const string PatternKey = "attention.sliding_window_pattern";

    /// <summary>Positions that a local layer sees; 0 for none.</summary>
    public static int Length(PlanReader reader, int fallback = 0) =>
        reader.Integer("attention.sliding_window", 0, ModelLimits.ContextLengthMax, fallback);

    /// <summary>Whether a layer is local: as a list says for each, or of n layers the first n - 1, where 0 and 1 mean none.</summary>
    /// <param name="reader">The file's keys.</param>
    /// <param name="layer">Index of the layer.</param>
    /// <param name="fallback">n, where the file doesn't say.</param>
    public static bool IsLocal(PlanReader reader, int layer, int fallback) =>
        reader.FlagAt(PatternKey, layer) ?? Pattern(reader, fallback) is > 1 and var n && layer % n < n - 1;

    /// <summary>n of the pattern, where it is no list.</summary>
    public static int Pattern(PlanReader reader, int fallback) => reader.Integer(PatternKey, 0, ModelLimits.BlockCountMax, fallback);

    /// <summary>The same layer with a window, or without where its length is 0, and its own way to turn.</summary>
    public static LayerPlan Narrow(LayerPlan layer, int window, int rope = 0) => layer with
    {
        Attention = layer.Attention! with { Mask = window > 0 ? AttentionMask.Window : AttentionMask.Causal, Window = window, Rope = rope },
    };
}
