using Sluice.Inference.Sampling;
using Sluice.Inference.Scheduling;

namespace Sluice.Cli.Chat;

/// <summary>How a model answers in a chat.</summary>
internal sealed record ChatOptions
{
    /// <summary>Newest tokens that have to repeat until an answer ends: fewer than in the hub, because somebody waits.</summary>
    public const int RepetitionWindow = 256;

    // Of a model for which nothing is recommended.
    private const double UsualTemperature = 0.7;

    /// <summary>Comes before the conversation. The default value, null, leaves it to the model's template.</summary>
    public string? SystemMessage { get; init; }

    /// <summary>Most tokens of an answer, at least 1. The default value, null, is the model's, or what the context holds.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>0 to 2. The default value, null, is the model's, or 0.7.</summary>
    public double? Temperature { get; init; }

    /// <summary>Of the first try of each answer.</summary>
    public ulong Seed { get; init; }

    /// <summary>How a model answers.</summary>
    /// <param name="model">Whose defaults count for what isn't said here.</param>
    /// <param name="seed">Of this answer.</param>
    public SamplingParameters Sampling(ChatModel model, ulong seed) => new()
    {
        Temperature = (float)(Temperature ?? model.Defaults.Temperature ?? UsualTemperature),
        TopP = (float)(model.Defaults.TopP ?? 1),
        TopK = model.Defaults.TopK ?? 0,
        MinP = (float)(model.Defaults.MinP ?? 0),
        RepetitionPenalty = (float)(model.Defaults.RepetitionPenalty ?? 1),
        Seed = seed,
    };
}

/// <summary>A model to talk to.</summary>
/// <param name="Engine">Disposed by whoever holds this.</param>
/// <param name="Defaults">What holds for what the user leaves out.</param>
internal sealed record ChatModel(InferenceEngine Engine, SamplingDefaults Defaults);
