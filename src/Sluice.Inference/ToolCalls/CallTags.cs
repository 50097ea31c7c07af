namespace Sluice.Inference.ToolCalls;

/// <summary>The tags of calls whose arguments stand one by one in the text.</summary>
/// <param name="CallOpener">Stands before the name; empty where the name follows at once.</param>
/// <param name="NameEnd">Ends the name; empty where the next tag or line does.</param>
/// <param name="KeyOpener">Stands before the name of a parameter.</param>
/// <param name="KeyCloser">Ends it.</param>
/// <param name="ValueOpener">Stands before the value; empty where it follows at once.</param>
/// <param name="ValueCloser">Ends it.</param>
/// <param name="CallCloser">Ends the call.</param>
/// <param name="Closer">Ends all calls; empty where <paramref name="CallCloser"/> does.</param>
/// <param name="HasLines">Whether a value stands on lines of its own, whose breaks are not part of it.</param>
internal sealed record CallTags(
    string CallOpener, string NameEnd, string KeyOpener, string KeyCloser, string ValueOpener, string ValueCloser, string CallCloser, string Closer, bool HasLines)
{
    /// <summary>Qwen3-Coder, Qwen 3.5 and later, Nemotron 3.</summary>
    public static CallTags Functions { get; } = new("<function=", ">", "<parameter=", ">", "", "</parameter>", "</function>", "</tool_call>", HasLines: true);

    /// <summary>Seed-OSS.</summary>
    public static CallTags SeedFunctions { get; } = Functions with { Closer = "</seed:tool_call>" };

    /// <summary>GLM 4.5 and later.</summary>
    public static CallTags Pairs { get; } = new("", "", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>", "", HasLines: false);

    /// <summary>MiniMax M2.</summary>
    public static CallTags Invocations { get; } = new("<invoke name=\"", "\">", "<parameter name=\"", "\">", "", "</parameter>", "</invoke>", "</minimax:tool_call>", HasLines: true);
}
