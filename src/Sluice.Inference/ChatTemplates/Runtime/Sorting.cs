namespace Sluice.Inference.ChatTemplates.Runtime;

/// <summary>Python's <c>sorted</c>: stable, also when reversed.</summary>
internal static class Sorting
{
    public static List<T> Sort<T>(RenderState state, List<T> items, Func<T, TemplateValue> key, bool isReversed)
    {
        var keys = items.ConvertAll(item => key(item));
        var order = Enumerable.Range(0, items.Count).ToArray();
        MergeSort(order, (a, b) =>
        {
            int comparison = Comparison.Order(state, keys[a], keys[b]) ?? 0;
            return isReversed ? -comparison : comparison;
        });
        return [.. order.Select(index => items[index])];
    }

    /// <summary>Bottom-up merge sort. The library's sorts want a consistent order, which values such as NaN do not give.</summary>
    private static void MergeSort(int[] order, Func<int, int, int> compare)
    {
        var from = order;
        var to = new int[order.Length];
        for (int width = 1; width < order.Length; width *= 2)
        {
            for (int start = 0; start < order.Length; start += 2 * width)
            {
                Merge(from, to, start, Math.Min(start + width, order.Length), Math.Min(start + (2 * width), order.Length), compare);
            }

            (from, to) = (to, from);
        }

        if (!ReferenceEquals(from, order)) from.CopyTo(order, 0);
    }

    private static void Merge(int[] from, int[] to, int start, int middle, int end, Func<int, int, int> compare)
    {
        int left = start;
        int right = middle;
        for (int i = start; i < end; i++)
        {
            bool takeLeft = left < middle && (right >= end || compare(from[left], from[right]) <= 0);
            to[i] = takeLeft ? from[left++] : from[right++];
        }
    }
}
