using System.Text;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Builds a <see cref="TextValue"/> piece by piece, keeping marks and charging the rendering for what it copies.</summary>
internal sealed class MarkedTextBuilder(RenderState state)
{
    private readonly StringBuilder _text = new();
    private readonly List<TextSpan> _spans = [];

    public int Length => _text.Length;

    public void Append(string trusted)
    {
        Charge(trusted.Length);
        _text.Append(trusted);
    }

    public void Append(char trusted) => Append(trusted, isInput: false);

    public void Append(char character, bool isInput)
    {
        Charge(1);
        if (isInput) Mark(_text.Length, 1);
        _text.Append(character);
    }

    public void Append(string text, bool isInput)
    {
        Charge(text.Length);
        if (isInput) Mark(_text.Length, text.Length);
        _text.Append(text);
    }

    public void AppendRepeated(char trusted, long count)
    {
        if (count <= 0) return;
        Charge(count);
        _text.Append(trusted, (int)count);
    }

    public void Append(TextValue value) => Append(value, 0, value.Length);

    public void Append(TextValue value, int start, int length)
    {
        if (length <= 0) return;
        Charge(length);
        int end = start + length;
        for (int i = value.FindSpan(start); i < value.InputSpans.Length && value.InputSpans[i].Start < end; i++)
        {
            var span = value.InputSpans[i];
            int from = Math.Max(span.Start, start);
            int to = Math.Min(span.End, end);
            Mark(_text.Length + from - start, to - from);
        }

        _text.Append(value.Text, start, length);
    }

    public TextValue ToValue() => _text.Length == 0 ? TextValue.Empty : new TextValue(_text.ToString(), [.. _spans]);

    private void Mark(int start, int length)
    {
        if (length == 0) return;
        if (_spans.Count > 0 && _spans[^1].End == start)
        {
            _spans[^1] = new TextSpan(_spans[^1].Start, _spans[^1].Length + length);
        }
        else
        {
            _spans.Add(new TextSpan(start, length));
        }
    }

    private void Charge(long length)
    {
        if (_text.Length + length > ChatTemplateLimits.TextLengthMax)
        {
            throw state.Fail($"a string is longer than {ChatTemplateLimits.TextLengthMax} characters");
        }

        state.ChargeCharacters(length);
    }
}
