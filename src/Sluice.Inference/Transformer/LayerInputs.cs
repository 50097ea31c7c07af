using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <summary>Which columns the matrices of a layer read, and in which form.</summary>
internal static class LayerInputs
{
    /// <summary>Whether a matrix that reads the normalised residual is quantised.</summary>
    public static bool ReadsQuantizedEmbedding(LayerWeights layer) =>
        IsQuantized(layer.Attention?.Query, layer.Attention?.Key, layer.Attention?.Value)
        || IsQuantized(layer.Attention?.Latent?.QueryInput)
        || IsQuantized(layer.Recurrent?.Channels, layer.Recurrent?.Gate, layer.Recurrent?.Step, layer.Recurrent?.Beta)
        || IsQuantized(layer.FeedForward?.Gate, layer.FeedForward?.Up)
        || IsQuantized(layer.PerLayer?.Gate)
        || (layer.Experts is { } e && (IsQuantized(e.Router, e.Shared?.Gate, e.Shared?.Up) || ReadsQuantizedGathered(e)));

    /// <summary>Values between the matrices of the part that every token takes; null without.</summary>
    public static int? GatedLength(LayerWeights layer) => layer.FeedForward?.Down.Length ?? layer.Experts?.Shared?.Down.Length;

    public static bool ReadsQuantizedGated(LayerWeights layer) => IsQuantized(layer.FeedForward?.Down, layer.Experts?.Shared?.Down);

    /// <summary>Whether experts read quantised columns.</summary>
    public static bool ReadsQuantizedGathered(ExpertWeights experts) => IsQuantized(experts.Experts[0].Gate, experts.Experts[0].Up);

    private static bool IsQuantized(params ReadOnlySpan<PackedMatrix?> matrices)
    {
        foreach (PackedMatrix? matrix in matrices)
        {
            if (matrix?.ReadsQuantized == true)
            {
                return true;
            }
        }

        return false;
    }
}
