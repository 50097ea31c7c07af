using System.Text;

namespace Sluice.Protocol.Messages;

/// <summary>A piece of a turn: exactly one of text, image and file.</summary>
/// <param name="Text">The text.</param>
/// <param name="ImageUrl">An address, or the image itself in one.</param>
/// <param name="FileData">A PDF file in an address.</param>
/// <param name="FileName">Its name; null for none.</param>
internal readonly record struct MessagesPart(string? Text, string? ImageUrl = null, string? FileData = null, string? FileName = null);

/// <summary>The result of a call.</summary>
/// <param name="Id">The call's.</param>
/// <param name="Path">Where it stands in the request.</param>
/// <param name="Parts">What it says.</param>
internal sealed record MessagesResult(string Id, string Path, List<MessagesPart> Parts);

/// <summary>A call of the assistant's.</summary>
/// <param name="Id">What the result refers to.</param>
/// <param name="Name">Of the tool.</param>
/// <param name="Input">A JSON object.</param>
internal readonly record struct MessagesCall(string Id, string Name, string Input);

/// <summary>What one side says before the other does.</summary>
/// <param name="role"><c>user</c>, <c>assistant</c> or <c>system</c>.</param>
/// <param name="index">Of its first message.</param>
internal sealed class MessagesTurn(string role, int index)
{
    public string Role => role;

    public int Index => index;

    public List<MessagesPart> Parts { get; } = [];

    public List<MessagesCall> Calls { get; } = [];

    public List<MessagesResult> Results { get; } = [];

    /// <summary>Thoughts that are text.</summary>
    public StringBuilder Reasoning { get; } = new();

    /// <summary>Blocks of the upstream's own.</summary>
    public List<ReadOnlyMemory<byte>> Thinking { get; } = [];

    /// <summary>Items of an upstream that speaks Responses.</summary>
    public List<ReadOnlyMemory<byte>> Items { get; } = [];

    public bool IsEmpty => Parts.Count + Calls.Count + Results.Count + Reasoning.Length + Thinking.Count + Items.Count == 0;

    public void Join(MessagesTurn other)
    {
        Parts.AddRange(other.Parts);
        Calls.AddRange(other.Calls);
        Results.AddRange(other.Results);
        Reasoning.Append(other.Reasoning);
        Thinking.AddRange(other.Thinking);
        Items.AddRange(other.Items);
    }
}
