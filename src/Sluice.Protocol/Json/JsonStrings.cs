using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Sluice.Protocol.Json;

/// <summary>Strings of JSON, whose text may end or begin in the middle of a pair of surrogates.</summary>
internal static class JsonStrings
{
    /// <summary>The text of a string, with unpaired surrogates as they are: the other half may come in the next piece.</summary>
    /// <exception cref="InvalidOperationException">The element is not a string.</exception>
    public static string Read(JsonElement value)
    {
        try
        {
            return value.GetString() ?? "";
        }
        catch (InvalidOperationException) when (value.ValueKind == JsonValueKind.String)
        {
            return Unescape(value.GetRawText().AsSpan()[1..^1]);
        }
    }

    /// <summary>Characters as the API counts them: code points.</summary>
    public static int CountCharacters(string text)
    {
        var count = text.Length;
        foreach (var unit in text)
        {
            if (char.IsLowSurrogate(unit)) count--;
        }

        return count;
    }

    private static string Unescape(ReadOnlySpan<char> json)
    {
        var text = new StringBuilder(json.Length);
        while (json.IndexOf('\\') is >= 0 and var at)
        {
            text.Append(json[..at]);
            var code = json[at + 1];
            if (code == 'u') text.Append((char)ushort.Parse(json.Slice(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
            else text.Append(code switch { 'b' => '\b', 'f' => '\f', 'n' => '\n', 'r' => '\r', 't' => '\t', _ => code });
            json = json[(at + (code == 'u' ? 6 : 2))..];
        }

        return text.Append(json).ToString();
    }
}
