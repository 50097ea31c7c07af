using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Filters that map items or choose among them; they give generators.</summary>
internal static class SelectionFilters
{
    public static TemplateValue Map(RenderState state, TemplateValue input, CallArguments arguments)
    {
        if (!input.IsTrue) return SequenceValue.Generator([]);
        var mapped = new List<TemplateValue>();
        var map = arguments.Positional.Count == 0 ? MapAttribute(state, arguments) : MapFilter(state, arguments);
        foreach (var item in Members.Iterate(state, input))
        {
            state.Charge(1);
            mapped.Add(map(item));
        }

        return SequenceValue.Generator(mapped);
    }

    public static TemplateValue Select(RenderState state, TemplateValue input, CallArguments arguments) =>
        Choose(state, input, arguments, wanted: true, byAttribute: false);

    public static TemplateValue Reject(RenderState state, TemplateValue input, CallArguments arguments) =>
        Choose(state, input, arguments, wanted: false, byAttribute: false);

    public static TemplateValue SelectByAttribute(RenderState state, TemplateValue input, CallArguments arguments) =>
        Choose(state, input, arguments, wanted: true, byAttribute: true);

    public static TemplateValue RejectByAttribute(RenderState state, TemplateValue input, CallArguments arguments) =>
        Choose(state, input, arguments, wanted: false, byAttribute: true);

    private static Func<TemplateValue, TemplateValue> MapAttribute(RenderState state, CallArguments arguments)
    {
        var a = arguments.Bind(state, "map", "attribute", "default");
        if (a[0] is null) throw state.Fail("'map' needs a filter or an attribute");
        var path = AttributePath.Parse(a[0]);
        var fallback = a[1] is NoneValue ? null : a[1];
        return item => path.Get(state, item, fallback);
    }

    private static Func<TemplateValue, TemplateValue> MapFilter(RenderState state, CallArguments arguments)
    {
        string name = arguments.Positional[0] is TextValue text ? text.Text : throw state.Fail("'map' needs a filter's name");
        var filter = FilterTable.Find(name) ?? throw state.Fail($"there is no filter '{name}'");
        var rest = arguments.Skip(1);
        return item =>
        {
            state.ChargeValue(item);
            return filter(state, item, rest);
        };
    }

    private static SequenceValue Choose(RenderState state, TemplateValue input, CallArguments arguments, bool wanted, bool byAttribute)
    {
        if (!input.IsTrue) return SequenceValue.Generator([]);
        if (byAttribute && arguments.Positional.Count == 0) throw state.Fail("the attribute's name is missing");
        var path = AttributePath.Parse(byAttribute ? arguments.Positional[0] : null);
        var holds = FindTest(state, byAttribute ? arguments.Skip(1) : arguments);
        var chosen = new List<TemplateValue>();
        foreach (var item in Members.Iterate(state, input))
        {
            state.Charge(1);
            if (holds(path.Get(state, item)) == wanted) chosen.Add(item);
        }

        return SequenceValue.Generator(chosen);
    }

    private static Func<TemplateValue, bool> FindTest(RenderState state, CallArguments arguments)
    {
        if (arguments.Positional.Count == 0) return item => item.IsTrue;
        string name = arguments.Positional[0] is TextValue text ? text.Text : throw state.Fail("a test's name is a string");
        var test = TestTable.Find(name) ?? throw state.Fail($"there is no test '{name}'");
        var rest = arguments.Skip(1);
        return item => test(state, item, rest);
    }
}
