using Sluice.Inference.Tokenization;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>
/// A string that knows which of its UTF-16 units came from the user.
/// Invariant: <see cref="InputSpans"/> are sorted, inside the text, not empty, neither overlapping nor touching.
/// </summary>
internal sealed class TextValue : TemplateValue
{
    public static readonly TextValue Empty = new(string.Empty);

    public TextValue(string text)
        : this(text, [])
    {
    }

    public TextValue(string text, TextSpan[] inputSpans)
    {
        Text = text;
        InputSpans = inputSpans;
    }

    public string Text { get; }

    public TextSpan[] InputSpans { get; }

    public int Length => Text.Length;

    internal override string TypeName => "str";

    internal override bool IsTrue => Text.Length > 0;

    public static TextValue OfInput(string text) => new(text, text.Length == 0 ? [] : [new TextSpan(0, text.Length)]);

    /// <summary>The same marks over another text of the same length.</summary>
    public TextValue WithText(string text) => new(text, InputSpans);

    /// <summary>
    /// <paramref name="result"/>, marked whole when any of this text came from the user: for results that this text steers
    /// without being copied character by character.
    /// </summary>
    public TextValue MarkAlike(TextValue result) => InputSpans.Length == 0 ? result : OfInput(result.Text);

    /// <summary>The part [start, start + length), with its marks.</summary>
    public TextValue Slice(int start, int length)
    {
        if (length == 0) return Empty;
        if (length == Text.Length) return this;
        return new TextValue(Text.Substring(start, length), SliceSpans(start, length));
    }

    public TextValue Slice(int start) => Slice(start, Text.Length - start);

    /// <summary>Index of the first input span that ends after <paramref name="position"/>.</summary>
    public int FindSpan(int position)
    {
        int low = 0;
        int high = InputSpans.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (InputSpans[middle].End <= position) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    public bool IsInputAt(int position)
    {
        int index = FindSpan(position);
        return index < InputSpans.Length && InputSpans[index].Start <= position;
    }

    private TextSpan[] SliceSpans(int start, int length)
    {
        int first = FindSpan(start);
        int end = start + length;
        if (first == InputSpans.Length || InputSpans[first].Start >= end) return [];

        var spans = new List<TextSpan>();
        for (int i = first; i < InputSpans.Length && InputSpans[i].Start < end; i++)
        {
            int from = Math.Max(InputSpans[i].Start, start);
            int to = Math.Min(InputSpans[i].End, end);
            spans.Add(new TextSpan(from - start, to - from));
        }

        return [.. spans];
    }
}
