namespace Sluice.Protocol;

/// <summary>Every bound of the protocol, with its unit and reason. A value at the bound is accepted, one beyond it refused.</summary>
public static class ProtocolLimits
{
    /// <summary>Nesting levels of a request body: what servers of models take. Deeper bodies only cost stack.</summary>
    public const int JsonDepthMax = 512;

    /// <summary>Characters of a model name. The name is echoed in every chunk.</summary>
    public const int ModelNameLengthMax = 256;

    /// <summary>Messages in one request: the API's own limit.</summary>
    public const int MessagesMax = 2048;

    /// <summary>Characters of a participant's name, a function name or a safety identifier, as in the API's schema.</summary>
    public const int NameLengthMax = 64;

    /// <summary>Choices of one request, as in the API's schema.</summary>
    public const int ChoicesMax = 128;

    /// <summary>
    /// Prompts of one completions request times the choices of each: what evaluation harnesses send at most, some kilobytes of state for each.
    /// </summary>
    public const int CompletionChoicesMax = 2048;

    /// <summary>Alternatives that are generated in order to keep the best of them, as in the API's schema.</summary>
    public const int BestOfMax = 20;

    /// <summary>Stop sequences of one request: four times what the API allows, as other servers take them.</summary>
    public const int StopSequencesMax = 16;

    /// <summary>UTF-16 units of one stop sequence. Text that might begin one is held back, so its length is a delay.</summary>
    public const int StopSequenceLengthMax = 1024;

    /// <summary>Alternatives reported per token, as in the API's schema.</summary>
    public const int TopLogprobsMax = 20;

    /// <summary>Texts of a <c>guided_choice</c>: as many as a schema's <c>enum</c> may have at OpenAI.</summary>
    public const int GuidedTextsMax = 1000;

    /// <summary>Entries of a logit bias: the API's own limit. Each is added to the logits of every step.</summary>
    public const int LogitBiasEntriesMax = 1024;

    /// <summary>Greatest absolute logit bias, as in the API's schema.</summary>
    public const int LogitBiasMax = 100;

    /// <summary>Pairs of metadata, as in the API's schema.</summary>
    public const int MetadataPairsMax = 16;

    /// <summary>Characters of a metadata key, as in the API's schema.</summary>
    public const int MetadataKeyLengthMax = 64;

    /// <summary>Characters of a metadata value, as in the API's schema.</summary>
    public const int MetadataValueLengthMax = 512;

    /// <summary>Variables that one request gives to a chat template; templates know one or two.</summary>
    public const int TemplateVariablesMax = 64;

    /// <summary>Tools, or functions, of one request, as in the API's schema.</summary>
    public const int ToolsMax = 128;

    /// <summary>Tool calls of one folded choice: as many as there may be tools, each called twice.</summary>
    public const int ToolCallsMax = 256;

    /// <summary>
    /// Bytes of events of tool calls that wait for a call before them: 256 KiB, some thousand fragments. Beyond it they pass as they come.
    /// </summary>
    public const int HeldToolCallBytesMax = 256 * 1024;

    /// <summary>Top-k candidates. Larger than any vocabulary, small enough for an array index.</summary>
    public const int TopKMax = 1_000_000;

    /// <summary>Greatest repetition penalty. Far beyond what still gives text.</summary>
    public const int RepetitionPenaltyMax = 10;

    /// <summary>Characters of a request's own text repeated in an error message; the rest is elided.</summary>
    public const int EchoLengthMax = 128;

    /// <summary>Bytes that one folded completion may hold, text and log probabilities together: 64 MiB.</summary>
    public const int CompletionBytesMax = 64 * 1024 * 1024;

    /// <summary>Bytes of events that are kept of a stream whose events depend on one another: 8 MiB, some 36,000 tokens.</summary>
    public const int DependentEventsBytesMax = 8 * 1024 * 1024;

    /// <summary>Bytes of thinking that are kept of one answer to be given back whole: 8 MiB, some two million tokens.</summary>
    public const int ThinkingBytesMax = 8 * 1024 * 1024;

    /// <summary>Bytes of one line of an event stream that is read: 32 MiB, what the strictest official SDK takes.</summary>
    public const int EventLineBytesMax = 32 * 1024 * 1024;

    /// <summary>Bytes of one event that is read, comments counted and line ends not: 64 MiB.</summary>
    public const int EventBytesMax = 64 * 1024 * 1024;
}
