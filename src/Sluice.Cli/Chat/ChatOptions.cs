using Sluice.Inference.Sampling;

namespace Sluice.Cli.Chat;

/// <summary>How a model answers in a chat.</summary>
internal sealed record ChatOptions
{
    /// <summary>Comes before the conversation. The default value, null, leaves it to the model's template.</summary>
    public string? SystemMessage { get; init; }

    /// <summary>Most tokens of an answer, at least 1. The default value, null, is what the context holds.</summary>
    public int? MaxTokens { get; init; }

    public SamplingParameters Sampling { get; init; } = new();
}
