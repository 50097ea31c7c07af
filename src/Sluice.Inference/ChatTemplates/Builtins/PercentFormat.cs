using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Python's <c>format % values</c>: %s %r %d %i %u %f %x %X %o %c %%, with flags, width, precision and names.</summary>
internal sealed class PercentFormat
{
    private readonly RenderState _state;
    private readonly TextValue _format;
    private readonly TemplateValue _values;
    private readonly List<TemplateValue> _positional;
    private int _next;
    private int _position;

    private PercentFormat(RenderState state, TextValue format, TemplateValue values)
    {
        _state = state;
        _format = format;
        _values = values;
        _positional = values is SequenceValue { Kind: SequenceKind.Tuple } tuple ? tuple.Items : [values];
    }

    public static TextValue Apply(RenderState state, TextValue format, TemplateValue values)
    {
        state.ChargeValue(format);
        return new PercentFormat(state, format, values).Run();
    }

    private TextValue Run()
    {
        var output = new MarkedTextBuilder(_state);
        bool isNamed = false;
        while (true)
        {
            int mark = _format.Text.IndexOf('%', _position);
            if (mark < 0) break;
            output.Append(_format, _position, mark - _position);
            _position = mark + 1;
            isNamed |= Peek() == '(';
            AppendConversion(output, mark);
        }

        output.Append(_format, _position, _format.Length - _position);
        if (_next < _positional.Count && !isNamed && _values is not MappingValue)
        {
            throw _state.Fail("not all values are used by the format");
        }

        return _format.MarkAlike(output.ToValue());
    }

    private char Peek() => _position < _format.Length ? _format.Text[_position] : throw _state.Fail("a format ends within a conversion");

    private void AppendConversion(MarkedTextBuilder output, int mark)
    {
        var named = ReadName();
        string flags = ReadWhile("-+ #0");
        int width = ReadNumber();
        int precision = -1;
        if (Peek() == '.')
        {
            _position++;
            precision = ReadNumber();
        }

        char conversion = Peek();
        _position++;
        if (conversion == '%')
        {
            output.Append(_format, mark, 1);
            return;
        }

        var text = Convert(conversion, named ?? TakeValue(), flags, precision);
        bool isPaddedWithZeros = flags.Contains('0', StringComparison.Ordinal) && !flags.Contains('-', StringComparison.Ordinal)
            && conversion is not ('s' or 'r' or 'c');
        if (isPaddedWithZeros) text = PadWithZeros(text, width);
        output.Append(TextEditing.Pad(_state, text, width, ' ', flags.Contains('-', StringComparison.Ordinal) ? '<' : '>'));
    }

    private TemplateValue? ReadName()
    {
        if (Peek() != '(') return null;
        int end = _format.Text.IndexOf(')', _position);
        if (end < 0 || _values is not MappingValue mapping) throw _state.Fail("a named conversion needs a mapping");
        var name = _format.Slice(_position + 1, end - _position - 1);
        _position = end + 1;
        return mapping.Find(name) ?? throw _state.Fail($"the format's values have no '{name.Text}'");
    }

    private string ReadWhile(string allowed)
    {
        int start = _position;
        while (allowed.Contains(Peek(), StringComparison.Ordinal)) _position++;
        return _format.Text[start.._position];
    }

    private int ReadNumber()
    {
        string digits = ReadWhile("0123456789");
        if (digits.Length == 0) return 0;
        bool isInteger = int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int number);
        return isInteger && number <= ChatTemplateLimits.TextLengthMax ? number : throw _state.Fail("a width is too large");
    }

    private TemplateValue TakeValue() =>
        _next < _positional.Count ? _positional[_next++] : throw _state.Fail("the format has more conversions than values");

    private TextValue Convert(char conversion, TemplateValue value, string flags, int precision)
    {
        switch (conversion)
        {
            case 's':
                return Cut(PythonText.Str(_state, value), precision);
            case 'r' or 'a':
                var output = new MarkedTextBuilder(_state);
                PythonText.WriteRepr(_state, output, value);
                return Cut(output.ToValue(), precision);
            case 'd' or 'i' or 'u':
                return WithSign(NumberText.Integer(_state, value, 'd'), flags);
            case 'x' or 'X' or 'o':
                return WithSign(NumberText.Integer(_state, value, conversion), flags);
            case 'f' or 'F':
                return WithSign(NumberText.Fixed(_state, value, precision < 0 ? 6 : precision), flags);
            case 'c' when value is TextValue text:
                return text;
            default:
                throw _state.Fail($"the conversion '%{conversion}' is not supported");
        }
    }

    private TextValue Cut(TextValue text, int precision) =>
        precision < 0
            ? text
            : (TextValue)Members.GetSlice(_state, text, NoneValue.Instance, new IntegerValue(precision), NoneValue.Instance);

    private static TextValue WithSign(string number, string flags)
    {
        if (number.StartsWith('-')) return new TextValue(number);
        if (flags.Contains('+', StringComparison.Ordinal)) return new TextValue("+" + number);
        return new TextValue(flags.Contains(' ', StringComparison.Ordinal) ? " " + number : number);
    }

    private TextValue PadWithZeros(TextValue number, int width)
    {
        if (number.Text[0] is not ('-' or '+' or ' ')) return TextEditing.Pad(_state, number, width, '0', '>');
        return Arithmetic.Concatenate(_state, number.Slice(0, 1), TextEditing.Pad(_state, number.Slice(1), width - 1, '0', '>'));
    }
}
