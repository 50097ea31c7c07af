using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Replacing, joining and padding of strings; every character keeps its mark.</summary>
internal static class TextEditing
{
    /// <param name="state">The rendering.</param>
    /// <param name="text">What is searched.</param>
    /// <param name="old">What is replaced; empty matches before every code point and at the end.</param>
    /// <param name="replacement">What stands there instead.</param>
    /// <param name="most">Most replacements; negative for all.</param>
    public static TextValue Replace(RenderState state, TextValue text, TextValue old, TextValue replacement, long most)
    {
        if (old.Length == 0) return ReplaceBetween(state, text, replacement, most);
        var output = new MarkedTextBuilder(state);
        int start = 0;
        for (long count = 0; most < 0 || count < most; count++)
        {
            int found = text.Text.IndexOf(old.Text, start, StringComparison.Ordinal);
            if (found < 0) break;
            state.Charge(1);
            output.Append(text, start, found - start);
            output.Append(replacement);
            start = found + old.Length;
        }

        if (start == 0) return text;
        output.Append(text, start, text.Length - start);
        return output.ToValue();
    }

    public static TextValue Join(RenderState state, TextValue separator, IReadOnlyList<TextValue> parts)
    {
        var output = new MarkedTextBuilder(state);
        for (int i = 0; i < parts.Count; i++)
        {
            if (i > 0) output.Append(separator);
            output.Append(parts[i]);
        }

        return output.ToValue();
    }

    /// <summary>Pads to a width in code points.</summary>
    /// <param name="state">The rendering.</param>
    /// <param name="text">What is padded.</param>
    /// <param name="width">The least width of the result.</param>
    /// <param name="fill">The padding.</param>
    /// <param name="alignment">'&lt;' pads the end, '&gt;' the start, '^' both.</param>
    public static TextValue Pad(RenderState state, TextValue text, long width, char fill, char alignment)
    {
        long missing = width - CodePoints.CountOf(text.Text);
        if (missing <= 0) return text;
        long before = alignment switch
        {
            '<' => 0,
            '>' => missing,
            _ => (missing / 2) + (missing & width & 1),
        };
        var output = new MarkedTextBuilder(state);
        output.AppendRepeated(fill, before);
        output.Append(text);
        output.AppendRepeated(fill, missing - before);
        return output.ToValue();
    }

    private static TextValue ReplaceBetween(RenderState state, TextValue text, TextValue replacement, long most)
    {
        var output = new MarkedTextBuilder(state);
        var points = new CodePoints(text.Text);
        state.Charge(points.Count);
        for (int i = 0; i <= points.Count; i++)
        {
            if (most < 0 || i < most) output.Append(replacement);
            if (i < points.Count) output.Append(points.Get(text, i));
        }

        return output.ToValue();
    }
}
