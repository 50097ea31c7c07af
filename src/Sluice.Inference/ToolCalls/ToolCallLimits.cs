namespace Sluice.Inference.ToolCalls;

/// <summary>Bounds of what is read as tool calls.</summary>
internal static class ToolCallLimits
{
    /// <summary>Bytes from the beginning of a call to its arguments, all held back until then: names have 64, ids and white space a few.</summary>
    public const int HeadBytesMax = 1024;

    /// <summary>Bytes of a key in a call; the longest that mean something have 10.</summary>
    public const int KeyBytesMax = 64;

    /// <summary>Bytes of a tool's name, as the API has it.</summary>
    public const int NameBytesMax = 64;

    /// <summary>Bytes of a parameter's name in a tag, with the tag's end.</summary>
    public const int ParameterBytesMax = 256;

    /// <summary>Bytes of a value that are held until it is known whether they are JSON; beyond them they are text.</summary>
    public const int ValueBytesMax = 256 << 10;

    /// <summary>White space that is held back because a call may follow; the API knows no more of an indentation than that.</summary>
    public const int SpaceBytesMax = 64;

    /// <summary>Calls of one answer that is made to call: a model that repeats itself ends there.</summary>
    public const int ForcedCallsMax = 8;

    /// <summary>
    /// How likely, in nats, the first token of a call has to be for a model that knows nothing of tools to call: where it separates best
    /// the prompts that need a tool from those that need none. `tools` of the benchmarks measures it.
    /// </summary>
    public const float CallThreshold = -7f;

    /// <summary>Entries of a model's cache of grammars; with more all are made anew, which takes a millisecond each.</summary>
    public const int CachedGrammarsMax = 128;

    /// <summary>Characters of definitions that are kept as a key of that cache.</summary>
    public const int CachedKeyLengthMax = 64 << 10;
}
