using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>The indexes that a slice takes: Start, Start + Step, … Count of them, all inside the sliced value.</summary>
internal readonly record struct SliceBounds(int Start, long Step, int Count)
{
    /// <summary>Python's rules: negative bounds count from the end, bounds outside are moved inside, none is the far end.</summary>
    public static SliceBounds Of(RenderState state, int length, TemplateValue start, TemplateValue stop, TemplateValue step)
    {
        long stride = Read(state, step) ?? 1;
        if (stride == 0) throw state.Fail("a slice's step is zero");
        bool isForward = stride > 0;
        long low = isForward ? 0 : -1;
        long high = isForward ? length : length - 1;
        long from = Place(Read(state, start), isForward ? low : high, length, low, high);
        long to = Place(Read(state, stop), isForward ? high : low, length, low, high);

        long distance = isForward ? to - from : from - to;
        long size = stride == long.MinValue ? long.MaxValue : Math.Abs(stride);
        long count = distance <= 0 ? 0 : ((distance - 1) / size) + 1;
        return new SliceBounds((int)Math.Max(from, 0), stride, (int)count);
    }

    public IEnumerable<int> Indexes()
    {
        for (int i = 0; i < Count; i++)
        {
            yield return (int)(Start + (i * Step));
        }
    }

    private static long Place(long? bound, long absent, int length, long low, long high)
    {
        if (bound is not { } value) return absent;
        if (value < 0) value += length;
        return Math.Clamp(value, low, high);
    }

    private static long? Read(RenderState state, TemplateValue value)
    {
        if (value is NoneValue) return null;
        if (value is UndefinedValue undefined) throw state.Fail(undefined.Reason);
        return Numbers.TryGetInteger(value, out long integer) ? integer : throw state.Fail("a slice needs integers");
    }
}
