using System.Text.Json;

namespace Sluice.Protocol.Chat;

/// <summary>One message of a conversation, validated. Immutable; owns its JSON.</summary>
public sealed record ChatMessage
{
    /// <summary>Who speaks.</summary>
    public required ChatRole Role { get; init; }

    /// <summary>
    /// The text; of several text parts, joined by a line feed as vLLM and llama.cpp do. Null only on an assistant message that
    /// carries something else, or where every part is media.
    /// </summary>
    public string? Text { get; init; }

    /// <summary>Name of the participant, or of the function whose result this is.</summary>
    public string? Name { get; init; }

    /// <summary>The call that a <see cref="ChatRole.Tool"/> message answers; null for other roles.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>Calls that an assistant message made: a non-empty array of validated objects.</summary>
    public JsonElement? ToolCalls { get; init; }

    /// <summary>The older form of <see cref="ToolCalls"/>: an object with <c>name</c> and <c>arguments</c>.</summary>
    public JsonElement? FunctionCall { get; init; }

    /// <summary>What an assistant message refused with.</summary>
    public string? Refusal { get; init; }

    /// <summary>What an assistant message thought before it: <c>reasoning_content</c>, or <c>reasoning</c> as others call it.</summary>
    public string? Reasoning { get; init; }

    /// <summary>Parts that are not text, in order.</summary>
    public IReadOnlyList<MediaPart> MediaParts { get; init; } = [];

    /// <summary>Whether an assistant message refers to what it spoke.</summary>
    public bool HasAudio { get; init; }

    /// <summary>True when the message carries more than text.</summary>
    public bool HasMediaParts => MediaParts.Count > 0;
}

/// <summary>An image, a sound or a file within a message.</summary>
/// <param name="Type"><c>image_url</c>, <c>input_audio</c> or <c>file</c>.</param>
/// <param name="MessageIndex">Index of the message within the request.</param>
/// <param name="PartIndex">Index of the part within the message's content.</param>
public sealed record MediaPart(string Type, int MessageIndex, int PartIndex);
