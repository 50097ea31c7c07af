namespace Sluice.Inference.Prompting;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">system, developer, user, assistant, tool; a template that does not know developer sees system.</param>
/// <param name="Content">What was said; never parsed for control tokens.</param>
/// <param name="Name">The speaker, for templates that print it.</param>
public sealed record PromptMessage(string Role, string Content, string? Name = null)
{
    /// <summary>Calls that an assistant made; the default value is none.</summary>
    public IReadOnlyList<PromptToolCall> ToolCalls { get; init; } = [];

    /// <summary>What an assistant thought before it answered, for templates that know of it; the default value is nothing.</summary>
    public string? Reasoning { get; init; }

    /// <summary>The call whose result a tool's message is.</summary>
    public string? ToolCallId { get; init; }
}

/// <summary>A call of a tool.</summary>
/// <param name="Id">What its result refers to.</param>
/// <param name="Name">Name of the tool.</param>
/// <param name="Arguments">As the model wrote them: JSON, it is to be hoped.</param>
public sealed record PromptToolCall(string Id, string Name, string Arguments);
