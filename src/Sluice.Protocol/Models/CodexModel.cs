namespace Sluice.Protocol.Models;

/// <summary>A model as Codex's catalog describes it.</summary>
/// <param name="Slug">Name to ask with.</param>
/// <param name="Priority">Place in its menu.</param>
public sealed record CodexModel(string Slug, int Priority)
{
    /// <summary>The name that is shown.</summary>
    public string DisplayName => Slug;

    /// <summary>One line for its menu.</summary>
    public string Description { get; init; } = "Served by Sluice.";

    /// <summary>How hard it thinks unless it is told.</summary>
    public string DefaultReasoningLevel { get; init; } = "medium";

    /// <summary>How hard it can be told to think.</summary>
    public IReadOnlyList<CodexReasoningLevel> SupportedReasoningLevels { get; init; } =
        [new("low", "Thinks little"), new("medium", "Thinks as much as it finds right"), new("high", "Thinks much")];

    /// <summary>How it is given a shell.</summary>
    public string ShellType { get; init; } = "shell_command";

    /// <summary>Whether it is in its menu.</summary>
    public string Visibility { get; init; } = "list";

    /// <summary>Always true.</summary>
    public bool SupportedInApi { get; init; } = true;

    /// <summary>Always null.</summary>
    public string? Upgrade { get; init; }

    /// <summary>What it is told before everything else.</summary>
    public string BaseInstructions { get; init; } =
        "You are a coding agent in the user's terminal. Read the files that matter before you change them, keep changes small, and say briefly what you did.";

    /// <summary>Whether reasoning can be shown.</summary>
    public bool SupportsReasoningSummaries { get; init; } = true;

    /// <summary>Whether it can be told how much to say.</summary>
    public bool SupportVerbosity { get; init; }

    /// <summary>Always null.</summary>
    public string? DefaultVerbosity { get; init; }

    /// <summary>How it changes files: with a tool whose input is a patch.</summary>
    public string? ApplyPatchToolType { get; init; } = "freeform";

    /// <summary>How much of a command's output it is given.</summary>
    public CodexTruncation TruncationPolicy { get; init; } = new("tokens", 10_000);

    /// <summary>Whether an answer may have several calls.</summary>
    public bool SupportsParallelToolCalls { get; init; } = true;

    /// <summary>Tokens that fit in; null where nobody knows.</summary>
    public int? ContextWindow { get; init; }

    /// <summary>Always empty.</summary>
    public IReadOnlyList<string> ExperimentalSupportedTools { get; init; } = [];
}

/// <summary>How hard a model can be told to think.</summary>
/// <param name="Effort">The word for it.</param>
/// <param name="Description">For its menu.</param>
public sealed record CodexReasoningLevel(string Effort, string Description);

/// <summary>How much of a command's output a model is given.</summary>
/// <param name="Mode"><c>tokens</c> or <c>bytes</c>.</param>
/// <param name="Limit">The most.</param>
public sealed record CodexTruncation(string Mode, int Limit);
