namespace Sluice.Protocol.Answers;

/// <summary>What a frame was.</summary>
public enum FrameKind
{
    /// <summary>Nothing of an answer yet: a role, an empty delta, usage, a ping.</summary>
    Empty,

    /// <summary>Text, reasoning, a refusal, a tool call, or a finish reason.</summary>
    Content,

    /// <summary>The end of the stream.</summary>
    Done,

    /// <summary>The stream has failed; <see cref="AnswerRelay.Error"/> says how.</summary>
    Failed,
}
