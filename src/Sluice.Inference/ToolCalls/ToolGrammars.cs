using Sluice.Inference.Grammars;
using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>What may follow the name of a tool in a call; made before the answer, for the engine's thread must not wait for it.</summary>
/// <param name="Spaced">Up to the end of the call's object, with a space after each separator.</param>
/// <param name="Compact">The same without spaces.</param>
/// <param name="ArgumentsOnly">The arguments alone.</param>
/// <param name="Transcribed">What follows the name of a call that is no JSON; null where nothing is asked of it.</param>
internal sealed record ToolGrammars(Grammar Spaced, Grammar Compact, Grammar ArgumentsOnly, Grammar? Transcribed);

/// <summary>Grammars of the tools that a model was asked with lately: applications send the same ones with every request. Thread-safe.</summary>
internal sealed class ToolGrammarCache(ToolCallGrammar grammar)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, object> _grammars = [];

    /// <exception cref="ToolSchemaException">The tool is strict, and its schema can't be followed.</exception>
    public ToolGrammars Of(PromptTool tool) => Get(tool.Key, () => new ToolGrammars(
        grammar.AfterName(tool, isCompact: false),
        grammar.AfterName(tool, isCompact: true),
        grammar.ArgumentsOnly(tool),
        grammar.Transcribed(tool)));

    /// <summary>Whole answers that call; see <see cref="ToolCallGrammar.Calls"/>.</summary>
    public Grammar Calls(IReadOnlyList<PromptTool> tools, bool isOpened, bool allowsSeveral) => Get(
        $"{isOpened} {allowsSeveral} {string.Join('\n', tools.Select(static tool => tool.Key))}",
        () => grammar.Calls(tools, isOpened, allowsSeveral));

    private T Get<T>(string key, Func<T> create)
        where T : class
    {
        lock (_lock)
        {
            if (_grammars.TryGetValue(key, out object? known))
            {
                return (T)known;
            }
        }

        // Outside of the lock: two requests may make the same, and one of them is kept.
        T made = create();
        if (key.Length <= ToolCallLimits.CachedKeyLengthMax)
        {
            lock (_lock)
            {
                if (_grammars.Count >= ToolCallLimits.CachedGrammarsMax)
                {
                    _grammars.Clear();
                }

                _grammars[key] = made;
            }
        }

        return made;
    }
}
