using System.Text.Json;

namespace Sluice.Tests.Inference.Transformer;

/// <summary>llama.cpp's log probabilities after some prompts on the models of <see cref="Sluice.Testing.TinyModel"/>.</summary>
internal static class TinyTruth
{
    private static readonly Lazy<JsonDocument> Document = new(() =>
    {
        using var stream = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "Data", "tiny-truth.json"));
        return JsonDocument.Parse(stream);
    });

    /// <summary>1, 33 and 100 tokens.</summary>
    public static int[][] Prompts { get; } =
        [.. Document.Value.RootElement.GetProperty("prompts").EnumerateArray()
            .Select(p => p.EnumerateArray().Select(t => t.GetInt32()).ToArray())];

    /// <summary>Per prompt, by token id; of the model as it is.</summary>
    public static double[][] Logprobs(string model) => Read(model, "logprobs");

    /// <summary>Per prompt, by token id; of the model with its weights turned to F32 by llama.cpp.</summary>
    public static double[][] ExactLogprobs(string model) => Read(model, "exact");

    private static double[][] Read(string model, string property) =>
        [.. Document.Value.RootElement.GetProperty("models").GetProperty(model).GetProperty(property).EnumerateArray()
            .Select(p => p.EnumerateArray().Select(v => v.GetDouble()).ToArray())];
}
