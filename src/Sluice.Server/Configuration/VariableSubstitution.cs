using System.Text;

namespace Sluice.Server.Configuration;

/// <summary>Replaces <c>${NAME}</c> and <c>${NAME:-default}</c> in values; <c>$$</c> is a dollar sign.</summary>
internal static class VariableSubstitution
{
    /// <param name="text">One value of the configuration.</param>
    /// <param name="environment">Value of a variable, or null when it is not set. An empty value counts as not set for a default, as in a shell.</param>
    /// <param name="problem">One clause when the text is malformed or a variable without default is not set; otherwise null.</param>
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
                problem = "'${' has no '}'; expected ${NAME} or ${NAME:-default}, and $$ for a dollar sign";
                return text;
            }
            var body = text[(i + 2)..close];
            var separator = body.IndexOf(":-", StringComparison.Ordinal);
            var name = separator < 0 ? body : body[..separator];
            if (!IsName(name))
            {
                problem = $"'${{{body}}}' names no variable; expected ${{NAME}} or ${{NAME:-default}}";
                return text;
            }
            var value = environment(name);
            if (separator >= 0 && string.IsNullOrEmpty(value)) value = body[(separator + 2)..];
            if (value is null)
            {
                problem = $"the environment variable '{name}' is not set; set it, or give a default with ${{{name}:-default}}";
                return text;
            }
            result.Append(value);
            i = close;
        }
        return result.ToString();
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
