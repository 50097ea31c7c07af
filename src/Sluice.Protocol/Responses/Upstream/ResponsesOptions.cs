using Sluice.Protocol.Answers;

namespace Sluice.Protocol.Responses.Upstream;

/// <summary>What an upstream of the Responses API is told beside the client's request.</summary>
/// <param name="Model">The model's name there.</param>
public sealed record ResponsesOptions(string Model)
{
    /// <summary>Whether events are asked for.</summary>
    public bool IsStream { get; init; } = true;

    /// <summary>
    /// Names the server and model as <see cref="ReasoningBlob.Origin"/> does: reasoning of others is left out. Empty asks for an answer
    /// without any reasoning of earlier turns, for a server that has refused it.
    /// </summary>
    public string Origin { get; init; } = "";

    /// <summary>Opens reasoning that this hub has given out; null drops it.</summary>
    public ReasoningSeal? Seal { get; init; }

    /// <summary>Whether reasoning of earlier turns goes back, and that of this one is asked for in the form that can go back.</summary>
    public bool HasReasoning => Origin.Length > 0;
}
