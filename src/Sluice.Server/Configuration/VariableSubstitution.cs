using System.Text;

namespace Sluice.Server.Configuration;

/// <summary>
/// Replaces <c>${NAME}</c> and <c>${NAME:-default}</c> in values by environment variables, and <c>${file:/PATH}</c> by the text of a file;
/// <c>$$</c> is a dollar sign.
/// </summary>
internal static class VariableSubstitution
{
    private const string FilePrefix = "file:";
    private const string Expected = "expected ${NAME}, ${NAME:-default} or ${file:/PATH}";

    // A secret; a certificate with its chain is smaller too.
    private const int FileBytesMax = 64 << 10;

    /// <param name="text">One value of the configuration.</param>
    /// <param name="environment">Value of a variable, or null when it is not set. An empty value counts as not set for a default, as in a shell.</param>
    /// <param name="problem">One clause when the text is malformed, or a variable or a file without default is not there; otherwise null.</param>
    public static string Apply(string text, Func<string, string?> environment, out string? problem)
    {
        problem = null;
        if (!text.Contains('$', StringComparison.Ordinal)) return text;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '$' || i + 1 == text.Length || text[i + 1] is not ('$' or '{'))
            {
                result.Append(text[i]);
                continue;
            }
            if (text[i + 1] == '$')
            {
                result.Append('$');
                i++;
                continue;
            }
            var close = text.IndexOf('}', i);
            if (close < 0)
            {
                problem = $"'${{' has no '}}'; {Expected}, and $$ for a dollar sign";
                return text;
            }
            if (Find(text[(i + 2)..close], environment, out problem) is not { } value) return text;
            result.Append(value);
            i = close;
        }
        return result.ToString();
    }

    // What stands between the braces; null with a problem.
    private static string? Find(string body, Func<string, string?> environment, out string? problem)
    {
        var separator = body.IndexOf(":-", StringComparison.Ordinal);
        var name = separator < 0 ? body : body[..separator];
        var isFile = name.StartsWith(FilePrefix, StringComparison.Ordinal);
        string? missing = null;
        problem = isFile || IsName(name) ? null : $"'${{{body}}}' names no variable; {Expected}";
        if (problem is not null) return null;
        var value = isFile ? Read(name[FilePrefix.Length..], out problem, out missing) : environment(name);
        if (problem is not null) return null;
        if (separator >= 0 && string.IsNullOrEmpty(value)) value = body[(separator + 2)..];
        if (value is null) problem = missing ?? $"the environment variable '{name}' is not set; set it, or give a default with ${{{name}:-default}}";
        return value;
    }

    // The text without the line break that editors and 'echo' put at its end. Null where there is no such file, which a default can make good.
    private static string? Read(string path, out string? problem, out string? missing)
    {
        problem = missing = null;
        if (!Path.IsPathFullyQualified(path))
        {
            problem = $"'{path}' is not an absolute path; expected one such as ${{file:/run/secrets/key}}";
            return null;
        }
        try
        {
            if (!File.Exists(path))
            {
                missing = $"there is no file '{path}'; create it, or give a default with ${{file:{path}:-default}}";
                return null;
            }
            using var file = File.OpenRead(path);
            var bytes = new byte[FileBytesMax + 1];
            var count = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (count > FileBytesMax) problem = $"the file '{path}' is larger than 64 KiB, which no secret is";
            var text = Encoding.UTF8.GetString(bytes, 0, count).TrimStart('\uFEFF');
            return text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2] : text.EndsWith('\n') ? text[..^1] : text;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            problem = $"the file '{path}' can't be read; check its permissions";
            return null;
        }
    }

    private static bool IsName(string name)
    {
        if (name.Length == 0 || char.IsAsciiDigit(name[0])) return false;
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c != '_') return false;
        }
        return true;
    }
}
