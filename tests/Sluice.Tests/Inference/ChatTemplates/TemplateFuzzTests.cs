using System.Globalization;
using System.Text;
using Sluice.Inference.ChatTemplates;
using Xunit;

namespace Sluice.Tests.Inference.ChatTemplates;

/// <summary>Whatever the source, parsing and rendering end, and fail with <see cref="ChatTemplateException"/> only.</summary>
public sealed class TemplateFuzzTests
{
    private static readonly string[] Fragments =
    [
        "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{%-", "{%+", "+%}", " ", "\n", "'", "\"", "\\", "(", ")", "[", "]", "{", "}", ".", ",", ":",
        "|", "~", "+", "-", "*", "**", "/", "//", "%", "<", "==", "!=", ">=", "=", "in", "is", "not", "and", "or", "if", "elif", "else", "endif",
        "for", "endfor", "set", "endset", "macro", "endmacro", "call", "endcall", "filter", "endfilter", "with", "endwith", "raw", "endraw",
        "break", "continue", "recursive", "loop", "loop.last", "messages", "message", "text", "list", "map", "x", "ns", "namespace(x=1)", "range(9)",
        "0", "1", "-1", "3.5", "1e9", "9223372036854775807", "none", "true", "tojson", "join", "split", "length", "default", "replace", "format",
        "defined", "string", "mapping", "upper", "trim", "items", "sort", "map", "select", "indent", "truncate", "é👩", "\ud800", "\0",
    ];

    private static readonly IReadOnlyDictionary<string, TemplateValue> Variables =
        TemplateReference.ToVariables(TemplateReference.Snippets.GetProperty("variables"));

    [Fact]
    public void RandomFragments() => Run(4000, random =>
    {
        var source = new StringBuilder();
        bool isTagged = random.Next(4) > 0;
        if (isTagged) source.Append(random.Next(2) == 0 ? "{{ " : "{% ");
        for (int i = random.Next(1, 30); i > 0; i--)
        {
            source.Append(Fragments[random.Next(Fragments.Length)]);
            if (random.Next(3) > 0) source.Append(' ');
        }

        if (isTagged) source.Append(source[1] == '{' ? " }}" : " %}");
        return source.ToString();
    });

    [Fact]
    public void RandomCharacters() => Run(3000, random =>
    {
        var source = new StringBuilder(random.Next(2) == 0 ? "{{ " : "");
        for (int i = random.Next(60); i > 0; i--)
        {
            source.Append(random.Next(5) == 0 ? (char)random.Next(0x10000) : (char)random.Next(0x80));
        }

        return source.Append(random.Next(2) == 0 ? " }}" : "").ToString();
    });

    [Fact]
    public void MutatedSnippets()
    {
        string[] snippets =
        [
            .. TemplateReference.Snippets.GetProperty("snippets").EnumerateArray().Select(each => each.GetProperty("source").GetString()!),
        ];
        Run(8000, random => Mutate(random, snippets[random.Next(snippets.Length)], snippets[random.Next(snippets.Length)]));
    }

    [Theory]
    [MemberData(nameof(ReferenceRenderingTests.TemplateNames), MemberType = typeof(ReferenceRenderingTests))]
    public void MutatedTemplates(string name)
    {
        string source = TemplateReference.ReadShared(name);
        Run(60, random => Mutate(random, source, source));
    }

    private static string Mutate(Random random, string source, string other)
    {
        var text = new StringBuilder(source);
        for (int i = random.Next(1, 4); i > 0 && text.Length > 0; i--)
        {
            int at = random.Next(text.Length);
            switch (random.Next(4))
            {
                case 0:
                    text.Remove(at, Math.Min(random.Next(1, 12), text.Length - at));
                    break;
                case 1:
                    text.Insert(at, Fragments[random.Next(Fragments.Length)]);
                    break;
                case 2:
                    text[at] = (char)random.Next(0x20, 0x7f);
                    break;
                default:
                    int from = random.Next(other.Length + 1);
                    text.Insert(at, other.AsSpan(from, Math.Min(random.Next(40), other.Length - from)));
                    break;
            }
        }

        return text.ToString();
    }

    private static void Run(int count, Func<Random, string> make)
    {
        string? given = Environment.GetEnvironmentVariable("SLUICE_SEED");
        int seed = given is null ? 20250704 : int.Parse(given, CultureInfo.InvariantCulture);
        var random = new Random(seed);
        for (int i = 0; i < count; i++)
        {
            string source = make(random);
            try
            {
                ChatTemplate.Parse(source).Render(Variables, TimeProvider.System);
            }
            catch (ChatTemplateException error)
            {
                Assert.True(error.IsRaisedByTemplate || error.Message.Length > 0, source);
            }
            catch (Exception error)
            {
                Assert.Fail($"SLUICE_SEED={seed}, case {i}: {error}\n{source}");
            }
        }
    }
}
