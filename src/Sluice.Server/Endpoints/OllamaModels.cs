using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Sluice.Inference;
using Sluice.Inference.Embeddings;
using Sluice.Inference.Gguf;
using Sluice.Inference.Scheduling;
using Sluice.Protocol.Ollama;
using Sluice.Server.Models;

namespace Sluice.Server.Endpoints;

/// <summary>The hub's models as Ollama's API describes them. What a file says is read once. Thread-safe.</summary>
internal sealed class OllamaModels(LoadedModels<InferenceEngine> engines, LoadedModels<EmbeddingModel> embedders)
{
    // What of a template tells that its model thinks.
    private static readonly string[] s_thoughts = ["<think>", "enable_thinking", "<|channel|>", "<|channel>", "[THINK]", "reasoning_content"];

    // A number for a time that doesn't come, as Ollama has one.
    private static readonly DateTimeOffset s_never = new(2318, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly ConcurrentDictionary<(string Path, DateTimeOffset Modified), ModelFacts?> _facts = new();

    /// <summary>A model under one of its names.</summary>
    public OllamaModel Describe(ModelEntry model, string name) => model is LocalModel local ? DescribeLocal(local, name) : new OllamaModel(name, model.Modified)
    {
        Digest = DigestOf($"{model.Id}/{model.Modified.UtcTicks}"),
        Format = "remote",
        Family = "upstream",
        // What the servers behind it can do nobody asks them; the hub can carry these.
        Capabilities = ["completion", "tools", "vision"],
        Values = new Dictionary<string, object?> { ["general.architecture"] = "upstream", ["general.basename"] = model.Id },
    };

    /// <summary>The models that are in memory, of those that are given.</summary>
    public IEnumerable<(OllamaModel Model, long Bytes, DateTimeOffset Until)> ListLoaded(IEnumerable<ModelEntry> models)
    {
        List<LoadedFile> files = [.. engines.List(), .. embedders.List()];
        foreach (var model in models.OfType<LocalModel>())
        {
            var found = files.FindIndex(file => file.Path == model.Path);
            if (found >= 0) yield return (Describe(model, model.Id), files[found].Bytes, files[found].Until ?? s_never);
        }
    }

    private OllamaModel DescribeLocal(LocalModel model, string name)
    {
        var facts = _facts.GetOrAdd((model.Path, model.Modified), static key => Read(key.Path));
        var described = new OllamaModel(name, model.Modified)
        {
            SizeBytes = model.FileBytes,
            Digest = DigestOf($"{model.Path}/{model.FileBytes}/{model.Modified.UtcTicks}"),
            Format = "gguf",
            Family = facts?.Architecture ?? "unknown",
        };
        return facts is null ? described : described with
        {
            ParameterSize = SizeOf(facts.ParameterCount),
            QuantizationLevel = facts.WeightType,
            ContextLength = facts.ContextLength,
            Capabilities = CapabilitiesOf(facts),
            Template = facts.ChatTemplate ?? "",
            License = facts.License,
            Values = facts.Values.Where(static pair => pair.Key != "tokenizer.chat_template")
                .Append(new("general.parameter_count", facts.ParameterCount)).DistinctBy(static pair => pair.Key).ToDictionary(),
        };
    }

    private static List<string> CapabilitiesOf(ModelFacts facts)
    {
        if (facts.Purpose != ModelPurpose.Text) return ["embedding"];
        // Tools are told to a model whose template has no place for them, too.
        List<string> all = ["completion", "tools"];
        if (facts.FillsGaps) all.Add("insert");
        if (facts.ChatTemplate is { } template && Array.Exists(s_thoughts, word => template.Contains(word, StringComparison.Ordinal))) all.Add("thinking");
        return all;
    }

    // A file that can't be read is listed all the same; a load says what is wrong with it.
    private static ModelFacts? Read(string path)
    {
        try
        {
            return ModelFacts.Read(path);
        }
        catch (Exception exception) when (exception is GgufException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string SizeOf(long count) => count switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e9:0.#}B"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e6:0.##}M"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{count / 1e3:0.##}K"),
    };

    private static string DigestOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
