using System.Globalization;
using System.Text;
using Sluice.Inference.ChatTemplates.Runtime;
using Sluice.Inference.ChatTemplates.Values;

namespace Sluice.Inference.ChatTemplates.Builtins;

/// <summary>Filters that make a string; any other input is printed first.</summary>
internal static class TextFilters
{
    /// <summary>The default of transformers' environment for <c>truncate</c>.</summary>
    private const int TruncationLeeway = 5;

    public static TemplateValue ToText(RenderState state, TemplateValue input, CallArguments arguments)
    {
        arguments.Bind(state, "string");
        return PythonText.Str(state, input);
    }

    public static TemplateValue Trim(RenderState state, TemplateValue input, CallArguments arguments) =>
        TextTrimming.Strip(PythonText.Str(state, input), arguments.Bind(state, "trim", "chars").Text(0));

    public static TemplateValue Upper(RenderState state, TemplateValue input, CallArguments arguments) =>
        TextCase.Upper(PythonText.Str(state, input));

    public static TemplateValue Lower(RenderState state, TemplateValue input, CallArguments arguments) =>
        TextCase.Lower(PythonText.Str(state, input));

    public static TemplateValue Capitalize(RenderState state, TemplateValue input, CallArguments arguments) =>
        TextCase.Capitalize(PythonText.Str(state, input));

    public static TemplateValue Title(RenderState state, TemplateValue input, CallArguments arguments) =>
        TextCase.TitleWords(PythonText.Str(state, input));

    public static TemplateValue Replace(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "replace", "old", "new", "count");
        var old = PythonText.Str(state, a.Require(0));
        var replacement = PythonText.Str(state, a.Require(1));
        long most = a[2] is NoneValue ? -1 : a.Integer(2, -1);
        return TextEditing.Replace(state, PythonText.Str(state, input), old, replacement, most);
    }

    public static TemplateValue Indent(RenderState state, TemplateValue input, CallArguments arguments)
    {
        if (input is UndefinedValue undefined) throw state.Fail(undefined.Reason);
        if (input is not TextValue text) throw state.Fail($"'indent' needs a string, not '{input.TypeName}'");
        var a = arguments.Bind(state, "indent", "width", "first", "blank");
        var indentation = a[0] as TextValue ?? Blanks(state, a.Integer(0, 4));
        var lines = TextSplitting.SplitLines(state, Arithmetic.Concatenate(state, text, new TextValue("\n")), keepEnds: false).Items;

        var output = new MarkedTextBuilder(state);
        for (int i = 0; i < lines.Count; i++)
        {
            var line = (TextValue)lines[i];
            if (i > 0) output.Append('\n');
            bool isIndented = i == 0 ? a.IsTrue(1) : a.IsTrue(2) || line.Length > 0;
            if (isIndented) output.Append(indentation);
            output.Append(line);
        }

        return output.ToValue();
    }

    public static TemplateValue Center(RenderState state, TemplateValue input, CallArguments arguments) =>
        TextEditing.Pad(state, PythonText.Str(state, input), arguments.Bind(state, "center", "width").Integer(0, 80), ' ', '^');

    public static TemplateValue Truncate(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var a = arguments.Bind(state, "truncate", "length", "killwords", "end", "leeway");
        if (input is not TextValue text) throw state.Fail($"'truncate' needs a string, not '{input.TypeName}'");
        long length = a.Integer(0, 255);
        var end = a.Text(2) ?? new TextValue("...");
        long leeway = a[3] is NoneValue ? TruncationLeeway : a.Integer(3, TruncationLeeway);
        int endLength = CodePoints.CountOf(end.Text);
        if (length < endLength || leeway < 0) throw state.Fail("'truncate' is shorter than its ending");
        if (CodePoints.CountOf(text.Text) - leeway <= length) return text;

        var kept = (TextValue)Members.GetSlice(state, text, NoneValue.Instance, new IntegerValue(length - endLength), NoneValue.Instance);
        int blank = kept.Text.LastIndexOf(' ');
        if (!a.IsTrue(1) && blank >= 0) kept = kept.Slice(0, blank);
        return Arithmetic.Concatenate(state, kept, end);
    }

    public static TemplateValue Format(RenderState state, TemplateValue input, CallArguments arguments)
    {
        TemplateValue values = SequenceValue.Tuple([.. arguments.Positional]);
        if (arguments.Named.Count > 0)
        {
            if (arguments.Positional.Count > 0) throw state.Fail("'format' takes positional or named values, not both");
            var mapping = new MappingValue();
            foreach (var (name, value) in arguments.Named)
            {
                mapping.Items[name] = value;
            }

            values = mapping;
        }

        return PercentFormat.Apply(state, PythonText.Str(state, input), values);
    }

    public static TemplateValue Escape(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var text = PythonText.Str(state, input);
        var output = new MarkedTextBuilder(state);
        for (int i = 0; i < text.Length; i++)
        {
            string? escape = text.Text[i] switch
            {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&#34;",
                '\'' => "&#39;",
                _ => null,
            };
            if (escape is null) output.Append(text, i, 1);
            else output.Append(escape, text.IsInputAt(i));
        }

        return output.ToValue();
    }

    public static TemplateValue EncodeUrl(RenderState state, TemplateValue input, CallArguments arguments)
    {
        var output = new MarkedTextBuilder(state);
        if (input is not (MappingValue or SequenceValue))
        {
            WriteEncoded(output, PythonText.Str(state, input), isSlashKept: true);
            return output.ToValue();
        }

        var pairs = input is MappingValue mapping ? MappingMethods.ToPairs(mapping) : Members.Iterate(state, input);
        for (int i = 0; i < pairs.Count; i++)
        {
            var pair = Members.Iterate(state, pairs[i]);
            if (pair.Count != 2) throw state.Fail("'urlencode' needs pairs of key and value");
            if (i > 0) output.Append('&');
            WriteEncoded(output, PythonText.Str(state, pair[0]), isSlashKept: false);
            output.Append('=');
            WriteEncoded(output, PythonText.Str(state, pair[1]), isSlashKept: false);
        }

        return output.ToValue();
    }

    public static TemplateValue CountWords(RenderState state, TemplateValue input, CallArguments arguments)
    {
        int count = 0;
        bool isInside = false;
        foreach (var rune in PythonText.Str(state, input).Text.EnumerateRunes())
        {
            bool isWord = Rune.IsLetterOrDigit(rune) || Rune.IsNumber(rune) || rune.Value == '_';
            if (isWord && !isInside) count++;
            isInside = isWord;
        }

        return new IntegerValue(count);
    }

    private static TextValue Blanks(RenderState state, long count)
    {
        var output = new MarkedTextBuilder(state);
        output.AppendRepeated(' ', count);
        return output.ToValue();
    }

    /// <summary>Percent-encodes all but letters, digits, <c>_.-~</c> and the slash of a path; a blank in a query is a plus.</summary>
    private static void WriteEncoded(MarkedTextBuilder output, TextValue text, bool isSlashKept)
    {
        Span<byte> bytes = stackalloc byte[4];
        int position = 0;
        while (position < text.Length)
        {
            bool isRune = Rune.TryGetRuneAt(text.Text, position, out var rune);
            if (!isRune) rune = Rune.ReplacementChar;
            bool isInput = text.IsInputAt(position);
            bool isKept = rune.IsAscii && (Rune.IsLetterOrDigit(rune) || "_.-~".Contains((char)rune.Value, StringComparison.Ordinal)
                || (isSlashKept && rune.Value == '/'));
            if (isKept) output.Append((char)rune.Value, isInput);
            else if (!isSlashKept && rune.Value == ' ') output.Append('+', isInput);
            else WriteBytes(output, bytes[..rune.EncodeToUtf8(bytes)], isInput);
            position += isRune ? rune.Utf16SequenceLength : 1;
        }
    }

    private static void WriteBytes(MarkedTextBuilder output, ReadOnlySpan<byte> bytes, bool isInput)
    {
        foreach (byte value in bytes)
        {
            output.Append("%" + value.ToString("X2", CultureInfo.InvariantCulture), isInput);
        }
    }
}
