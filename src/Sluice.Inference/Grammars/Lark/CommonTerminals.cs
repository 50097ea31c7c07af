using System.Collections.Concurrent;
using Sluice.Inference.Grammars.Patterns;

namespace Sluice.Inference.Grammars.Lark;

/// <summary>The terminals that Lark grammars import from <c>common</c>.</summary>
internal static class CommonTerminals
{
    private const string Int = "[0-9]+";
    private const string Exponent = "[eE][+-]?[0-9]+";
    private const string Decimal = "([0-9]+\\.[0-9]*|\\.[0-9]+)";
    private const string Float = $"({Int}{Exponent}|{Decimal}({Exponent})?)";

    private static readonly Dictionary<string, string> s_patterns = new(StringComparer.Ordinal)
    {
        ["DIGIT"] = "[0-9]",
        ["HEXDIGIT"] = "[0-9a-fA-F]",
        ["INT"] = Int,
        ["SIGNED_INT"] = $"[+-]?{Int}",
        ["DECIMAL"] = Decimal,
        ["FLOAT"] = Float,
        ["SIGNED_FLOAT"] = $"[+-]?{Float}",
        ["NUMBER"] = $"({Float}|{Int})",
        ["SIGNED_NUMBER"] = $"[+-]?({Float}|{Int})",
        ["ESCAPED_STRING"] = "\"([^\"\\\\\\n]|\\\\[^\\n])*\"",
        ["LCASE_LETTER"] = "[a-z]",
        ["UCASE_LETTER"] = "[A-Z]",
        ["LETTER"] = "[a-zA-Z]",
        ["WORD"] = "[a-zA-Z]+",
        ["CNAME"] = "[a-zA-Z_][a-zA-Z0-9_]*",
        ["WS_INLINE"] = "[ \\t]+",
        ["WS"] = "[ \\t\\f\\r\\n]+",
        ["CR"] = "\\r",
        ["LF"] = "\\n",
        ["NEWLINE"] = "(\\r?\\n)+",
        ["SH_COMMENT"] = "#[^\\n]*",
        ["CPP_COMMENT"] = "\\/\\/[^\\n]*",
        ["C_COMMENT"] = "\\/\\*([^*]|\\*+[^*\\/])*\\*+\\/",
        ["SQL_COMMENT"] = "--[^\\n]*",
    };

    private static readonly ConcurrentDictionary<string, PatternNode> s_parsed = new();

    /// <summary>What a terminal matches; null where <c>common</c> has none of that name.</summary>
    public static PatternNode? Find(string name) => s_patterns.TryGetValue(name, out string? pattern)
        ? s_parsed.GetOrAdd(name, static (_, text) => PatternParser.ParseWhole(text), pattern)
        : null;
}
