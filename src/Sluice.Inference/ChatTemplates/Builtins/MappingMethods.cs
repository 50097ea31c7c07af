using System.Collections.Frozen;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>The methods of mappings. Only a mapping that the template made can be changed.</summary>
internal static class MappingMethods
{
    private static readonly FrozenDictionary<string, Method<MappingValue>> Table = new Dictionary<string, Method<MappingValue>>
    {
        ["items"] = (state, self, _) => Items(state, self),
        ["keys"] = (state, self, _) => View(state, "dict_keys", [.. self.Items.Keys]),
        ["values"] = (state, self, _) => View(state, "dict_values", [.. self.Items.Values]),
        ["get"] = Get,
        ["pop"] = Pop,
        ["setdefault"] = SetDefault,
        ["update"] = Update,
        ["clear"] = Clear,
        ["copy"] = Copy,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static CallableValue? Find(MappingValue self, string name) =>
        Table.TryGetValue(name, out var method) ? new MethodValue<MappingValue>(self, method) : null;

    public static SequenceValue Items(RenderState state, MappingValue self) => View(state, "dict_items", ToPairs(self));

    /// <summary>The items as pairs, in order.</summary>
    public static List<TemplateValue> ToPairs(MappingValue self)
    {
        var pairs = new List<TemplateValue>(self.Items.Count);
        foreach (var (key, value) in self.Items)
        {
            pairs.Add(SequenceValue.Tuple(key, value));
        }

        return pairs;
    }

    public static void Merge(RenderState state, MappingValue target, TemplateValue source)
    {
        if (source is MappingValue mapping)
        {
            foreach (var (key, value) in mapping.Items.ToArray())
            {
                target.Items[key] = value;
            }

            return;
        }

        foreach (var pair in Members.Iterate(state, source))
        {
            var items = Members.Iterate(state, pair);
            if (items.Count != 2 || !MappingValue.IsKey(items[0])) throw state.Fail("a mapping is made of pairs of key and value");
            target.Items[items[0]] = items[1];
        }
    }

    private static SequenceValue View(RenderState state, string label, List<TemplateValue> items)
    {
        state.Charge(items.Count);
        return new SequenceValue(SequenceKind.View, items, label: label);
    }

    private static TemplateValue Get(RenderState state, MappingValue self, CallArguments arguments)
    {
        var a = arguments.Bind(state, "get", "key", "default");
        return self.Find(a.Require(0)) ?? a[1] ?? NoneValue.Instance;
    }

    private static TemplateValue Pop(RenderState state, MappingValue self, CallArguments arguments)
    {
        var a = arguments.Bind(state, "pop", "key", "default");
        var key = a.Require(0);
        var value = self.Find(key);
        if (value is not null) Changeable(state, self).Remove(key);
        return value ?? a[1] ?? throw state.Fail("'pop' finds no such key");
    }

    private static TemplateValue SetDefault(RenderState state, MappingValue self, CallArguments arguments)
    {
        var a = arguments.Bind(state, "setdefault", "key", "default");
        var key = a.Require(0);
        if (self.Find(key) is { } found) return found;
        if (!MappingValue.IsKey(key)) throw state.Fail($"'{key.TypeName}' cannot be a key");
        var value = a[1] ?? NoneValue.Instance;
        Changeable(state, self)[key] = value;
        state.CheckItemCount(self.Items.Count);
        return value;
    }

    private static NoneValue Update(RenderState state, MappingValue self, CallArguments arguments)
    {
        Changeable(state, self);
        foreach (var source in arguments.Positional)
        {
            Merge(state, self, source);
        }

        foreach (var (name, value) in arguments.Named)
        {
            self.Items[name] = value;
        }

        state.CheckItemCount(self.Items.Count);
        return NoneValue.Instance;
    }

    private static NoneValue Clear(RenderState state, MappingValue self, CallArguments arguments)
    {
        Changeable(state, self).Clear();
        return NoneValue.Instance;
    }

    private static MappingValue Copy(RenderState state, MappingValue self, CallArguments arguments)
    {
        var copy = new MappingValue();
        state.Charge(self.Items.Count);
        Merge(state, copy, self);
        return copy;
    }

    private static OrderedDictionary<TemplateValue, TemplateValue> Changeable(RenderState state, MappingValue self) =>
        self.IsFrozen ? throw state.Fail("a mapping that the template did not make cannot be changed") : self.Items;
}
