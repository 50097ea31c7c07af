using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Syntax;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Filters that count, order or fold a collection.</summary>
internal static class SequenceFilters
{
    public static TemplateValue Length(RenderState state, TemplateValue input, CallArguments arguments) => input switch
    {
        TextValue text => new IntegerValue(CodePoints.CountOf(text.Text)),
        SequenceValue { HasLength: true } sequence => new IntegerValue(sequence.Items.Count),
        MappingValue mapping => new IntegerValue(mapping.Items.Count),
        UndefinedValue => new IntegerValue(0),
        _ => throw state.Fail($"'{input.TypeName}' has no length"),
    };

    public static TemplateValue Join(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "join", "d", "attribute");
        var separator = a[0] is { } given ? PythonText.Str(state, given) : TextValue.Empty;
        var path = AttributePath.Parse(a[1]);
        var texts = new List<TextValue>();
        foreach (var item in Members.Iterate(state, input))
        {
            texts.Add(PythonText.Str(state, path.Get(state, item)));
        }

        return TextEditing.Join(state, separator, texts);
    }

    public static TemplateValue ToList(RenderState state, TemplateValue input, CallArguments arguments) =>
        SequenceValue.List([.. Members.Iterate(state, input)]);

    public static TemplateValue First(RenderState state, TemplateValue input, CallArguments arguments) =>
        Members.Iterate(state, input) is [var first, ..] ? first : new UndefinedValue("there is no first item, the sequence is empty");

    public static TemplateValue Last(RenderState state, TemplateValue input, CallArguments arguments)
    {
        if (input is SequenceValue { HasLength: false }) throw state.Fail("'last' does not take a generator");
        return Members.Iterate(state, input) is [.., var last] ? last : new UndefinedValue("there is no last item, the sequence is empty");
    }

    public static TemplateValue Reverse(RenderState state, TemplateValue input, CallArguments arguments)
    {
        if (input is SequenceValue { HasLength: false }) throw state.Fail("'reverse' does not take a generator");
        if (input is TextValue)
        {
            return Members.GetSlice(state, input, NoneValue.Instance, NoneValue.Instance, new IntegerValue(-1));
        }

        var items = Members.Iterate(state, input).ToList();
        items.Reverse();
        return SequenceValue.Generator(items);
    }

    public static TemplateValue Items(RenderState state, TemplateValue input, CallArguments arguments) => input switch
    {
        UndefinedValue => SequenceValue.Generator([]),
        MappingValue mapping => SequenceValue.Generator(MappingMethods.ToPairs(mapping)),
        _ => throw state.Fail($"'items' needs a mapping, not '{input.TypeName}'"),
    };

    public static TemplateValue SortMapping(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "dictsort", "case_sensitive", "by", "reverse");
        if (input is not MappingValue mapping) throw state.Fail($"'dictsort' needs a mapping, not '{input.TypeName}'");
        string by = a.Text(1)?.Text ?? "key";
        if (by is not ("key" or "value")) throw state.Fail("'dictsort' sorts by 'key' or 'value'");
        int part = by == "key" ? 0 : 1;
        var pairs = MappingMethods.ToPairs(mapping);
        return SequenceValue.List(Sorting.Sort(state, pairs, Key, a.IsTrue(2)));

        TemplateValue Key(TemplateValue pair) => FoldCase(((SequenceValue)pair).Items[part], a.IsTrue(0));
    }

    public static TemplateValue Sort(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "sort", "reverse", "case_sensitive", "attribute");
        var paths = AttributePath.ParseMany(a[2]);
        var items = Members.Iterate(state, input).ToList();
        return SequenceValue.List(Sorting.Sort(state, items, Key, a.IsTrue(0)));

        TemplateValue Key(TemplateValue item) =>
            SequenceValue.List([.. paths.Select(path => FoldCase(path.Get(state, item), a.IsTrue(1)))]);
    }

    public static TemplateValue Unique(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "unique", "case_sensitive", "attribute");
        var path = AttributePath.Parse(a[1]);
        var seen = new MappingValue();
        var unique = new List<TemplateValue>();
        foreach (var item in Members.Iterate(state, input))
        {
            var key = FoldCase(path.Get(state, item), a.IsTrue(0));
            if (!MappingValue.IsKey(key)) throw state.Fail($"'unique' cannot compare '{key.TypeName}'");
            if (seen.Items.TryAdd(key, NoneValue.Instance)) unique.Add(item);
        }

        return SequenceValue.Generator(unique);
    }

    public static TemplateValue Min(RenderState state, TemplateValue input, CallArguments arguments) =>
        Extreme(state, input, arguments.Bind(state, "min", "case_sensitive", "attribute"), sign: -1);

    public static TemplateValue Max(RenderState state, TemplateValue input, CallArguments arguments) =>
        Extreme(state, input, arguments.Bind(state, "max", "case_sensitive", "attribute"), sign: 1);

    public static TemplateValue Sum(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "sum", "attribute", "start");
        var path = AttributePath.Parse(a[0]);
        var sum = a[1] ?? new IntegerValue(0);
        if (sum is TextValue) throw state.Fail("'sum' does not add strings");
        foreach (var item in Members.Iterate(state, input))
        {
            sum = Arithmetic.Apply(state, ArithmeticOperator.Add, sum, path.Get(state, item));
        }

        return sum;
    }

    /// <summary>The key that most filters compare strings by, unless they are told that case matters.</summary>
    public static TemplateValue FoldCase(TemplateValue value, bool isCaseSensitive) =>
        value is TextValue text && !isCaseSensitive ? TextCase.Lower(text) : value;

    private static TemplateValue Extreme(RenderState state, TemplateValue input, BoundArguments a, int sign)
    {
        var path = AttributePath.Parse(a[1]);
        TemplateValue? best = null;
        TemplateValue? bestKey = null;
        foreach (var item in Members.Iterate(state, input))
        {
            var key = FoldCase(path.Get(state, item), a.IsTrue(0));
            if (bestKey is not null && !(Comparison.Order(state, key, bestKey) * sign > 0)) continue;
            best = item;
            bestKey = key;
        }

        return best ?? new UndefinedValue("there is no extreme item, the sequence is empty");
    }
}
