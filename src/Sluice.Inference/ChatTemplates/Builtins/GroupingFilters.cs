using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Filters that cut a collection into parts.</summary>
internal static class GroupingFilters
{
    public static TemplateValue Batch(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "batch", "linecount", "fill_with");
        long size = a.RequireInteger(0);
        if (size < 1) throw state.Fail("'batch' needs at least one item a line");
        var lines = new List<TemplateValue>();
        var line = new List<TemplateValue>();
        foreach (var item in Members.Iterate(state, input))
        {
            if (line.Count == size)
            {
                lines.Add(SequenceValue.List(line));
                line = [];
            }

            line.Add(item);
        }

        if (line.Count == 0) return SequenceValue.Generator(lines);
        Fill(state, line, size, a[1]);
        lines.Add(SequenceValue.List(line));
        return SequenceValue.Generator(lines);
    }

    public static TemplateValue Slice(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "slice", "slices", "fill_with");
        long count = a.RequireInteger(0);
        if (count < 1) throw state.Fail("'slice' needs at least one slice");
        state.CheckItemCount(count);
        state.Charge(count);
        var items = Members.Iterate(state, input);
        long size = items.Count / count;
        long larger = items.Count % count;
        var slices = new List<TemplateValue>();
        int start = 0;
        for (long i = 0; i < count; i++)
        {
            int length = (int)(size + (i < larger ? 1 : 0));
            var slice = items.Skip(start).Take(length).ToList();
            if (i >= larger && a[1] is { } fill and not NoneValue) slice.Add(fill);
            slices.Add(SequenceValue.List(slice));
            start += length;
        }

        return SequenceValue.Generator(slices);
    }

    public static TemplateValue GroupBy(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "groupby", "attribute", "default", "case_sensitive");
        var path = AttributePath.Parse(a.Require(0));
        var sorted = Sorting.Sort(state, [.. Members.Iterate(state, input)], Key, isReversed: false);
        var groups = new List<TemplateValue>();
        List<TemplateValue>? group = null;
        TemplateValue? groupKey = null;
        foreach (var item in sorted)
        {
            var key = Key(item);
            if (group is null || !Comparison.AreEqual(state, key, groupKey!))
            {
                group = [];
                groupKey = key;
                groups.Add(SequenceValue.Tuple(path.Get(state, item, a[1]), SequenceValue.List(group)));
            }

            group.Add(item);
        }

        return SequenceValue.List(groups);

        TemplateValue Key(TemplateValue item) => SequenceFilters.FoldCase(path.Get(state, item, a[1]), a.IsTrue(2));
    }

    private static void Fill(RenderState state, List<TemplateValue> line, long size, TemplateValue? fill)
    {
        if (fill is null or NoneValue || line.Count >= size) return;
        state.CheckItemCount(size);
        state.Charge(size);
        while (line.Count < size)
        {
            line.Add(fill);
        }
    }
}
