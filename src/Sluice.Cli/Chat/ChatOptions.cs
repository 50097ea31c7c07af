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

    /// <summary>What the user has said; the model's own counts for the rest. The default value is nothing.</summary>
    public SamplingDefaults Settings { get; init; } = SamplingDefaults.None;

    /// <summary>Of the first try of each answer.</summary>
    public ulong Seed { get; init; }

    /// <summary>What counts for a model.</summary>
    public SamplingDefaults For(ChatModel model) => Settings.Or(model.Defaults);

    /// <summary>How a model answers.</summary>
    /// <param name="model">Whose defaults count for what isn't said here.</param>
    /// <param name="seed">Of this answer.</param>
    public SamplingParameters Sampling(ChatModel model, ulong seed)
    {
        var settings = For(model);
        return new SamplingParameters
        {
            Temperature = (float)(settings.Temperature ?? UsualTemperature),
            TopP = (float)(settings.TopP ?? 1),
            TopK = settings.TopK ?? 0,
            MinP = (float)(settings.MinP ?? 0),
            RepetitionPenalty = (float)(settings.RepetitionPenalty ?? 1),
            Seed = seed,
        };
    }
}

/// <summary>A model to talk to.</summary>
/// <param name="Engine">Disposed by whoever holds this.</param>
/// <param name="Defaults">What holds for what the user leaves out.</param>
internal sealed record ChatModel(InferenceEngine Engine, SamplingDefaults Defaults);
