using System.Text.Json;
using Sluice.Protocol.Errors;

namespace Sluice.Protocol.Chat;

/// <summary>
/// A request to <c>/v1/chat/completions</c> in which everything has been validated; <c>null</c> in the body is the same as absent.
/// Immutable; owns its JSON.
/// </summary>
public sealed record ChatCompletionRequest
{
    /// <summary>Model that is asked for; 1 to <see cref="ProtocolLimits.ModelNameLengthMax"/> characters.</summary>
    public required string Model { get; init; }

    /// <summary>The conversation, at least one message. Every tool message answers a call, and every call is answered.</summary>
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>Whether the reply is an event stream. The default value is false.</summary>
    public bool Stream { get; init; }

    /// <summary>Whether the stream ends with a usage chunk. True only with <see cref="Stream"/>. The default value is false.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>
    /// Most tokens to generate per choice, at least 1: <c>max_completion_tokens</c>, otherwise <c>max_tokens</c>. Null leaves it to the
    /// model and its context.
    /// </summary>
    public int? MaxTokens { get; init; }

    /// <summary>0 to 2. Null leaves it to the model; the API's own default is 1.</summary>
    public double? Temperature { get; init; }

    /// <summary>0 to 1. Null leaves it to the model; the API's own default is 1.</summary>
    public double? TopP { get; init; }

    /// <summary>Vendor extension: keep this many most likely tokens; 0 keeps all, and stands for -1 too. Null leaves it to the model.</summary>
    public int? TopK { get; init; }

    /// <summary>Vendor extension: keep tokens this fraction as likely as the most likely one, 0 to 1. Null leaves it to the model.</summary>
    public double? MinP { get; init; }

    /// <summary>Vendor extension: above 0, at most <see cref="ProtocolLimits.RepetitionPenaltyMax"/>. Null leaves it to the model.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>Choices, 1 to <see cref="ProtocolLimits.ChoicesMax"/>. The default value is 1.</summary>
    public int N { get; init; } = 1;

    /// <summary>At most four, none of them empty. The default value is none.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Any 64-bit integer. Null leaves it to the server.</summary>
    public long? Seed { get; init; }

    /// <summary>-2 to 2. The default value is 0.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>-2 to 2. The default value is 0.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Token id, at least 0, to bias, -100 to 100. The default value is none.</summary>
    public IReadOnlyDictionary<int, int> LogitBias { get; init; } = new Dictionary<int, int>();

    /// <summary>Whether log probabilities are reported. The default value is false.</summary>
    public bool Logprobs { get; init; }

    /// <summary>Alternatives per token, 0 to 20; above 0 only with <see cref="Logprobs"/>. The default value is 0.</summary>
    public int TopLogprobs { get; init; }

    /// <summary>The caller's own name for its user.</summary>
    public string? User { get; init; }

    /// <summary>The caller's own tags, at most 16. The default value is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>The tier as it was asked for, one of the API's; null when it was not.</summary>
    public string? ServiceTier { get; init; }

    /// <summary>
    /// The tier that the reply names: null when none was asked for, <c>default</c> for <c>auto</c>, <c>priority</c> for
    /// <c>fast</c> as the API answers, otherwise <see cref="ServiceTier"/>.
    /// </summary>
    public string? EffectiveServiceTier => ServiceTier switch { "auto" => "default", "fast" => "priority", _ => ServiceTier };

    /// <summary>Tools, a non-empty array of validated objects.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>A string or an object that fits <see cref="Tools"/>.</summary>
    public JsonElement? ToolChoice { get; init; }

    /// <summary>Functions, the older form of <see cref="Tools"/>.</summary>
    public JsonElement? Functions { get; init; }

    /// <summary>The older form of <see cref="ToolChoice"/>.</summary>
    public JsonElement? FunctionCall { get; init; }

    /// <summary>Whether an answer may have several calls. The default value is true.</summary>
    public bool ParallelToolCalls { get; init; } = true;

    /// <summary>What the answer has to be; null is text.</summary>
    public ResponseSchema? ResponseSchema { get; init; }

    /// <summary>Variables for the chat template of a local model, such as <c>enable_thinking</c>; templates ignore what they don't know.</summary>
    public IReadOnlyDictionary<string, JsonElement> TemplateVariables { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Whether the answer goes on with the last message, an assistant's that has text. The default value is false.</summary>
    public bool ContinuesMessage { get; init; }

    /// <summary>Whether the prompt ends with what introduces an answer; false only by the request's own word. The default value is true.</summary>
    public bool IntroducesAnswer { get; init; } = true;

    /// <summary>Whether the reply is to be spoken.</summary>
    public bool AsksForAudio { get; init; }

    /// <summary>
    /// The 400 for what a valid request may ask of the API and the local engine cannot do: media, and sound as output.
    /// Null when the local engine can serve it.
    /// </summary>
    /// <remarks>Not part of <see cref="ChatCompletionRequestReader"/>, for an upstream may well be able to.</remarks>
    public ApiError? FindLocalRefusal()
    {
        if (AsksForAudio) return ApiErrors.NotYetLocal("modalities");
        for (var i = 0; i < Messages.Count; i++)
        {
            if (Messages[i].MediaParts is [var part, ..]) return ApiErrors.MediaNotSupported(part.Type, part.MessageIndex, part.PartIndex);
            if (Messages[i].HasAudio) return ApiErrors.NotYetLocal($"messages[{i}].audio");
        }

        return null;
    }
}
