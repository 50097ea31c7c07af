using System.Text;
using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>
/// How the text of an answer is to be read, and what its calls may be. Made with a prompt by the engine.
/// Immutable; serves any number of choices of one request.
/// </summary>
public sealed class AnswerPlan
{
    private readonly PromptTools? _tools;
    private readonly ToolShape[] _shapes;
    private readonly IReadOnlyList<ToolGrammars> _grammars;

    internal AnswerPlan(ToolCallDialect? dialect, PromptTools? tools, IReadOnlyList<ToolGrammars> grammars, ReasoningTags? reasoning)
    {
        Dialect = dialect;
        _tools = tools;
        Reasoning = reasoning;
        // Only who writes JSON of something else looks at schemas.
        _shapes = [.. (tools?.Tools ?? []).Select(tool => dialect?.IsTranscribed == true ? ToolShape.Of(tool) : new ToolShape(Encoding.UTF8.GetBytes(tool.Name), null))];
        _grammars = grammars;
    }

    internal ToolCallDialect? Dialect { get; }

    /// <summary>What reasoning stands in; null where there is none, or where it has a channel.</summary>
    internal ReasoningTags? Reasoning { get; }

    /// <summary>Whether an answer is in channels, with tools or without.</summary>
    internal bool IsHarmony { get; init; }

    /// <summary>What of the answer the prompt has already: a tag that opens reasoning or calls.</summary>
    internal string Begun { get; init; } = "";

    /// <summary>What the whole answer has to be, or what comes after its reasoning; null is anything.</summary>
    internal Grammar? Forced { get; init; }

    /// <summary>
    /// Decides between text and call at the first token: at least this likely, in nats, <see cref="CallToken"/> means a call and
    /// <see cref="Forced"/> holds; otherwise text. Null leaves it to sampling.
    /// </summary>
    internal float? CallThreshold { get; init; }

    /// <summary>The first token of a call.</summary>
    internal int CallToken { get; init; }

    /// <summary>Control tokens that have a meaning for calls or reasoning, with their texts.</summary>
    internal IReadOnlyDictionary<int, byte[]> Markers { get; init; } = new Dictionary<int, byte[]>();

    /// <summary>Whether the answer ends with its first call.</summary>
    internal bool EndsAfterCall => _tools is { } tools && (!tools.AllowsSeveral || tools.Required != null);

    internal bool HasTools => _tools != null;

    internal string ToolName(int tool) => _tools!.Tools[tool].Name;

    internal AnswerReader CreateReader()
    {
        AnswerReader reader = Dialect?.IsHarmony == true || IsHarmony ? new HarmonyReader(_shapes) : new AnswerParser(Dialect, _shapes, Reasoning);
        reader.Read(Encoding.UTF8.GetBytes(Begun), isLast: false);
        return reader;
    }

    /// <summary>A matcher for what is left of a call after its name, or null when what has come since fits none.</summary>
    internal GrammarMatcher? Match(int tool, bool isNamed, ReadOnlySpan<byte> since)
    {
        ToolGrammars grammars = _grammars[tool];
        if (Dialect?.IsTranscribed == true)
        {
            return grammars.Transcribed is { } transcribed ? Match(transcribed, since) : null;
        }

        return isNamed ? Match(grammars.ArgumentsOnly, since) : Match(grammars.Spaced, since) ?? Match(grammars.Compact, since);
    }

    private static GrammarMatcher? Match(Grammar grammar, ReadOnlySpan<byte> since)
    {
        var matcher = new GrammarMatcher(grammar);
        return matcher.TryAdvance(since) && !matcher.IsExhausted ? matcher : null;
    }
}
