namespace Sluice.ConformanceTests.Tools;

/// <summary>One row of <see cref="ToolCallTable"/>. It is asked streamed and not, and both answers are the same.</summary>
/// <param name="Name">The id of the specification and a few words: the name of the test.</param>
/// <param name="Check">What holds for either answer.</param>
public sealed record ToolCallCase(string Name, Action<ToolAnswer> Check)
{
    /// <summary>What the scripted model writes.</summary>
    public SaidAnswer Says { get; init; } = new("Hello world");

    /// <summary>What an upstream says that obeys the request; the default value is <see cref="Says"/>.</summary>
    public SaidAnswer? Obeyed { get; init; }

    /// <summary>Frames of the scripted OpenAI server, in place of what it would make of <see cref="Obeyed"/>.</summary>
    public IReadOnlyList<string>? Frames { get; init; }

    /// <summary>Members of the request beside model and messages.</summary>
    public string Request { get; init; } = "";

    /// <summary>Further members for the real model only.</summary>
    public string ModelRequest { get; init; } = "";

    /// <summary>What the user asks the real model.</summary>
    public string Question { get; init; } = "What's the weather in Berlin?";

    /// <summary>Messages after the question.</summary>
    public string History { get; init; } = "";

    /// <summary>Tokens after which an answer ends, from what the scripted model writes, one token a byte.</summary>
    public Func<string, int>? MaxTokens { get; init; }

    /// <summary>Cells that are left out, with the reason.</summary>
    public IReadOnlyList<(ToolBackEnds Who, string Reason)> NotWith { get; init; } = [];

    /// <summary>Those that refuse the request with 400, and a part of the message.</summary>
    public IReadOnlyList<(ToolBackEnds Who, string Message)> RefusedBy { get; init; } = [];

    /// <summary>What the OpenAI upstream must have been asked, as a part of the body.</summary>
    public string? Asked { get; init; }

    /// <summary>The same of the Anthropic upstream.</summary>
    public string? AskedOfAnthropic { get; init; }
}

/// <summary>What a model says: text, then calls.</summary>
public sealed record SaidAnswer(string Text, params (string Name, string Arguments)[] Calls)
{
    /// <summary>Whether the token limit cuts it.</summary>
    public bool IsCut { get; init; }

    /// <summary>Whether the call is one of the older form.</summary>
    public bool IsFunction { get; init; }

    /// <summary>Whether the calls are those of custom tools, whose arguments are a text.</summary>
    public bool IsCustom { get; init; }
}
