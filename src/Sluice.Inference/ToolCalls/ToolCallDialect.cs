using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>How a family of models writes tool calls. The values below are all there are.</summary>
/// <param name="Name">The family, for people.</param>
/// <param name="ArgumentsKey">The key that new text gives the arguments; others that models use are read too.</param>
internal sealed record ToolCallDialect(string Name, string ArgumentsKey)
{
    /// <summary>Stands between name and arguments of a call that is no object.</summary>
    public const string ArgumentsMark = "[ARGS]";

    /// <summary>Texts or tokens that begin calls, wherever they stand; the first is what is written. Empty where calls stand by themselves.</summary>
    public IReadOnlyList<string> Openers { get; init; } = [];

    /// <summary>What ends a call that <see cref="Openers"/> began; null where nothing does.</summary>
    public string? Closer { get; init; }

    /// <summary>Whether an answer that begins with an object is a call.</summary>
    public bool StartsBare { get; init; }

    /// <summary>What stands between calls that stand by themselves; null where a forced answer has one only.</summary>
    public string? Separator { get; init; }

    /// <summary>Whether calls stand in an array.</summary>
    public bool IsList { get; init; }

    /// <summary>Whether a call may be <c>name[ARGS]{…}</c> instead of an object.</summary>
    public bool IsNamed { get; init; }

    /// <summary>Hermes, Qwen 2.5 and 3, Granite 4: tagged objects.</summary>
    public static ToolCallDialect Hermes { get; } = new("Hermes", "arguments") { Openers = ["<tool_call>"], Closer = "</tool_call>" };

    /// <summary>Llama 3.1 to 3.3: an object is the whole answer, or follows a token.</summary>
    public static ToolCallDialect Llama { get; } = new("Llama 3", "parameters") { Openers = ["<|python_tag|>"], StartsBare = true, Separator = "; " };

    /// <summary>Mistral 7B v0.3 and Nemo: an array after a token.</summary>
    public static ToolCallDialect MistralList { get; } = new("Mistral", "arguments") { Openers = ["[TOOL_CALLS]"], IsList = true, IsNamed = true };

    /// <summary>Mistral Small 3 and Devstral: the token before every name.</summary>
    public static ToolCallDialect MistralNamed { get; } = MistralList with { Name = "Mistral Small", IsList = false };

    /// <summary>Granite 3: an array after a token.</summary>
    public static ToolCallDialect Granite { get; } = new("Granite", "arguments") { Openers = ["<|tool_call|>", "<tool_call>"], Closer = "</tool_call>", IsList = true };

    /// <summary>What models get that know nothing of tools: an object is the whole answer.</summary>
    public static ToolCallDialect Generic { get; } = new("generic", "arguments") { StartsBare = true };

    /// <summary>The family that a chat template is for; null when it shows none that is known.</summary>
    /// <param name="template">The template's source.</param>
    public static ToolCallDialect? Find(string template)
    {
        if (Has("[TOOL_CALLS]"))
        {
            return Has("[ARGS]") ? MistralNamed : MistralList;
        }

        if (Has("<|tool_call|>"))
        {
            return Granite;
        }

        // Others use the same tag around something else than JSON.
        if (Has("<tool_call>") && !Has("<function=") && !Has("<arg_key>"))
        {
            return Hermes;
        }

        return Has("<|python_tag|>") || (Has("ipython") && Has("\"parameters\"")) ? Llama : null;

        bool Has(string text) => template.Contains(text, StringComparison.Ordinal);
    }

    /// <summary>Calls as an answer would have them, for templates that leave them out of histories.</summary>
    public string Write(IReadOnlyList<PromptToolCall> calls)
    {
        IEnumerable<string> objects = calls.Select(call => $"{{\"name\": \"{call.Name}\", \"{ArgumentsKey}\": {call.Arguments}}}");
        string opener = Openers.Count > 0 ? Openers[0] : "";
        return IsList ? $"{opener}[{string.Join(", ", objects)}]" : string.Join("\n", objects.Select(text => $"{opener}\n{text}\n{Closer}"));
    }
}
