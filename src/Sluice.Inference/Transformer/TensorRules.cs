using Sluice.Inference.Architectures;
using Sluice.Inference.Gguf;

namespace Sluice.Inference.Transformer;

/// <summary>Which tensors of a file an answer doesn't need.</summary>
internal static class TensorRules
{
    // Towers for pictures and sound, and what connects them.
    private static readonly string[] OtherParts = ["v.", "mm.", "a."];

    /// <summary>Refuses a tensor that nobody has read: a bias or a scale that is left out gives wrong text without a word.</summary>
    /// <exception cref="GgufException">There is one.</exception>
    public static void CheckAllRead(WeightReader reader, ModelPlan plan)
    {
        int layerCount = plan.Layers.Count;
        if (reader.File.Tensors.Keys.FirstOrDefault(name => !reader.IsRead(name) && !IsSkipped(name, layerCount)) is { } unknown)
        {
            throw new GgufException(
                $"{reader.File.Path}: tensor '{unknown}': expected only tensors that architecture '{plan.Architecture}' is computed with, found one more.");
        }
    }

    // Heads for drafts stand behind the layers, under the names of layers.
    private static bool IsSkipped(string name, int layerCount) =>
        OtherParts.Any(part => name.StartsWith(part, StringComparison.Ordinal))
        || name.StartsWith("rope_f", StringComparison.Ordinal)
        || name.EndsWith(".input_scale", StringComparison.Ordinal)
        || (name.StartsWith("blk.", StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(4, name.IndexOf('.', 4) is > 4 and var end ? end - 4 : 0), out int layer) && layer >= layerCount);
}
