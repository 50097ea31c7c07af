using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>
/// Python's <c>str.format</c>: fields by order, number or name, with !s and !r, and the specification
/// [[fill]align][0][width][.precision][s d f x X o b].
/// </summary>
internal static class BraceFormat
{
    public static TemplateValue Apply(RenderState state, TextValue format, CallArguments arguments)
    {
        var output = new MarkedTextBuilder(state);
        int next = 0;
        int position = 0;
        while (position < format.Length)
        {
            int brace = format.Text.AsSpan(position).IndexOfAny('{', '}');
            if (brace < 0) break;
            output.Append(format, position, brace);
            position += brace;
            bool isDoubled = position + 1 < format.Length && format.Text[position + 1] == format.Text[position];
            if (isDoubled)
            {
                output.Append(format, position, 1);
                position += 2;
                continue;
            }

            int end = format.Text.IndexOf('}', position);
            if (format.Text[position] == '}' || end < 0) throw state.Fail("a format has a single brace");
            output.Append(FormatField(state, format.Text[(position + 1)..end], arguments, ref next));
            position = end + 1;
        }

        output.Append(format, position, format.Length - position);
        return format.MarkAlike(output.ToValue());
    }

    private static TextValue FormatField(RenderState state, string field, CallArguments arguments, ref int next)
    {
        string specification = string.Empty;
        int colon = field.IndexOf(':', StringComparison.Ordinal);
        if (colon >= 0) (field, specification) = (field[..colon], field[(colon + 1)..]);
        bool isRepr = field.EndsWith("!r", StringComparison.Ordinal);
        if (isRepr || field.EndsWith("!s", StringComparison.Ordinal)) field = field[..^2];

        var value = FindValue(state, field, arguments, ref next);
        if (isRepr)
        {
            var output = new MarkedTextBuilder(state);
            PythonText.WriteRepr(state, output, value);
            value = output.ToValue();
        }

        return specification.Length == 0 ? PythonText.Str(state, value) : FormatValue(state, value, specification);
    }

    private static TemplateValue FindValue(RenderState state, string field, CallArguments arguments, ref int next)
    {
        int index = -1;
        if (field.Length == 0) index = next++;
        else if (int.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out int number)) index = number;
        if (index >= 0)
        {
            return index < arguments.Positional.Count
                ? arguments.Positional[index]
                : throw state.Fail("a format has more fields than values");
        }

        foreach (var (name, value) in arguments.Named)
        {
            if (name.Text == field) return value;
        }

        throw state.Fail($"the format's values have no '{field}'");
    }

    private static TextValue FormatValue(RenderState state, TemplateValue value, string specification)
    {
        int position = 0;
        char fill = ' ';
        char alignment = Numbers.IsNumber(value) ? '>' : '<';
        if (specification.Length > 1 && specification[1] is '<' or '>' or '^')
        {
            (fill, alignment, position) = (specification[0], specification[1], 2);
        }
        else if (specification[0] is '<' or '>' or '^')
        {
            (alignment, position) = (specification[0], 1);
        }

        if (position < specification.Length && specification[position] == '0') fill = '0';
        int width = ReadNumber(state, specification, ref position) ?? 0;
        int? precision = null;
        if (position < specification.Length && specification[position] == '.')
        {
            position++;
            precision = ReadNumber(state, specification, ref position) ?? throw Broken(state, specification);
        }

        char form = position < specification.Length ? specification[position++] : '\0';
        if (position < specification.Length) throw Broken(state, specification);
        return TextEditing.Pad(state, Convert(state, value, form, precision, specification), width, fill, alignment);
    }

    private static TextValue Convert(RenderState state, TemplateValue value, char form, int? precision, string specification)
    {
        switch (form)
        {
            case 'd' or 'x' or 'X' or 'o' or 'b' when precision is null && value is not FloatValue:
                return new TextValue(NumberText.Integer(state, value, form));
            case 'f' or 'F':
                return new TextValue(NumberText.Fixed(state, value, precision ?? 6));
            case 's' or '\0' when value is TextValue && precision is { } length:
                return (TextValue)Members.GetSlice(state, value, NoneValue.Instance, new IntegerValue(length), NoneValue.Instance);
            case '\0' when precision is null:
                return PythonText.Str(state, value);
            case 's' when value is TextValue text:
                return text;
            default:
                throw Broken(state, specification);
        }
    }

    private static int? ReadNumber(RenderState state, string specification, ref int position)
    {
        int start = position;
        while (position < specification.Length && char.IsAsciiDigit(specification[position])) position++;
        if (position == start) return null;
        return int.TryParse(specification.AsSpan(start, position - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw Broken(state, specification);
    }

    private static ChatTemplateException Broken(RenderState state, string specification) =>
        state.Fail($"the format specification '{specification}' is not supported");
}
