using System.Globalization;
using System.Text;

namespace Sluice.Inference.Gguf;

/// <summary>Wording shared by every refusal: <c>path: subject: expected …, found ….</c></summary>
internal static class GgufErrors
{
    public static GgufException Create(string path, string text) => new($"{path}: {text}.");

    /// <summary>A name from the file made safe to print: quoted, control characters escaped, long ones cut.</summary>
    public static string Quote(string name)
    {
        var text = new StringBuilder("'");
        foreach (var c in name.AsSpan(0, Math.Min(name.Length, GgufLimits.QuotedCharsMax)))
        {
            if (char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029')
            {
                text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            }
            else
            {
                text.Append(c);
            }
        }

        return text.Append(name.Length > GgufLimits.QuotedCharsMax ? "…'" : "'").ToString();
    }
}
