using Sluice.Inference.Architectures;
using Sluice.Inference.Gguf;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference;

/// <summary>What a file says about its model, without its weights.</summary>
/// <param name="Architecture">By <c>general.architecture</c>.</param>
/// <param name="ParameterCount">Weights.</param>
/// <param name="WeightType">The type that most weights have.</param>
/// <param name="ContextLength">Tokens; 0 where the file doesn't say.</param>
/// <param name="Purpose">What it is for.</param>
public sealed record ModelFacts(string Architecture, long ParameterCount, string WeightType, int ContextLength, ModelPurpose Purpose)
{
    /// <summary>Values of a token's vector.</summary>
    public int EmbeddingLength { get; init; }

    /// <summary>The model's own chat template; null for none.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>By <c>general.license</c>; null where the file doesn't say.</summary>
    public string? License { get; init; }

    /// <summary>Whether it can fill a gap between two texts.</summary>
    public bool FillsGaps { get; init; }

    /// <summary>The keys of the file: a text, a long, a double or a truth value; null for a list.</summary>
    public IReadOnlyDictionary<string, object?> Values { get; init; } = new Dictionary<string, object?>();

    /// <summary>Reads them.</summary>
    /// <param name="path">The GGUF file.</param>
    /// <exception cref="GgufException">The file is broken or not supported; the message is one sentence that names file and key.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static ModelFacts Read(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        GgufMetadata metadata = file.Metadata;
        ModelPlan plan = ArchitectureTable.Read(file);
        var weights = file.Tensors.Values
            .GroupBy(static tensor => tensor.Type)
            .ToDictionary(static same => same.Key, static same => same.Sum(static tensor => tensor.RowLength * tensor.RowCount));
        return new ModelFacts(
            plan.Architecture,
            weights.Values.Sum(),
            weights.MaxBy(static pair => pair.Value).Key.ToString(),
            plan.ContextLength,
            plan.WritesText ? ModelPurpose.Text : plan.Pooling == Pooling.Rank ? ModelPurpose.Reranking : ModelPurpose.Embedding)
        {
            EmbeddingLength = plan.EmbeddingLength,
            ChatTemplate = metadata.FindString("tokenizer.chat_template"),
            License = metadata.FindString("general.license"),
            FillsGaps = Tokenizer.Load(metadata).FillInMiddle is not null,
            Values = metadata.ReadValues(),
        };
    }
}
