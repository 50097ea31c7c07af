using Sluice.Inference.Gguf;

namespace Sluice.Inference.Architectures;

/// <summary>The architectures that the engine computes, each with the page that reads it.</summary>
internal static class ArchitectureTable
{
    private static readonly Dictionary<string, Func<PlanReader, ModelPlan>> Pages = new()
    {
        ["llama"] = LlamaFamily.Read,
        ["qwen2"] = QwenFamily.Read,
        ["qwen3"] = QwenFamily.Read,
    };

    /// <summary>Names as in files, in order.</summary>
    public static IEnumerable<string> Names => Pages.Keys.Order(StringComparer.Ordinal);

    /// <summary>What the model of a file computes.</summary>
    /// <exception cref="GgufException">The architecture is unknown, or a key is missing, out of range or not supported.</exception>
    public static ModelPlan Read(GgufFile file)
    {
        string name = file.Metadata.GetString("general.architecture");
        return Pages.TryGetValue(name, out Func<PlanReader, ModelPlan>? page)
            ? page(new PlanReader(file, name))
            : throw new GgufException(
                $"{file.Path}: key 'general.architecture': expected one of {string.Join(", ", Names)}, found '{name}'.");
    }
}
