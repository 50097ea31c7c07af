using System.Collections.Frozen;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>The methods of lists and tuples. Only a list that the template made can be changed.</summary>
internal static class SequenceMethods
{
    private static readonly FrozenDictionary<string, Method<SequenceValue>> ReadingTable = new Dictionary<string, Method<SequenceValue>>
    {
        ["index"] = Index,
        ["count"] = Count,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, Method<SequenceValue>> ListTable = new Dictionary<string, Method<SequenceValue>>
    {
        ["append"] = Append,
        ["extend"] = Extend,
        ["insert"] = Insert,
        ["pop"] = Pop,
        ["remove"] = Remove,
        ["reverse"] = Reverse,
        ["sort"] = Sort,
        ["clear"] = Clear,
        ["copy"] = (state, self, a) => SequenceValue.List([.. self.Items]),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static CallableValue? Find(SequenceValue self, string name)
    {
        if (!self.HasIndex) return null;
        if (ReadingTable.TryGetValue(name, out var method)) return new MethodValue<SequenceValue>(self, method);
        bool isFound = self.Kind == SequenceKind.List && ListTable.TryGetValue(name, out method);
        return isFound ? new MethodValue<SequenceValue>(self, method!) : null;
    }

    private static IntegerValue Index(RenderState state, SequenceValue self, CallArguments arguments)
    {
        var wanted = arguments.Bind(state, "index", "value").Require(0);
        int found = self.Items.FindIndex(item => Comparison.AreEqual(state, item, wanted));
        return found >= 0 ? new IntegerValue(found) : throw state.Fail("the value is not in the list");
    }

    private static IntegerValue Count(RenderState state, SequenceValue self, CallArguments arguments)
    {
        var wanted = arguments.Bind(state, "count", "value").Require(0);
        return new IntegerValue(self.Items.Count(item => Comparison.AreEqual(state, item, wanted)));
    }

    private static NoneValue Append(RenderState state, SequenceValue self, CallArguments arguments)
    {
        Changeable(state, self).Add(arguments.Bind(state, "append", "object").Require(0));
        state.CheckItemCount(self.Items.Count);
        return NoneValue.Instance;
    }

    private static NoneValue Extend(RenderState state, SequenceValue self, CallArguments arguments)
    {
        var more = Members.Iterate(state, arguments.Bind(state, "extend", "iterable").Require(0));
        state.CheckItemCount(self.Items.Count + more.Count);
        Changeable(state, self).AddRange(more);
        return NoneValue.Instance;
    }

    private static NoneValue Insert(RenderState state, SequenceValue self, CallArguments arguments)
    {
        var a = arguments.Bind(state, "insert", "index", "object");
        long index = a.RequireInteger(0);
        if (index < 0) index += self.Items.Count;
        Changeable(state, self).Insert((int)Math.Clamp(index, 0, self.Items.Count), a.Require(1));
        state.CheckItemCount(self.Items.Count);
        return NoneValue.Instance;
    }

    private static TemplateValue Pop(RenderState state, SequenceValue self, CallArguments arguments)
    {
        long index = arguments.Bind(state, "pop", "index").Integer(0, -1);
        if (index < 0) index += self.Items.Count;
        if (index < 0 || index >= self.Items.Count) throw state.Fail("'pop' finds no item there");
        var items = Changeable(state, self);
        var item = items[(int)index];
        items.RemoveAt((int)index);
        return item;
    }

    private static NoneValue Remove(RenderState state, SequenceValue self, CallArguments arguments)
    {
        long index = Index(state, self, arguments).Value;
        Changeable(state, self).RemoveAt((int)index);
        return NoneValue.Instance;
    }

    private static NoneValue Reverse(RenderState state, SequenceValue self, CallArguments arguments)
    {
        Changeable(state, self).Reverse();
        return NoneValue.Instance;
    }

    private static NoneValue Sort(RenderState state, SequenceValue self, CallArguments arguments)
    {
        bool isReversed = arguments.Bind(state, "sort", "reverse").IsTrue(0);
        var sorted = Sorting.Sort(state, self.Items, item => item, isReversed);
        var items = Changeable(state, self);
        items.Clear();
        items.AddRange(sorted);
        return NoneValue.Instance;
    }

    private static NoneValue Clear(RenderState state, SequenceValue self, CallArguments arguments)
    {
        Changeable(state, self).Clear();
        return NoneValue.Instance;
    }

    private static List<TemplateValue> Changeable(RenderState state, SequenceValue self) =>
        self.IsFrozen ? throw state.Fail("a list that the template did not make cannot be changed") : self.Items;
}
