using System.Collections.Frozen;
using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>The functions that every template can call; a variable of the same name hides one.</summary>
internal static class Functions
{
    private static readonly FrozenDictionary<string, FunctionValue> Table = new Dictionary<string, FunctionValue>
    {
        ["range"] = new(Range),
        ["namespace"] = new(Namespace),
        ["dict"] = new(Dictionary),
        ["raise_exception"] = new(RaiseException),
        ["strftime_now"] = new(FormatNow),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static TemplateValue? Find(string name) => Table.GetValueOrDefault(name);

    private static SequenceValue Range(RenderState state, CallArguments arguments)
    {
        if (arguments.Named.Count > 0) throw state.Fail("'range' takes no named arguments");
        var a = arguments.Bind(state, "range", "start", "stop", "step");
        bool hasOne = a[1] is null;
        long start = hasOne ? 0 : a.RequireInteger(0);
        long stop = a.RequireInteger(hasOne ? 0 : 1);
        long step = a.Integer(2, 1);
        if (step == 0) throw state.Fail("the step of 'range' is zero");

        var distance = step > 0 ? (Int128)stop - start : (Int128)start - stop;
        var count = distance <= 0 ? 0 : ((distance - 1) / Int128.Abs(step)) + 1;
        if (count > ChatTemplateLimits.RangeLengthMax) throw state.Fail($"'range' has more than {ChatTemplateLimits.RangeLengthMax} items");
        state.Charge((long)count);
        var items = new List<TemplateValue>((int)count);
        for (long i = 0; i < count; i++)
        {
            items.Add(new IntegerValue(start + (i * step)));
        }

        string label = step == 1
            ? string.Create(CultureInfo.InvariantCulture, $"range({start}, {stop})")
            : string.Create(CultureInfo.InvariantCulture, $"range({start}, {stop}, {step})");
        return new SequenceValue(SequenceKind.Range, items, isFrozen: true, label);
    }

    private static NamespaceValue Namespace(RenderState state, CallArguments arguments)
    {
        var attributes = Dictionary(state, arguments);
        bool areNames = attributes.Items.Keys.All(key => key is TextValue);
        return areNames ? new NamespaceValue(attributes) : throw state.Fail("attributes of a namespace have names");
    }

    private static MappingValue Dictionary(RenderState state, CallArguments arguments)
    {
        var mapping = new MappingValue();
        if (arguments.Positional.Count > 1) throw state.Fail("a mapping is made from at most one other");
        foreach (var source in arguments.Positional)
        {
            MappingMethods.Merge(state, mapping, source);
        }

        foreach (var (name, value) in arguments.Named)
        {
            mapping.Items[name] = value;
        }

        return mapping;
    }

    private static TemplateValue RaiseException(RenderState state, CallArguments arguments)
    {
        var message = arguments.Bind(state, "raise_exception", "message").Require(0);
        throw ChatTemplateException.RaisedByTemplate(PythonText.Str(state, message).Text, state.Line);
    }

    private static TextValue FormatNow(RenderState state, CallArguments arguments)
    {
        var format = arguments.Bind(state, "strftime_now", "format").RequireText(0);
        return format.MarkAlike(new TextValue(TimeFormat.Format(format.Text, state.Time.GetLocalNow())));
    }
}
