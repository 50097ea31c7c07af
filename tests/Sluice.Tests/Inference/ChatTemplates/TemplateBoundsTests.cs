using Sluice.Inference.ChatTemplates;
using Xunit;

namespace Sluice.Tests.Inference.ChatTemplates;

/// <summary>Templates that run away end with an exception; messages name the line.</summary>
public sealed class TemplateBoundsTests
{
    [Theory]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested deeper")]
    [InlineData("{% macro m(x) %}{% for y in [1] %}{{ m(x + 1) }}{% endfor %}{% endmacro %}{{ m(1) }}", "nested deeper")]
    [InlineData("{% set a = [] %}{% set _ = a.append(a) %}{{ a }}", "nested deeper")]
    [InlineData("{% set a = [] %}{% set _ = a.append(a) %}{{ a | tojson }}", "nested deeper")]
    [InlineData("{% set a = [] %}{% set _ = a.append(a) %}{% set b = [] %}{% set _ = b.append(b) %}{{ a == b }}", "nested deeper")]
    [InlineData("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", "nested deeper")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "")]
    [InlineData("{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "longer than")]
    [InlineData("{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "items")]
    [InlineData("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "loop iterations")]
    [InlineData("{% for i in range(100000) %}{% for j in range(100000) %}{{ i * j % 7 }}{% endfor %}{% endfor %}", "steps")]
    [InlineData("{{ 'x' * 99999999999 }}", "longer than")]
    [InlineData("{{ [1] * 99999999999 }}", "items")]
    [InlineData("{{ range(99999999999) }}", "range")]
    [InlineData("{{ 'x'.center(99999999999) }}", "longer than")]
    [InlineData("{{ '%999999999d' % 1 }}", "width")]
    [InlineData("{{ '{:99999999}'.format(1) }}", "longer than")]
    [InlineData("{{ 'x' | indent(99999999999, true) }}", "longer than")]
    [InlineData("{{ [1] | slice(99999999999) | list }}", "items")]
    [InlineData("{{ [1] | batch(99999999999, 0) | list }}", "items")]
    [InlineData("{{ 9223372036854775807 + 1 }}", "64 bits")]
    [InlineData("{{ 2 ** 64 }}", "64 bits")]
    [InlineData("{{ 9 * -9223372036854775807 }}", "64 bits")]
    [InlineData("{{ (-9223372036854775807 - 1) // -1 }}", "64 bits")]
    [InlineData("{{ 99999999999999999999 }}", "64 bits")]
    public void Render_RunawayTemplate_IsRefused(string source, string expected) =>
        Assert.Contains(expected, Fails(source).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData('(', ')')]
    [InlineData('[', ']')]
    public void Parse_DeepBrackets_IsRefused(char open, char close)
    {
        string deep = new string(open, 100_000) + "1" + new string(close, 100_000);
        Assert.Contains("nested deeper", Fails("{{ " + deep + " }}").Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{{ ", "not ", "1", "", " }}")]
    [InlineData("{{ ", "- ", "1", "", " }}")]
    [InlineData("{{ ", "{1: ", "1", "}", " }}")]
    [InlineData("{{ ", "1 if 1 else ", "1", "", " }}")]
    [InlineData("{{ ", "f(", "1", ")", " }}")]
    [InlineData("{{ ", "a[", "1", "]", " }}")]
    [InlineData("{{ ", "a is b(", "1", ")", " }}")]
    [InlineData("{% for ", "(", "x", ")", " in y %}")]
    [InlineData("", "{% if 1 %}", "", "", "")]
    [InlineData("", "{% for x in y %}", "", "", "")]
    [InlineData("", "{% macro m() %}", "", "", "")]
    public void Parse_DeepNesting_IsRefused(string before, string open, string inner, string close, string after)
    {
        string opened = before + string.Concat(Enumerable.Repeat(open, 20_000));
        string source = opened + inner + string.Concat(Enumerable.Repeat(close, 20_000)) + after;
        Assert.Contains("nested deeper", Fails(source).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1", " + 1")]
    [InlineData("'a'", " ~ 'a'")]
    [InlineData("'a'", " | upper")]
    [InlineData("x", ".y")]
    [InlineData("1", " and 1")]
    public void Render_LongChain_EndsWithAValueOrARefusal(string first, string repeated)
    {
        var template = ChatTemplate.Parse("{{ " + first + string.Concat(Enumerable.Repeat(repeated, 50_000)) + " }}");
        try
        {
            template.Render(new Dictionary<string, TemplateValue>(), TimeProvider.System);
        }
        catch (ChatTemplateException error)
        {
            Assert.NotNull(error.Line);
        }
    }

    [Fact]
    public void Parse_OversizedSource_IsRefused() =>
        Assert.Contains("characters", Fails(new string('x', ChatTemplateLimits.SourceLengthMax + 1)).Message, StringComparison.Ordinal);

    [Fact]
    public void Render_InputIsNeverChanged()
    {
        var variables = new Dictionary<string, TemplateValue>
        {
            ["list"] = TemplateValue.FromList([TemplateValue.From(1)]),
            ["map"] = TemplateValue.FromMapping([new("a", TemplateValue.None)]),
        };
        foreach (string change in new[] { "list.append(2)", "list.pop()", "list.clear()", "map.update({'b': 1})", "map.pop('a')" })
        {
            var template = ChatTemplate.Parse("{{ " + change + " }}");
            Assert.Throws<ChatTemplateException>(() => template.Render(variables, TimeProvider.System));
        }

        Assert.Equal("[1]{'a': None}", ChatTemplate.Parse("{{ list }}{{ map }}").Render(variables, TimeProvider.System).Text);
    }

    [Theory]
    [InlineData("\n\n{{ missing.x }}", 3, "'missing' is undefined")]
    [InlineData("{% if 1 %}\n{{ 1 + 'a' }}\n{% endif %}", 2, "'+' cannot take 'int' and 'str'")]
    [InlineData("a\n{% for x in [1] %}\nb", 2, "'endfor' is missing")]
    [InlineData("a\n{{ 1 +\n }}", 3, "expected an expression, found '}}'")]
    [InlineData("\n{% include 'x' %}", 2, "unknown or unsupported tag 'include'")]
    [InlineData("\n\n\n{{ 'a", 4, "a string is not closed")]
    [InlineData("\n{{ x | nope }}", 2, "there is no filter 'nope'")]
    [InlineData("{{ 1 }}\n{# a", 2, "a comment is not closed")]
    public void Failure_NamesLineAndCause(string source, int line, string cause)
    {
        var error = Fails(source);
        Assert.Equal(line, error.Line);
        Assert.Equal($"Chat template, line {line}: {cause}", error.Message);
    }

    [Fact]
    public void RaiseException_SpeaksForItself()
    {
        var error = Fails("a\n{{ raise_exception('Roles must alternate') }}");
        Assert.True(error.IsRaisedByTemplate);
        Assert.Equal("Roles must alternate", error.Message);
        Assert.Equal(2, error.Line);
    }

    [Fact]
    public async Task Render_FromManyThreads_IsTheSame()
    {
        var template = ChatTemplate.Parse(TemplateReference.Snippets.GetProperty("model").GetProperty("template").GetString()!);
        var variables = TemplateReference.ToVariables(TemplateReference.Conversations.GetProperty("turns"));
        string expected = template.Render(variables, TimeProvider.System).Text;
        await Parallel.ForAsync(0, 200, (_, _) =>
        {
            Assert.Equal(expected, template.Render(variables, TimeProvider.System).Text);
            return ValueTask.CompletedTask;
        });
    }

    private static ChatTemplateException Fails(string source) => Assert.Throws<ChatTemplateException>(
        () => ChatTemplate.Parse(source).Render(new Dictionary<string, TemplateValue>(), TimeProvider.System));
}
