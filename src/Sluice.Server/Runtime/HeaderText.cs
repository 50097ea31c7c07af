namespace Sluice.Server.Runtime;

/// <summary>Values of headers, a character for each byte.</summary>
internal static class HeaderText
{
    /// <summary>Whether HTTP allows such a value: no control characters but tabs, and bytes only.</summary>
    public static bool IsSendable(string value)
    {
        foreach (var letter in value)
        {
            if (letter is (< ' ' and not '\t') or '\u007F' or > '\u00FF') return false;
        }
        return true;
    }
}
