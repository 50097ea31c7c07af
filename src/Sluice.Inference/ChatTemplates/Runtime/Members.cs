using Sluice.Inference.ChatTemplates.Builtins;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>Attributes, items and slices. What does not exist is undefined; only a member of undefined is an error.</summary>
internal static class Members
{
    /// <summary><c>target.name</c>: a method comes before a key of the same name.</summary>
    public static TemplateValue GetAttribute(RenderState state, TemplateValue target, TextValue name) => target switch
    {
        UndefinedValue undefined => throw state.Fail(undefined.Reason),
        MappingValue mapping => MappingMethods.Find(mapping, name.Text) ?? mapping.Find(name) ?? Missing(target, name),
        NamespaceValue space => space.Attributes.Find(name) ?? Missing(target, name),
        LoopValue loop => loop.Find(name.Text) ?? Missing(target, name),
        _ => (TemplateValue?)FindMethod(target, name.Text) ?? Missing(target, name),
    };

    /// <summary><c>target[key]</c>: a key comes before a method of the same name.</summary>
    public static TemplateValue GetItem(RenderState state, TemplateValue target, TemplateValue key)
    {
        switch (target)
        {
            case UndefinedValue undefined:
                throw state.Fail(undefined.Reason);
            case MappingValue mapping when mapping.Find(key) is { } value:
                return value;
            case SequenceValue { HasIndex: true } sequence when Numbers.TryGetInteger(key, out long index):
                index += index < 0 ? sequence.Items.Count : 0;
                return index >= 0 && index < sequence.Items.Count ? sequence.Items[(int)index] : Missing(target, key);
            case TextValue text when Numbers.TryGetInteger(key, out long index):
                state.ChargeValue(text);
                var points = new CodePoints(text.Text);
                index += index < 0 ? points.Count : 0;
                return index >= 0 && index < points.Count ? points.Get(text, (int)index) : Missing(target, key);
        }

        return key is TextValue name ? GetAttribute(state, target, name) : Missing(target, key);
    }

    /// <summary><c>target[start:stop:step]</c>; a bound that is none is absent.</summary>
    public static TemplateValue GetSlice(
        RenderState state, TemplateValue target, TemplateValue start, TemplateValue stop, TemplateValue step)
    {
        switch (target)
        {
            case UndefinedValue undefined:
                throw state.Fail(undefined.Reason);
            case SequenceValue { HasIndex: true } sequence:
                var bounds = SliceBounds.Of(state, sequence.Items.Count, start, stop, step);
                var items = new List<TemplateValue>(bounds.Count);
                state.Charge(bounds.Count);
                foreach (int index in bounds.Indexes())
                {
                    items.Add(sequence.Items[index]);
                }

                return new SequenceValue(sequence.Kind == SequenceKind.Tuple ? SequenceKind.Tuple : SequenceKind.List, items);
            case TextValue text:
                return SliceText(state, text, start, stop, step);
            default:
                return Missing(target, NoneValue.Instance);
        }
    }

    /// <summary>What a loop, an unpacking or a filter goes over.</summary>
    public static IReadOnlyList<TemplateValue> Iterate(RenderState state, TemplateValue value)
    {
        state.ChargeValue(value);
        switch (value)
        {
            case SequenceValue sequence:
                return sequence.Enumerate();
            case MappingValue mapping:
                return [.. mapping.Items.Keys];
            case UndefinedValue:
                return [];
            case TextValue text:
                var points = new CodePoints(text.Text);
                state.CheckItemCount(points.Count);
                state.Charge(points.Count);
                var characters = new List<TemplateValue>(points.Count);
                for (int i = 0; i < points.Count; i++)
                {
                    characters.Add(points.Get(text, i));
                }

                return characters;
            default:
                throw state.Fail($"'{value.TypeName}' cannot be iterated");
        }
    }

    private static CallableValue? FindMethod(TemplateValue target, string name) => target switch
    {
        TextValue text => TextMethods.Find(text, name),
        SequenceValue sequence => SequenceMethods.Find(sequence, name),
        _ => null,
    };

    private static TextValue SliceText(RenderState state, TextValue text, TemplateValue start, TemplateValue stop, TemplateValue step)
    {
        state.ChargeValue(text);
        var points = new CodePoints(text.Text);
        var bounds = SliceBounds.Of(state, points.Count, start, stop, step);
        if (bounds.Count == 0) return TextValue.Empty;
        if (bounds.Step == 1)
        {
            int from = points.OffsetOf(bounds.Start);
            return text.Slice(from, points.OffsetOf(bounds.Start + bounds.Count) - from);
        }

        state.Charge(bounds.Count);
        var builder = new MarkedTextBuilder(state);
        foreach (int index in bounds.Indexes())
        {
            int from = points.OffsetOf(index);
            builder.Append(text, from, points.OffsetOf(index + 1) - from);
        }

        return builder.ToValue();
    }

    private static UndefinedValue Missing(TemplateValue target, TemplateValue member) => UndefinedValue.ForMember(target, member);
}
