using Sluice.Inference.Architectures;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Gguf;
using Sluice.Inference.Sampling;
using Sluice.Inference.Tokenization;
using Sluice.Inference.Transformer;

namespace Sluice.Inference;

/// <summary>Says whether the engine can run a model, without reading its weights.</summary>
public static class ModelProbe
{
    private const string TemplateKey = "tokenizer.chat_template";

    /// <summary>What the makers of a model recommend, by the keys of its file or by its family.</summary>
    /// <param name="path">The GGUF file.</param>
    /// <exception cref="GgufException">The file is broken; the message is one sentence that names file and key.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static SamplingDefaults ReadSampling(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        return RecommendedSampling.Of(file.Metadata, path);
    }

    /// <summary>What a model is for.</summary>
    /// <param name="path">The GGUF file.</param>
    /// <exception cref="GgufException">The file is broken or not supported; the message is one sentence that names file and key.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static ModelPurpose ReadPurpose(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        ModelPlan plan = ArchitectureTable.Read(file);
        return plan.WritesText ? ModelPurpose.Text : plan.Pooling == Pooling.Rank ? ModelPurpose.Reranking : ModelPurpose.Embedding;
    }

    /// <summary>Reads what a load reads before the weights: the header, the shape, the names of the tensors, the tokenizer and the chat template.</summary>
    /// <param name="path">The GGUF file.</param>
    /// <exception cref="GgufException">The file is broken or not supported; the message is one sentence that names file and key.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static void Check(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        TransformerWeights.Check(file, ArchitectureTable.Read(file));
        Tokenizer.Load(file.Metadata);
        if (file.Metadata.FindString(TemplateKey) is not { } source)
        {
            return;
        }

        try
        {
            ChatTemplate.Parse(source);
        }
        catch (ChatTemplateException error)
        {
            throw new GgufException($"{path}: key '{TemplateKey}': {error.Message}", error);
        }
    }
}

/// <summary>What a model is for.</summary>
public enum ModelPurpose
{
    /// <summary>It writes text: <see cref="Scheduling.InferenceEngine"/>.</summary>
    Text,

    /// <summary>It makes a vector of a text: <see cref="Embeddings.EmbeddingModel"/>.</summary>
    Embedding,

    /// <summary>It gives a pair of texts a score: <see cref="Embeddings.EmbeddingModel"/> as well.</summary>
    Reranking,
}
