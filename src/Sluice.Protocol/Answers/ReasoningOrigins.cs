namespace Sluice.Protocol.Answers;

/// <summary>What origins of reasoning begin with: the dialect that produced it, and a slash.</summary>
public static class ReasoningOrigins
{
    /// <summary>A content block of Anthropic's Messages API.</summary>
    public const string Messages = "messages/";

    /// <summary>An item of OpenAI's Responses API.</summary>
    public const string Responses = "responses/";

    /// <summary>Text that came as <c>reasoning_content</c> or from the local engine; a JSON string.</summary>
    public const string Chat = "chat/";
}
