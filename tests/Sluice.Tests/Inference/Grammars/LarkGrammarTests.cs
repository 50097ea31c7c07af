using System.Text;
using Sluice.Inference.Grammars;
using Xunit;

namespace Sluice.Tests.Inference.Grammars;

/// <summary>Lark grammars as automata: Codex's own ones, each construct by hand, and anything at all.</summary>
public sealed class LarkGrammarTests
{
    // As Codex sends it with its tool apply_patch.
    private const string Patch = """
        start: begin_patch hunk+ end_patch
        begin_patch: "*** Begin Patch" LF
        end_patch: "*** End Patch" LF?

        hunk: add_hunk | delete_hunk | update_hunk
        add_hunk: "*** Add File: " filename LF add_line+
        delete_hunk: "*** Delete File: " filename LF
        update_hunk: "*** Update File: " filename LF change_move? change?

        filename: /(.+)/
        add_line: "+" /(.*)/ LF -> line

        change_move: "*** Move to: " filename LF
        change: (change_context | change_line)+ eof_line?
        change_context: ("@@" | "@@ " /(.+)/) LF
        change_line: ("+" | "-" | " ") /(.*)/ LF
        eof_line: "*** End of File" LF

        %import common.LF
        """;

    private static Grammar Compile(string definition)
    {
        var builder = new GrammarBuilder();
        return builder.Build(builder.LarkString(definition));
    }

    private static bool Accepts(Grammar grammar, string text) => grammar.Accepts(JsonEncode(text));

    private static byte[] JsonEncode(string text)
    {
        var json = new StringBuilder("\"");
        foreach (char unit in text)
        {
            json.Append(unit switch { '"' => "\\\"", '\\' => "\\\\", '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", '\f' => "\\f", _ => unit.ToString() });
        }

        return Encoding.UTF8.GetBytes(json.Append('"').ToString());
    }

    [Theory]
    [InlineData(true, "*** Begin Patch\n*** Add File: a.txt\n+Hello\n+\n*** End Patch")]
    [InlineData(true, "*** Begin Patch\n*** Delete File: a b/ü.txt\n*** End Patch\n")]
    [InlineData(true, "*** Begin Patch\n*** Update File: a.py\n*** Move to: b.py\n@@ def f():\n-    \"x\"\t\\\n+    y\r\n \n*** End of File\n*** Delete File: c\n*** End Patch\n")]
    [InlineData(true, "*** Begin Patch\n*** Update File: a.py\n@@\n x\n*** Update File: b.py\n*** End Patch\n")]
    [InlineData(false, "*** Begin Patch\n*** End Patch")]
    [InlineData(false, "*** Begin Patch\n*** Add File: a.txt\n*** End Patch")]
    [InlineData(false, "*** Begin Patch\n*** Add File: \n+x\n*** End Patch")]
    [InlineData(false, "*** Begin Patch\n*** Add File: a.txt\nHello\n*** End Patch")]
    [InlineData(false, "*** Begin Patch\n*** Update File: a.py\n@@x\n*** End Patch")]
    [InlineData(false, "*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch\n\n")]
    [InlineData(false, "```\n*** Begin Patch\n*** Delete File: a\n*** End Patch")]
    public void Codex_patches_are_what_its_grammar_says(bool isPatch, string text) => Assert.Equal(isPatch, Accepts(Compile(Patch), text));

    [Fact]
    public void Codex_code_begins_with_a_pragma_or_not()
    {
        Grammar grammar = Compile("""
            start: pragma_source | plain_source
            pragma_source: PRAGMA_LINE NEWLINE SOURCE
            plain_source: SOURCE

            PRAGMA_LINE: /[ \t]*\/\/ @exec:[^\r\n]*/
            NEWLINE: /\r?\n/
            SOURCE: /[\s\S]+/
            """);
        Assert.True(Accepts(grammar, "// @exec: x\nf();\n") && Accepts(grammar, "f(\u2028);"));
        Assert.False(Accepts(grammar, ""));
    }

    [Theory]
    [InlineData("start: \"a\" | \"b\" \"c\"", "a bc", "c ab")]
    [InlineData("start: \"a\"\n     | \"b\"\n\n  // so\n     | \"c\" # or\n", "a b c", "ab d")]
    [InlineData("start: (\"a\" | \"b\")+ [\"c\" \"d\"] \"e\"?", "a abcd ae be bcde", "c acd.e ac")]
    [InlineData("start: \"a\"~2 \"b\"~1..3", "aab aabbb", "ab aaab aabbbb")]
    [InlineData("start: x.y", null, null)]
    [InlineData("?start: !x\n!x: Y -> z\nY.2: \"a\"..\"c\" \"0\"..\"9\"", null, null)]
    [InlineData("?start: x\n!x.3: Y -> z\nY.2: \"a\"..\"c\" \"0\"..\"9\"", "a0 c9", "d0 a")]
    [InlineData("start: \"Select\"i /[x-z]+/i /[^k]/i", "sELECTxYzm", "SELECTxk SELECTxK selectam")]
    [InlineData("start: \"grün\"i", "GRÜN grÜn", "grun")]
    [InlineData("start: /a.c/s /./", "a\nc\r", "a\nc\n")]
    [InlineData("start: \"\\x41\\u00e9\\\\\\\"\\q\" /\\/\\'\\-\\ \\x42/", "Aé\\\"\\q/'-\u00a0B", "A")]
    [InlineData("start: /[]a]+/ /(?P<n>b)/ /c+?/ /(?:d|e){2}/", "]a]bcde", "bcde")]
    [InlineData("start: /a(?=bc)/ \"b\" /[a-z]/", "abc", "abd")]
    [InlineData("start: pair (\",\" pair)*\npair: CNAME \"=\" (NUMBER | ESCAPED_STRING)\n%import common (CNAME, NUMBER, ESCAPED_STRING)\n%import common.WS_INLINE -> _SPACE\n%ignore _SPACE\n",
        "a=1 a\u00a0=\u00a01.5e-3\u00a0,_b2\u00a0=\"x\\\"y\"\u00a0 \u00a0a=.5", "a a= a=x 2a=1 a=\"x a=1,")]
    [InlineData("start: A B\nA: \"a\"\nB: \"b\" C\nC: \"c\"\n%ignore \" \" | /#.*\\n/", "abc \u00a0a\u00a0bc\u00a0 a#x\nbc", "ab\u00a0c")]
    [InlineData("start: SIGNED_INT | HEXDIGIT~2 | WORD\n%import common.SIGNED_INT\n%import common.HEXDIGIT\n%import common.WORD", "-12 +3 fF word", "-x f+ w2")]
    [InlineData("start: C_COMMENT\n%import common.C_COMMENT", "/**/ /*a*b**/", "/*/ /*a*/b*/")]
    [InlineData("start: \"a\" \\\n  \"b\"\r\n", "ab", "a")]
    [InlineData("start: (\n  \"a\"\n  | \"b\"\n)+\n", "abb", "c")]
    [InlineData("start: (\"a\" |)\nunused: unused2\nunused2: \"b\"", "a", "b")]
    public void A_construct_means_what_Lark_means(string definition, string? accepted, string? refused)
    {
        if (accepted == null)
        {
            Assert.Throws<GrammarException>(() => Compile(definition));
            return;
        }

        // A no-break space stands for a space within a text.
        Grammar grammar = Compile(definition);
        Assert.All(accepted.Split(' '), text => Assert.True(Accepts(grammar, text.Replace('\u00a0', ' ')), text));
        Assert.All(refused!.Split(' '), text => Assert.False(Accepts(grammar, text.Replace('\u00a0', ' ')), text));
    }

    [Theory]
    [InlineData("", "no rule or terminal 'start'")]
    [InlineData("x: \"a\"", "no rule or terminal 'start'")]
    [InlineData("start: x", "no rule or terminal 'x'")]
    [InlineData("start: \"(\" start \")\" | \"x\"", "'start' contains itself")]
    [InlineData("start: A\nA: B\nB: A | \"x\"", "'A' contains itself")]
    [InlineData("start: \"a\"\nstart: \"b\"", "'start' a second time")]
    [InlineData("start: A\nA: b\nb: \"b\"", "a terminal refers to a rule")]
    [InlineData("start: list{\"a\"}\nlist{x}: x+", "the character '{'")]
    [InlineData("start: %json {\"type\":\"object\"}", "the character '{'")]
    [InlineData("start: A %ignore", "'ignore' where the line should end")]
    [InlineData("start: A\n%declare A", "'%declare'")]
    [InlineData("start: A\n%import python.A", "other than 'common'")]
    [InlineData("start: A\n%import common.A", "'common' doesn't have")]
    [InlineData("start: \"a", "a text without an end")]
    [InlineData("start: /a", "a regular expression without an end")]
    [InlineData("start: /a/x", "the flag 'x'")]
    [InlineData("start: /^a/ \"b\" /(?<=b)c/", "a look-behind")]
    [InlineData("start: (\"a\"~", "a count that can't be read")]
    [InlineData("start: (\"a\"..", "a range that can't be read")]
    [InlineData("start: (\"a\"", "'' where ')' is expected")]
    [InlineData("start: \"a\"~3..2", "a count that can't be read")]
    [InlineData("start: \"a\"~99999", "a count that can't be read")]
    [InlineData("start: \"ab\"..\"c\"", "a range that can't be read")]
    [InlineData("start: \"\\ud800\"", "a character that can't be read")]
    [InlineData("start: a~1000\na: b~1000\nb: \"\"~1000", "more than 20000 parts")]
    public void What_is_not_supported_is_told(string definition, string reason) =>
        Assert.Contains(reason, Assert.Throws<GrammarException>(() => Compile(definition)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_chain_of_rules_is_bounded_in_what_it_becomes_and_in_depth()
    {
        string doubling = "start: r0\n" + string.Concat(Enumerable.Range(0, 40).Select(i => $"r{i}: r{i + 1} r{i + 1}\n")) + "r40: \"\"\n";
        Assert.Contains("parts", Assert.Throws<GrammarException>(() => Compile(doubling)).Message, StringComparison.Ordinal);
        string deep = "start: r0\n" + string.Concat(Enumerable.Range(0, 100_000).Select(i => $"r{i}: r{i + 1}\n")) + "r100000: \"a\"\n";
        Assert.Contains("in one another", Assert.Throws<GrammarException>(() => Compile(deep)).Message, StringComparison.Ordinal);
        Assert.Contains("in one another", Assert.Throws<GrammarException>(() => Compile("start: " + new string('(', 100_000))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_grammar_whose_automaton_explodes_meets_its_budget() =>
        Assert.Throws<GrammarException>(() => Compile("start: /(a|b)*a/ /(a|b)/~30"));

    [Fact]
    public void Any_definition_compiles_or_is_refused()
    {
        string[] pieces =
        [
            "start", ": ", "a", "A", "b", "B", " ", "\n", "|", "\"x\"", "\"\"", "/y+/", "/(.*)/", "/[a-c]?/i", "(", ")", "[", "]", "?", "*", "+", "~2", "~1..3", "..",
            "->", "%import common.LF", "%ignore ", "LF", "// c\n", ".1", "!", "\\", "\"", "/", "{", "}", "é", "\0", "\ud800", "%", "0",
        ];
        var random = new Random(14);
        int compiled = 0;
        for (int round = 0; round < 4000; round++)
        {
            // Half of them are Codex's grammar with a few pieces changed.
            string definition = random.Next(2) == 0
                ? "start: a\na: \"x\" B\nB: /y/\n" + Pieces(random.Next(12))
                : Change(Patch, random.Next(1, 4));
            try
            {
                _ = Accepts(Compile(definition), "xy");
                compiled++;
            }
            catch (GrammarException error)
            {
                Assert.NotEmpty(error.Message);
            }
        }

        Assert.InRange(compiled, 200, 3900);

        string Pieces(int count) => string.Concat(Enumerable.Range(0, count).Select(_ => pieces[random.Next(pieces.Length)]));

        string Change(string text, int count)
        {
            for (int i = 0; i < count; i++)
            {
                int at = random.Next(text.Length);
                text = random.Next(3) switch
                {
                    0 => text.Insert(at, pieces[random.Next(pieces.Length)]),
                    1 => text.Remove(at, Math.Min(random.Next(1, 20), text.Length - at)),
                    _ => text[..at] + text[random.Next(text.Length)] + text[at..],
                };
            }

            return text;
        }
    }
}
