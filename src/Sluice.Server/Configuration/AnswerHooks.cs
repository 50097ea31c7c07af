namespace Sluice.Server.Configuration;

/// <summary>Who is asked before an answer is made, and told when it has ended.</summary>
public sealed record AnswerHooks
{
    /// <summary>None at all.</summary>
    public static AnswerHooks None { get; } = new();

    /// <summary>May refuse or change each request for an answer. The default value, null, is nobody.</summary>
    public HookOptions? Before { get; init; }

    /// <summary>Gets each answer that has ended, with its usage. The default value, null, is nobody.</summary>
    public HookOptions? After { get; init; }
}
