using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Python's <c>str()</c> and <c>repr()</c>; marks stay on the characters that came from the user.</summary>
internal static class PythonText
{
    /// <summary>What the value prints as.</summary>
    public static TextValue Str(RenderState state, TemplateValue value)
    {
        if (value is TextValue text) return text;
        var builder = new MarkedTextBuilder(state);
        WriteStr(state, builder, value);
        return builder.ToValue();
    }

    public static void WriteStr(RenderState state, MarkedTextBuilder output, TemplateValue value)
    {
        if (value is TextValue text) output.Append(text);
        else if (value is not UndefinedValue) WriteRepr(state, output, value, 0);
    }

    public static void WriteRepr(RenderState state, MarkedTextBuilder output, TemplateValue value, int depth = 0)
    {
        state.CheckValueDepth(depth);
        switch (value)
        {
            case TextValue text:
                WriteQuoted(output, text);
                break;
            case SequenceValue sequence:
                WriteSequence(state, output, sequence, depth);
                break;
            case MappingValue mapping:
                output.Append('{');
                WritePairs(state, output, mapping.Items, depth);
                output.Append('}');
                break;
            case NamespaceValue space:
                output.Append("<Namespace {");
                WritePairs(state, output, space.Attributes.Items, depth);
                output.Append("}>");
                break;
            default:
                output.Append(ScalarText(value));
                break;
        }
    }

    private static string ScalarText(TemplateValue value) => value switch
    {
        NoneValue => "None",
        BooleanValue boolean => boolean.Value ? "True" : "False",
        IntegerValue integer => integer.ToDecimal(),
        FloatValue number => FloatText.Repr(number),
        UndefinedValue => "Undefined",
        _ => $"<{value.TypeName}>",
    };

    private static void WriteSequence(RenderState state, MarkedTextBuilder output, SequenceValue sequence, int depth)
    {
        switch (sequence.Kind)
        {
            case SequenceKind.Range:
                output.Append(sequence.Label);
                return;
            case SequenceKind.Generator:
                output.Append("<generator object>");
                return;
        }

        bool isTuple = sequence.Kind == SequenceKind.Tuple;
        if (sequence.Kind == SequenceKind.View) output.Append(sequence.Label + "(");
        output.Append(isTuple ? '(' : '[');
        for (int i = 0; i < sequence.Items.Count; i++)
        {
            if (i > 0) output.Append(", ");
            WriteRepr(state, output, sequence.Items[i], depth + 1);
        }

        if (isTuple && sequence.Items.Count == 1) output.Append(',');
        output.Append(isTuple ? ')' : ']');
        if (sequence.Kind == SequenceKind.View) output.Append(')');
    }

    private static void WritePairs(
        RenderState state, MarkedTextBuilder output, IEnumerable<KeyValuePair<TemplateValue, TemplateValue>> pairs, int depth)
    {
        bool isFirst = true;
        foreach (var (key, value) in pairs)
        {
            if (!isFirst) output.Append(", ");
            isFirst = false;
            WriteRepr(state, output, key, depth + 1);
            output.Append(": ");
            WriteRepr(state, output, value, depth + 1);
        }
    }

    private static void WriteQuoted(MarkedTextBuilder output, TextValue value)
    {
        string text = value.Text;
        char quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        output.Append(quote);
        for (int i = 0; i < text.Length; i++)
        {
            bool isPair = i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]);
            int code = isPair ? char.ConvertToUtf32(text[i], text[i + 1]) : text[i];
            if (IsPrintable(code) && code != quote && code != '\\') output.Append(value, i, isPair ? 2 : 1);
            else output.Append(Escape(code), value.IsInputAt(i));
            if (isPair) i++;
        }

        output.Append(quote);
    }

    private static bool IsPrintable(int code) => code == ' ' || CharUnicodeInfo.GetUnicodeCategory(code) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    private static string Escape(int code) => code switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\\' or '\'' or '"' => "\\" + (char)code,
        < 0x100 => "\\x" + code.ToString("x2", CultureInfo.InvariantCulture),
        < 0x10000 => "\\u" + code.ToString("x4", CultureInfo.InvariantCulture),
        _ => "\\U" + code.ToString("x8", CultureInfo.InvariantCulture),
    };
}
