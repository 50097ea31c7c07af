namespace Sluice.Inference.Prompting;

/// <summary>What the end of a prompt calls for.</summary>
public enum PromptEnding
{
    /// <summary>An answer of the assistant, which the template introduces.</summary>
    Answer,

    /// <summary>The rest of the last message, right behind its text.</summary>
    RestOfMessage,

    /// <summary>Whatever follows the last message: nothing is introduced.</summary>
    Anything,
}
