using Sluice.Inference.Gguf;

namespace Sluice.Inference.Architectures;

/// <summary>The architectures that the engine computes, each with the page that reads it.</summary>
internal static class ArchitectureTable
{
    private static readonly Dictionary<string, Func<PlanReader, ModelPlan>> Pages = new()
    {
        ["llama"] = LlamaFamily.Read,
        ["mistral3"] = LlamaFamily.ReadMistral3,
        ["smollm3"] = LlamaFamily.ReadSmolLm3,
        ["ernie4_5"] = LlamaFamily.Read,
        ["llama4"] = Llama4Family.Read,
        ["qwen2"] = QwenFamily.Read,
        ["qwen3"] = QwenFamily.Read3,
        ["qwen2moe"] = QwenFamily.Read2Experts,
        ["qwen3moe"] = QwenFamily.Read3Experts,
        ["gemma"] = GemmaFamily.Read,
        ["gemma2"] = GemmaFamily.Read2,
        ["gemma3"] = GemmaFamily.Read3,
        ["gemma4"] = Gemma4Family.Read,
        ["granite"] = GraniteFamily.Read,
        ["granitemoe"] = GraniteFamily.ReadExperts,
        ["phi3"] = PhiFamily.Read3,
        ["olmo2"] = OlmoFamily.Read2,
        ["olmoe"] = OlmoFamily.ReadExperts,
        ["exaone4"] = ExaoneFamily.Read4,
        ["hunyuan-dense"] = HunyuanFamily.ReadDense,
        ["glm4"] = GlmFamily.Read4,
        ["glm4moe"] = GlmFamily.Read4Experts,
        ["seed_oss"] = SeedFamily.ReadOss,
        ["minimax-m2"] = MiniMaxFamily.Read2,
        ["gpt-oss"] = GptOssFamily.Read,
        ["deepseek2"] = DeepSeekFamily.Read2,
        ["qwen35"] = Qwen35Family.Read,
        ["qwen35moe"] = Qwen35Family.ReadExperts,
        ["lfm2"] = Lfm2Family.Read,
        ["lfm2moe"] = Lfm2Family.ReadExperts,
        ["granitehybrid"] = GraniteFamily.ReadHybrid,
        ["nemotron_h"] = NemotronFamily.Read,
        ["nemotron_h_moe"] = NemotronFamily.ReadExperts,
        ["falcon-h1"] = FalconFamily.ReadH1,
        ["bert"] = BertFamily.Read,
        ["nomic-bert"] = BertFamily.ReadNomic,
        ["modern-bert"] = BertFamily.ReadModern,
        ["gemma-embedding"] = GemmaFamily.ReadEmbedding,
    };

    /// <summary>Names as in files, in order.</summary>
    public static IEnumerable<string> Names => Pages.Keys.Order(StringComparer.Ordinal);

    // Files that are no models by themselves.
    private static readonly Dictionary<string, string> Parts = new()
    {
        ["clip"] = "it has the vision or sound part (mmproj) of another model, which this version doesn't compute; load the file of the model itself",
        ["gemma4-assistant"] = "it drafts for another model, which this version doesn't need; load the file of the model itself",
    };

    /// <summary>What the model of a file computes.</summary>
    /// <exception cref="GgufException">The architecture is unknown, or a key is missing, out of range or not supported.</exception>
    /// <param name="file">The file.</param>
    /// <param name="contextMax">Most tokens that the model is to be used for; null for those of the file.</param>
    public static ModelPlan Read(GgufFile file, int? contextMax = null)
    {
        string name = file.Metadata.GetString("general.architecture");
        if (Pages.TryGetValue(name, out Func<PlanReader, ModelPlan>? page))
        {
            var reader = new PlanReader(file, name, contextMax);
            return Check(reader, page(reader));
        }

        string remedy = Parts.GetValueOrDefault(name)
            ?? "this version doesn't compute it; use a model of one of these families, or add a server that runs this one as an upstream";
        throw new GgufException(
            $"{file.Path}: key 'general.architecture': expected one of {string.Join(", ", Names)}, found '{name}': {remedy}.");
    }

    private static ModelPlan Check(PlanReader reader, ModelPlan plan)
    {
        foreach (LayerPlan layer in plan.Layers)
        {
            bool mixes = layer.Attention != null || layer.Recurrent != null;
            bool feeds = layer.FeedForward != null || layer.Experts != null;
            if (plan.HasLayersOfOnePart ? mixes == feeds : !mixes || !feeds)
            {
                throw reader.Error("feed_forward_length", $"what layer {layer.Index} is made of", "a part too few");
            }
        }

        return plan.StateCount <= ModelLimits.StateCountMax
            ? plan
            : throw reader.Error("ssm.inner_size", $"a state of at most {ModelLimits.StateCountMax} values", $"{plan.StateCount}");
    }
}
