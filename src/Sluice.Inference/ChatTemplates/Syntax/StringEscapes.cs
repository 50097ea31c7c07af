using System.Globalization;
using System.Text;

namespace Sluice.Inference.ChatTemplates.Syntax;

/// <summary>Resolves the backslash escapes of Python's string literals. An unknown escape stays as it is written.</summary>
internal static class StringEscapes
{
    public static string Resolve(string text, int line)
    {
        var result = new StringBuilder(text.Length);
        int position = 0;
        while (position < text.Length)
        {
            char c = text[position++];
            if (c != '\\' || position == text.Length)
            {
                result.Append(c);
                continue;
            }

            char escape = text[position++];
            switch (escape)
            {
                case '\n':
                    break;
                case '\\' or '\'' or '"':
                    result.Append(escape);
                    break;
                case 'x':
                    AppendHex(result, text, ref position, 2, line);
                    break;
                case 'u':
                    AppendHex(result, text, ref position, 4, line);
                    break;
                case 'U':
                    AppendHex(result, text, ref position, 8, line);
                    break;
                case 'N':
                    throw new ChatTemplateException("characters by name (\\N) are not supported", line);
                case >= '0' and <= '7':
                    position--;
                    AppendOctal(result, text, ref position);
                    break;
                default:
                    AppendSimple(result, escape);
                    break;
            }
        }

        return result.ToString();
    }

    private static void AppendSimple(StringBuilder result, char escape)
    {
        char? simple = escape switch
        {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\b',
            'f' => '\f',
            'a' => '\a',
            'v' => '\v',
            _ => null,
        };
        if (simple is null) result.Append('\\').Append(escape);
        else result.Append(simple.Value);
    }

    private static void AppendHex(StringBuilder result, string text, ref int position, int digits, int line)
    {
        if (position + digits > text.Length
            || !int.TryParse(text.AsSpan(position, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code)
            || code is < 0 or > 0x10FFFF)
        {
            throw new ChatTemplateException("a string has a broken \\x, \\u or \\U escape", line);
        }

        position += digits;
        if (code < 0x10000) result.Append((char)code);
        else result.Append(char.ConvertFromUtf32(code));
    }

    private static void AppendOctal(StringBuilder result, string text, ref int position)
    {
        int code = 0;
        for (int i = 0; i < 3 && position < text.Length && text[position] is >= '0' and <= '7'; i++)
        {
            code = (code * 8) + (text[position++] - '0');
        }

        result.Append((char)code);
    }
}
