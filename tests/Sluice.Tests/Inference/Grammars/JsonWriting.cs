using System.Text;
using System.Text.Json;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>JSON as <c>JSON.stringify</c> and Python's <c>json.dumps</c> write it; numbers as they were.</summary>
internal static class JsonWriting
{
    /// <summary>Nothing between the parts.</summary>
    public static string Compact(JsonElement value) => Write(value, ",", ":", null, "");

    /// <summary>A space after commas and colons, as Python has it.</summary>
    public static string Spaced(JsonElement value) => Write(value, ", ", ": ", null, "");

    /// <summary>Each part on a line of its own.</summary>
    public static string Indented(JsonElement value, string indent) => Write(value, ",", ": ", indent, "\n");

    private static string Write(JsonElement value, string comma, string colon, string? indent, string line)
    {
        string inner = line + indent;
        switch (value.ValueKind)
        {
            case JsonValueKind.Object when value.EnumerateObject().Any():
                return "{" + inner + string.Join(comma + inner, value.EnumerateObject()
                    .Select(member => Quote(member.Name) + colon + Write(member.Value, comma, colon, indent, inner))) + line + "}";
            case JsonValueKind.Array when value.GetArrayLength() > 0:
                return "[" + inner + string.Join(comma + inner, value.EnumerateArray()
                    .Select(item => Write(item, comma, colon, indent, inner))) + line + "]";
            case JsonValueKind.Object:
                return "{}";
            case JsonValueKind.Array:
                return "[]";
            case JsonValueKind.String:
                return Quote(value.GetString()!);
            default:
                return value.GetRawText();
        }
    }

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (char unit in text)
        {
            int at = "\"\\\b\f\n\r\t".IndexOf(unit, StringComparison.Ordinal);
            quoted.Append(at >= 0 ? $"\\{"\"\\bfnrt"[at]}" : unit < ' ' ? FormattableString.Invariant($"\\u{(int)unit:x4}") : unit.ToString());
        }

        return quoted.Append('"').ToString();
    }
}
