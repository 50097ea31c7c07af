using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Python's ways to take strings apart; the parts keep their marks.</summary>
internal static class TextSplitting
{
    /// <param name="state">The rendering.</param>
    /// <param name="text">What is split.</param>
    /// <param name="separator">Null to split at runs of whitespace.</param>
    /// <param name="most">Most splits; negative for all.</param>
    public static SequenceValue Split(RenderState state, TextValue text, TextValue? separator, long most)
    {
        if (separator is null) return SplitAtSpace(state, text, most);
        RequireNotEmpty(state, separator);
        var parts = new List<TemplateValue>();
        int start = 0;
        while (most < 0 || parts.Count < most)
        {
            int found = text.Text.IndexOf(separator.Text, start, StringComparison.Ordinal);
            if (found < 0) break;
            Add(state, parts, text.Slice(start, found - start));
            start = found + separator.Length;
        }

        Add(state, parts, text.Slice(start));
        return SequenceValue.List(parts);
    }

    public static SequenceValue SplitFromEnd(RenderState state, TextValue text, TextValue? separator, long most)
    {
        if (separator is null) return SplitAtSpaceFromEnd(state, text, most);
        RequireNotEmpty(state, separator);
        var parts = new List<TemplateValue>();
        int end = text.Length;
        while (most < 0 || parts.Count < most)
        {
            int found = text.Text.AsSpan(0, end).LastIndexOf(separator.Text);
            if (found < 0) break;
            Add(state, parts, text.Slice(found + separator.Length, end - found - separator.Length));
            end = found;
        }

        Add(state, parts, text.Slice(0, end));
        parts.Reverse();
        return SequenceValue.List(parts);
    }

    public static SequenceValue SplitLines(RenderState state, TextValue text, bool keepEnds)
    {
        var lines = new List<TemplateValue>();
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (!PythonCharacters.IsLineEnd(text.Text[i])) continue;
            int width = text.Text[i] == '\r' && i + 1 < text.Length && text.Text[i + 1] == '\n' ? 2 : 1;
            Add(state, lines, text.Slice(start, i - start + (keepEnds ? width : 0)));
            start = i + width;
            i = start - 1;
        }

        if (start < text.Length) Add(state, lines, text.Slice(start));
        return SequenceValue.List(lines);
    }

    /// <summary>
    /// What is before the separator, the separator, and what is after; the whole text and nothing twice when it is absent.
    /// </summary>
    public static SequenceValue Partition(RenderState state, TextValue text, TextValue separator, bool fromEnd)
    {
        RequireNotEmpty(state, separator);
        int found = fromEnd
            ? text.Text.LastIndexOf(separator.Text, StringComparison.Ordinal)
            : text.Text.IndexOf(separator.Text, StringComparison.Ordinal);
        if (found < 0)
        {
            return fromEnd
                ? SequenceValue.Tuple(TextValue.Empty, TextValue.Empty, text)
                : SequenceValue.Tuple(text, TextValue.Empty, TextValue.Empty);
        }

        return SequenceValue.Tuple(text.Slice(0, found), text.Slice(found, separator.Length), text.Slice(found + separator.Length));
    }

    private static SequenceValue SplitAtSpace(RenderState state, TextValue text, long most)
    {
        var parts = new List<TemplateValue>();
        int start = PythonCharacters.SkipSpace(text.Text, 0);
        while (start < text.Length)
        {
            if (most >= 0 && parts.Count == most)
            {
                Add(state, parts, text.Slice(start));
                break;
            }

            int end = start;
            while (end < text.Length && !PythonCharacters.IsSpace(text.Text[end])) end++;
            Add(state, parts, text.Slice(start, end - start));
            start = PythonCharacters.SkipSpace(text.Text, end);
        }

        return SequenceValue.List(parts);
    }

    private static SequenceValue SplitAtSpaceFromEnd(RenderState state, TextValue text, long most)
    {
        var parts = new List<TemplateValue>();
        int end = PythonCharacters.TrimmedEnd(text.Text);
        while (end > 0)
        {
            if (most >= 0 && parts.Count == most)
            {
                Add(state, parts, text.Slice(0, end));
                break;
            }

            int start = end;
            while (start > 0 && !PythonCharacters.IsSpace(text.Text[start - 1])) start--;
            Add(state, parts, text.Slice(start, end - start));
            end = PythonCharacters.TrimmedEnd(text.Text.AsSpan(0, start));
        }

        parts.Reverse();
        return SequenceValue.List(parts);
    }

    private static void Add(RenderState state, List<TemplateValue> parts, TextValue part)
    {
        state.CheckItemCount(parts.Count + 1);
        state.Charge(1);
        parts.Add(part);
    }

    private static void RequireNotEmpty(RenderState state, TextValue separator)
    {
        if (separator.Length == 0) throw state.Fail("the separator is empty");
    }
}
