using System.Globalization;
using Sluice.Inference.ChatTemplates.Runtime;

namespace Sluice.Inference.ChatTemplates.Values;

/// <summary>Settings of Python's <c>json.dumps</c>.</summary>
/// <param name="Indent">One level of indentation; null for one line.</param>
/// <param name="ItemSeparator">Between items.</param>
/// <param name="KeySeparator">Between key and value.</param>
/// <param name="IsAscii">True to escape everything outside ASCII.</param>
/// <param name="AreKeysSorted">True to sort mappings by key.</param>
internal sealed record JsonStyle(TextValue? Indent, TextValue ItemSeparator, TextValue KeySeparator, bool IsAscii, bool AreKeysSorted)
{
    public static readonly JsonStyle Default = new(
        null, new TextValue(", "), new TextValue(": "), IsAscii: false, AreKeysSorted: false);
}

/// <summary>Writes values as Python's <c>json.dumps</c> does; characters of user strings stay marked, escaped ones too.</summary>
internal sealed class JsonWriter(RenderState state, MarkedTextBuilder output, JsonStyle style)
{
    public void Write(TemplateValue value, int depth = 0)
    {
        state.CheckValueDepth(depth);
        switch (value)
        {
            case TextValue text:
                WriteString(text);
                break;
            case SequenceValue { Kind: SequenceKind.List or SequenceKind.Tuple } sequence:
                WriteArray(sequence.Items, depth);
                break;
            case MappingValue mapping:
                WriteObject(mapping, depth);
                break;
            default:
                output.Append(ScalarText(value));
                break;
        }
    }

    private string ScalarText(TemplateValue value) => value switch
    {
        NoneValue => "null",
        BooleanValue boolean => boolean.Value ? "true" : "false",
        IntegerValue integer => integer.ToDecimal(),
        FloatValue number => FloatText.Json(number),
        _ => throw state.Fail($"a value of type '{value.TypeName}' cannot be written as JSON"),
    };

    private void WriteArray(List<TemplateValue> items, int depth)
    {
        output.Append('[');
        for (int i = 0; i < items.Count; i++)
        {
            WriteBreak(isFirst: i == 0, depth + 1);
            Write(items[i], depth + 1);
        }

        WriteEnd(isEmpty: items.Count == 0, depth, ']');
    }

    private void WriteObject(MappingValue mapping, int depth)
    {
        output.Append('{');
        IEnumerable<KeyValuePair<TemplateValue, TemplateValue>> pairs = mapping.Items;
        if (style.AreKeysSorted) pairs = Sorting.Sort(state, [.. mapping.Items], pair => pair.Key, isReversed: false);
        bool isFirst = true;
        foreach (var (key, value) in pairs)
        {
            WriteBreak(isFirst, depth + 1);
            isFirst = false;
            if (key is TextValue text) WriteString(text);
            else output.Append($"\"{ScalarText(key)}\"");
            output.Append(style.KeySeparator);
            Write(value, depth + 1);
        }

        WriteEnd(isFirst, depth, '}');
    }

    private void WriteBreak(bool isFirst, int depth)
    {
        if (!isFirst) output.Append(style.ItemSeparator);
        WriteNewline(depth);
    }

    private void WriteEnd(bool isEmpty, int depth, char end)
    {
        if (!isEmpty) WriteNewline(depth);
        output.Append(end);
    }

    private void WriteNewline(int depth)
    {
        if (style.Indent is null) return;
        output.Append('\n');
        for (int i = 0; i < depth; i++)
        {
            output.Append(style.Indent);
        }
    }

    private void WriteString(TextValue value)
    {
        output.Append('"');
        int copied = 0;
        for (int i = 0; i < value.Length; i++)
        {
            string? escape = Escape(value.Text[i]);
            if (escape is null) continue;
            output.Append(value, copied, i - copied);
            output.Append(escape, value.IsInputAt(i));
            copied = i + 1;
        }

        output.Append(value, copied, value.Length - copied);
        output.Append('"');
    }

    private string? Escape(char c) => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        < ' ' => EscapeCode(c),
        > '~' when style.IsAscii => EscapeCode(c),
        _ => null,
    };

    private static string EscapeCode(char c) => "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture);
}
