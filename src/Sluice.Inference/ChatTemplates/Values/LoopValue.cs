using Sluice.Inference.ChatTemplates.Runtime;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>The <c>loop</c> variable of one running loop.</summary>
/// <param name="items">What the loop goes over.</param>
/// <param name="depth">0 for the outermost level of a recursive loop.</param>
/// <param name="recurse">Renders the loop's body over other items; null unless the loop says <c>recursive</c>.</param>
internal sealed class LoopValue(
    IReadOnlyList<TemplateValue> items, int depth, Func<TemplateValue, int, TemplateValue>? recurse) : CallableValue
{
    private IReadOnlyList<TemplateValue>? _lastChanged;

    /// <summary>Index of the running iteration, from 0.</summary>
    public int Index { get; set; }

    public TemplateValue? Find(string name) => name switch
    {
        "index" => new IntegerValue(Index + 1),
        "index0" => new IntegerValue(Index),
        "revindex" => new IntegerValue(items.Count - Index),
        "revindex0" => new IntegerValue(items.Count - Index - 1),
        "first" => BooleanValue.Of(Index == 0),
        "last" => BooleanValue.Of(Index == items.Count - 1),
        "length" => new IntegerValue(items.Count),
        "depth" => new IntegerValue(depth + 1),
        "depth0" => new IntegerValue(depth),
        "previtem" => Index > 0 ? items[Index - 1] : new UndefinedValue("there is no previous item"),
        "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new UndefinedValue("there is no next item"),
        "cycle" => new FunctionValue(Cycle),
        "changed" => new FunctionValue(Changed),
        _ => null,
    };

    public override TemplateValue Invoke(RenderState state, CallArguments arguments)
    {
        if (recurse is null) throw state.Fail("a loop must be marked 'recursive' to be called");
        return recurse(arguments.Bind(state, "loop", "iterable").Require(0), depth + 1);
    }

    private TemplateValue Cycle(RenderState state, CallArguments arguments) =>
        arguments.Positional.Count == 0
            ? throw state.Fail("loop.cycle needs at least one value")
            : arguments.Positional[Index % arguments.Positional.Count];

    private BooleanValue Changed(RenderState state, CallArguments arguments)
    {
        bool changed = _lastChanged is null || !Comparison.AreEqual(state, _lastChanged, arguments.Positional);
        _lastChanged = arguments.Positional;
        return BooleanValue.Of(changed);
    }
}
