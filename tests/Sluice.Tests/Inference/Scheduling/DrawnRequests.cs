using System.Text.Json;
using Sluice.Inference.Scheduling;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;
using Sluice.Inference.Sampling;

namespace Sluice.Tests.Inference.Scheduling;

/// <summary>Requests of every kind for a <see cref="NoiseModel"/>: a seed says all about one.</summary>
internal static class DrawnRequests
{
    /// <summary>Tokens that a model remembers which is to repeat itself.</summary>
    public const int ShortMemory = 2;

    public static readonly string[] Kinds = ["text", "json", "given", "tools", "required", "reasoning", "reasoned-json"];

    private const string Thinks = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}assistant: <think>\n{% endif %}";

    private static readonly Grammar s_given = Grammar.FromJsonSchema(JsonElement.Parse("""
        {"type":"object","properties":{"kind":{"const":"The quick brown fox"},"size":{"enum":["large","larger"]},"on":{"type":"boolean"}},
        "required":["kind","size","on"],"additionalProperties":false}
        """));

    private static readonly PromptTool[] s_tools =
    [
        new("weather", JsonElement.Parse("""{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string","maxLength":8},"unit":{"enum":["C","F"]}},"required":["city","unit"],"additionalProperties":false}}"""), IsStrict: true),
        new("now", JsonElement.Parse("""{"name":"now"}"""), IsStrict: false),
    ];

    /// <summary>The template of the model that a kind is asked of; null for the engine's own.</summary>
    public static string? TemplateOf(string kind) => kind.StartsWith("reason", StringComparison.Ordinal) ? Thinks : null;

    /// <summary>A request of a kind with everything else drawn.</summary>
    public static GenerationRequest Draw(InferenceEngine engine, string kind, Random random)
    {
        PromptTools? tools = kind is "tools" or "required" ? new PromptTools(s_tools) { IsRequired = kind == "required", AllowsSeveral = random.Next(2) == 0 } : null;
        var prompt = engine.EncodeChat([new PromptMessage("user", $"Say {random.Next(1000)}.")], tools, TimeProvider.System);
        string[] stops = [.. Enumerable.Range(0, random.Next(3)).Select(_ => random.Next(3) switch { 0 => "</t", 1 => "\"", _ => ((char)random.Next(32, 127)).ToString() + (char)random.Next(32, 127) })];
        return new GenerationRequest
        {
            PromptTokens = prompt.Tokens,
            Answer = prompt.Answer,
            MaxTokens = random.Next(1, 90),
            ChoiceCount = random.Next(1, 4),
            StopSequences = stops,
            Grammar = kind switch { "json" or "reasoned-json" => Grammar.JsonObject, "given" => s_given, _ => null },
            Sampling = new SamplingParameters
            {
                Temperature = random.Next(3) switch { 0 => 0, 1 => 0.6f, _ => 1.2f },
                TopK = random.Next(2) * 30,
                TopP = random.Next(2) == 0 ? 1 : 0.9f,
                MinP = random.Next(3) == 0 ? 0.05f : 0,
                PresencePenalty = random.Next(2) * 0.7f,
                FrequencyPenalty = random.Next(2) * 0.4f,
                RepetitionPenalty = random.Next(2) == 0 ? 1 : 1.2f,
                LogitBias = random.Next(3) == 0 ? new Dictionary<int, float> { ['a'] = 3, ['{'] = 2 } : null,
                Seed = (ulong)random.NextInt64(),
                TopLogprobs = random.Next(3) switch { 0 => null, 1 => 0, _ => 3 },
            },
        };
    }
}
