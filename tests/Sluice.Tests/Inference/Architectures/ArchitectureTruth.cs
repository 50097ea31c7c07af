using System.Text.Json;

namespace Sluice.Tests.Inference.Architectures;

/// <summary>What llama.cpp makes of some prompts on the models of <see cref="Sluice.Testing.TinyArchitectures"/>.</summary>
internal static class ArchitectureTruth
{
    private static readonly Lazy<JsonDocument> Document = new(static () => Read("architecture-truth.json"));
    private static readonly Lazy<JsonDocument> QuantizedDocument = new(static () => Read("quantized-cache-truth.json"));

    /// <summary>1, 7 and 23 tokens.</summary>
    public static int[][] Prompts { get; } = [.. Document.Value.RootElement.GetProperty("prompts").EnumerateArray().Select(Integers)];

    /// <summary>Per prompt: log probabilities by token id, or the prompt's vector.</summary>
    public static double[][] Of(string model) => Of(Document.Value, model);

    /// <summary>The same with keys and values in q8_0.</summary>
    public static double[][] WithQuantizedCache(string model) => Of(QuantizedDocument.Value, model);

    private static JsonDocument Read(string name)
    {
        using var stream = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "Data", name));
        return JsonDocument.Parse(stream);
    }

    private static double[][] Of(JsonDocument document, string model) =>
        [.. document.RootElement.GetProperty("models").GetProperty(model).EnumerateArray()
            .Select(p => p.EnumerateArray().Select(v => v.GetDouble()).ToArray())];

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(t => t.GetInt32())];
}
