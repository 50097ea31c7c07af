using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>How a family of models writes tool calls. The values below are all there are.</summary>
/// <param name="Name">The family, for people.</param>
/// <param name="ArgumentsKey">The key that new text gives the arguments; others that models use are read too.</param>
internal sealed record ToolCallDialect(string Name, string ArgumentsKey)
{
    /// <summary>Stands between name and arguments of a call that is no object.</summary>
    public const string ArgumentsMark = "[ARGS]";

    /// <summary>Begins the header of a message in a channel.</summary>
    public const string Channel = "<|channel|>";

    /// <summary>Ends that header.</summary>
    public const string MessageMark = "<|message|>";

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

    /// <summary>Tags of arguments that stand one by one; null where they are JSON.</summary>
    public CallTags? Tags { get; init; }

    /// <summary>The programming language that calls are written in; null where they are JSON.</summary>
    public CallLiterals? Literals { get; init; }

    /// <summary>Marks around names and objects; null where calls have another form.</summary>
    public CallMarks? Named { get; init; }

    /// <summary>Whether an answer is in channels, of which a call is one.</summary>
    public bool IsHarmony { get; init; }

    /// <summary>Texts that mean something to the reader of an answer, beside openers and closer.</summary>
    public IReadOnlyList<string> Marks { get; init; } = [];

    /// <summary>Whether JSON is made of what the model writes.</summary>
    public bool IsTranscribed => Tags != null || Literals != null || Named != null;

    /// <summary>What reads calls that are no JSON; null where they are.</summary>
    public CallTranscriber? CreateTranscriber(IReadOnlyList<ToolShape> tools) =>
        Tags is { } tags ? new TaggedCallTranscriber(tools, tags, Openers.Count > 1 ? 1 : -1)
        : Literals is { } literals ? new LiteralCallTranscriber(tools, literals)
        : Named is { } marks ? new NamedCallTranscriber(tools, marks) : null;

    /// <summary>Qwen3-Coder, Qwen 3.5 and later, Nemotron 3: tags of functions and parameters.</summary>
    public static ToolCallDialect Functions { get; } = new("Qwen3-Coder", "arguments")
    {
        Openers = ["<tool_call>", "<function="],
        Closer = "</tool_call>",
        Tags = CallTags.Functions,
    };

    /// <summary>Seed-OSS: the same with a tag of its own.</summary>
    public static ToolCallDialect Seed { get; } = Functions with { Name = "Seed", Openers = ["<seed:tool_call>", "<function="], Closer = "</seed:tool_call>", Tags = CallTags.SeedFunctions };

    /// <summary>GLM 4.5 and later: keys and values in tags.</summary>
    public static ToolCallDialect Glm { get; } = new("GLM", "arguments") { Openers = ["<tool_call>"], Closer = "</tool_call>", Tags = CallTags.Pairs };

    /// <summary>MiniMax M2: invocations.</summary>
    public static ToolCallDialect MiniMax { get; } = new("MiniMax", "arguments") { Openers = ["<minimax:tool_call>"], Closer = "</minimax:tool_call>", Tags = CallTags.Invocations };

    /// <summary>LFM2: a list of calls in Python.</summary>
    public static ToolCallDialect Lfm2 { get; } = new("LFM2", "arguments") { Openers = ["<|tool_call_start|>"], Closer = "<|tool_call_end|>", Literals = CallLiterals.Python };

    /// <summary>Gemma 4: a call in a language of its own.</summary>
    public static ToolCallDialect Gemma { get; } = new("Gemma", "arguments") { Openers = ["<|tool_call>"], Closer = "<tool_call|>", Literals = CallLiterals.Gemma, Marks = ["<|\"|>", "<|channel>", "<channel|>"] };

    /// <summary>FunctionGemma: the same with other tags.</summary>
    public static ToolCallDialect FunctionGemma { get; } = new("FunctionGemma", "arguments")
    {
        Openers = ["<start_function_call>"],
        Closer = "<end_function_call>",
        Literals = CallLiterals.FunctionGemma,
        Marks = ["<escape>"],
    };

    /// <summary>DeepSeek V3 and R1: names and objects between marks.</summary>
    public static ToolCallDialect DeepSeek { get; } = new("DeepSeek", "arguments")
    {
        Openers = ["<｜tool▁calls▁begin｜>"],
        Closer = CallMarks.DeepSeek.Closer,
        Named = CallMarks.DeepSeek,
        Marks = [CallMarks.DeepSeek.CallOpener, CallMarks.DeepSeek.Separator, CallMarks.DeepSeek.CallCloser],
    };

    /// <summary>Kimi K2: the same with other marks.</summary>
    public static ToolCallDialect Kimi { get; } = new("Kimi", "arguments")
    {
        Openers = ["<|tool_calls_section_begin|>"],
        Closer = CallMarks.Kimi.Closer,
        Named = CallMarks.Kimi,
        Marks = [CallMarks.Kimi.CallOpener, CallMarks.Kimi.Separator, CallMarks.Kimi.CallCloser],
    };

    /// <summary>Nemotron Nano 2: an array in tags.</summary>
    public static ToolCallDialect Nemotron { get; } = new("Nemotron", "arguments") { Openers = ["<TOOLCALL>"], Closer = "</TOOLCALL>", IsList = true };

    /// <summary>gpt-oss: messages to functions.</summary>
    public static ToolCallDialect Harmony { get; } = new("harmony", "arguments")
    {
        Openers = ["<|channel|>commentary to=functions."],
        IsHarmony = true,
        Marks = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>", "<|call|>", "<|return|>"],
    };

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
        if (IsHarmonyTemplate(template))
        {
            return Harmony;
        }

        // The newer templates leave calls to who uses them.
        if (Has("<|tool_call_start|>") || (Has("\"List of tools: [\"") && Has("<|im_start|>")))
        {
            return Lfm2;
        }

        if (Has("<|tool_call>"))
        {
            return Gemma;
        }

        if (Has("<start_function_call>"))
        {
            return FunctionGemma;
        }

        if (Has("<function=") && Has("<parameter="))
        {
            return Has("<seed:tool_call>") ? Seed : Functions;
        }

        if (Has("<｜tool▁calls▁begin｜>"))
        {
            return DeepSeek;
        }

        if (Has("<|tool_calls_section_begin|>"))
        {
            return Kimi;
        }

        if (Has("<TOOLCALL>"))
        {
            return Nemotron;
        }

        if (Has("<minimax:tool_call>"))
        {
            return MiniMax;
        }

        if (Has("<tool_call>") && Has("<arg_key>"))
        {
            return Glm;
        }

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

    /// <summary>Whether a chat template writes channels.</summary>
    public static bool IsHarmonyTemplate(string template) =>
        template.Contains("<|channel|>", StringComparison.Ordinal) && template.Contains("<|message|>", StringComparison.Ordinal);

    /// <summary>Calls as an answer would have them, for templates that leave them out of histories.</summary>
    public string Write(IReadOnlyList<PromptToolCall> calls)
    {
        if (Tags is { } tags)
        {
            return CallWriter.Write(tags, Openers[0], calls);
        }

        if (Literals is { } literals)
        {
            return CallWriter.Write(literals, Openers[0], calls);
        }

        if (Named is { } marks)
        {
            return CallWriter.Write(marks, Openers[0], calls);
        }

        IEnumerable<string> objects = calls.Select(call => $"{{\"name\": \"{call.Name}\", \"{ArgumentsKey}\": {call.Arguments}}}");
        string opener = Openers.Count > 0 ? Openers[0] : "";
        return IsList ? $"{opener}[{string.Join(", ", objects)}]" : string.Join("\n", objects.Select(text => $"{opener}\n{text}\n{Closer}"));
    }
}
