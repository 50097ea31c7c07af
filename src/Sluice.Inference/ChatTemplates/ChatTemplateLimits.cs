namespace Sluice.Inference.ChatTemplates;

/// <summary>Every bound of the template interpreter. Passing one throws <see cref="ChatTemplateException"/>.</summary>
public static class ChatTemplateLimits
{
    /// <summary>UTF-16 units of template source. The largest real templates have about 20 thousand.</summary>
    public const int SourceLengthMax = 1 << 20;

    /// <summary>Nested statements and expressions while parsing; keeps the recursive parser far from the end of the stack.</summary>
    public const int SyntaxDepthMax = 150;

    /// <summary>Nested evaluations while rendering, macro calls included; ends endless recursion. About 60 macro calls deep.</summary>
    public const int EvaluationDepthMax = 1000;

    /// <summary>Nested lists and mappings in a value that is compared, printed or serialised. JSON bodies are at most 64 deep.</summary>
    public const int ValueDepthMax = 200;

    /// <summary>UTF-16 units of one string, the rendered prompt included; more than any context length holds.</summary>
    public const int TextLengthMax = 1 << 24;

    /// <summary>Items of one list or mapping made by a template.</summary>
    public const int ItemCountMax = 1 << 20;

    /// <summary>Items of one <c>range</c>; the bound of Jinja's sandbox.</summary>
    public const int RangeLengthMax = 100_000;

    /// <summary>
    /// Loop iterations of one rendering. A template that looks at every later message from every message stays below it with
    /// 2000 messages.
    /// </summary>
    public const int LoopIterationsMax = 4_000_000;

    /// <summary>
    /// Work of one rendering: one step for each evaluated node, each item touched and each <see cref="CharactersPerStep"/>
    /// characters copied. About a second of one core.
    /// </summary>
    public const long StepsMax = 20_000_000;

    /// <summary>Characters copied for the price of one step; with <see cref="StepsMax"/> at most 320 MB in one rendering.</summary>
    public const int CharactersPerStep = 8;
}
