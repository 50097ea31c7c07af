using System.Text.Json;

namespace Sluice.Tests.Inference.Truth;

/// <summary>What llama.cpp made of one prompt; <c>tests/reference/make_truth.py</c> wrote it.</summary>
/// <param name="Name">For messages.</param>
/// <param name="Messages">The conversation; empty when the prompt is plain text.</param>
/// <param name="Text">The rendered prompt.</param>
/// <param name="Tokens">The prompt's tokens.</param>
/// <param name="Greedy">Its most likely continuation, token by token; the last one may end the generation.</param>
/// <param name="Top">For each token of <paramref name="Greedy"/> the ten most likely ones with their log probabilities, best first.</param>
internal sealed record TruthCase(
    string Name,
    IReadOnlyList<(string Role, string Content)> Messages,
    string Text,
    int[] Tokens,
    int[] Greedy,
    (int Token, double Logprob)[][] Top)
{
    private static readonly Lazy<IReadOnlyList<TruthCase>> Loaded = new(Read);

    /// <summary>All prompts on the model that the repository carries.</summary>
    public static IReadOnlyList<TruthCase> All => Loaded.Value;

    /// <summary>How much more likely llama.cpp found its first choice than its second at a position, in nats.</summary>
    public double Gap(int position) => Top[position][0].Logprob - Top[position][1].Logprob;

    private static List<TruthCase> Read()
    {
        using var stream = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "Data", "smollm2-truth.json"));
        using var document = JsonDocument.Parse(stream);
        return [.. document.RootElement.GetProperty("cases").EnumerateArray().Select(Read)];
    }

    private static TruthCase Read(JsonElement element) => new(
        element.GetProperty("name").GetString()!,
        element.TryGetProperty("messages", out var messages)
            ? [.. messages.EnumerateArray().Select(m => (m.GetProperty("role").GetString()!, m.GetProperty("content").GetString()!))]
            : [],
        element.GetProperty("text").GetString()!,
        Integers(element.GetProperty("tokens")),
        Integers(element.GetProperty("greedy")),
        [.. element.GetProperty("top").EnumerateArray().Select(
            p => p.EnumerateArray().Select(t => (t[0].GetInt32(), t[1].GetDouble())).ToArray())]);

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetInt32())];
}
