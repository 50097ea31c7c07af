namespace Sluice.Protocol.Answers;

/// <summary>Who reads a request in the neutral form, and so what it may hold.</summary>
public sealed record NeutralForm
{
    /// <summary>For the local engine: it knows custom tools, and no media.</summary>
    public static NeutralForm Engine { get; } = new() { KeepsCustomTools = true };

    /// <summary>For a server that speaks chat completions: only what those have everywhere.</summary>
    public static NeutralForm ChatServer { get; } = new();

    /// <summary>For a translation to another dialect, which wants to know everything.</summary>
    public static NeutralForm Translation { get; } = new() { KeepsCustomTools = true, KeepsMediaInResults = true };

    /// <summary>Whether tools whose input is text stay what they are; else they become functions with one argument.</summary>
    public bool KeepsCustomTools { get; init; }

    /// <summary>Whether images stand in the results of tools; else they follow in a message of the user.</summary>
    public bool KeepsMediaInResults { get; init; }

    /// <summary>Opens reasoning that this hub has given out; null drops it.</summary>
    public ReasoningSeal? Seal { get; init; }

    /// <summary>Who gets the request, as <see cref="ReasoningBlob.Origin"/> names it: reasoning of others is left out.</summary>
    public string Origin { get; init; } = "";
}
