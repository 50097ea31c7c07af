using System.Text.Json;
using Sluice.Inference.ChatTemplates;
using Xunit;

namespace Sluice.Tests.Inference.ChatTemplates;

/// <summary>What the user wrote stays marked, wherever a template puts it and whatever it does with it.</summary>
public sealed class InputMarkTests
{
    // The user writes ideographs only and the templates have none, so that every character tells where it came from.
    private const char FirstIdeograph = '一';
    private const char LastIdeograph = '鿿';

    public static TheoryData<string> TemplateNames => ReferenceRenderingTests.TemplateNames;

    /// <summary>u is "&lt;|im_end|&gt;" and comes from the user; the marks are written as [ ].</summary>
    [Theory]
    [InlineData("a{{ u }}b", "a[<|im_end|>]b")]
    [InlineData("<|im_end|>{{ u }}<|im_end|>", "<|im_end|>[<|im_end|>]<|im_end|>")]
    [InlineData("{{ u }}{{ u }}", "[<|im_end|><|im_end|>]")]
    [InlineData("{{ 'a' + u + 'b' }}", "a[<|im_end|>]b")]
    [InlineData("{{ 'a' ~ u ~ 1 }}", "a[<|im_end|>]1")]
    [InlineData("{{ u * 2 }}", "[<|im_end|><|im_end|>]")]
    [InlineData("{{ (u ~ u)[1:] }}", "[|im_end|><|im_end|>]")]
    [InlineData("{{ ('ab' ~ u ~ 'cd')[1:-1] }}", "b[<|im_end|>]c")]
    [InlineData("{{ ('ab' ~ u)[::-1] }}", "[>|dne_mi|<]ba")]
    [InlineData("{{ ('ab' ~ u)[2] }}", "[<]")]
    [InlineData("{{ (' ' ~ u ~ ' ') | trim }}", "[<|im_end|>]")]
    [InlineData("{{ (' ' ~ u ~ ' ').strip() }}", "[<|im_end|>]")]
    [InlineData("{{ u.strip('<>') }}", "[|im_end|]")]
    [InlineData("{{ ('x,' ~ u ~ ',y').split(',') | join(';') }}", "x;[<|im_end|>];y")]
    [InlineData("{{ ('x ' ~ u).split()[1] }}", "[<|im_end|>]")]
    [InlineData("{{ ('x ' ~ u).rsplit(' ', 1)[-1] }}", "[<|im_end|>]")]
    [InlineData("{{ ('x=' ~ u).partition('=')[2] }}", "[<|im_end|>]")]
    [InlineData("{{ ('x\n' ~ u).splitlines()[1] }}", "[<|im_end|>]")]
    [InlineData("{{ ['a', 'b'] | join(u) }}", "a[<|im_end|>]b")]
    [InlineData("{{ u.join(['a', 'b']) }}", "a[<|im_end|>]b")]
    [InlineData("{{ u | replace('im', '(im)') }}", "[<|](im)[_end|>]")]
    [InlineData("{{ 'aXb' | replace('X', u) }}", "a[<|im_end|>]b")]
    [InlineData("{{ 'aXb'.replace('X', u) }}", "a[<|im_end|>]b")]
    [InlineData("{{ ('a' ~ u) | upper }}", "A[<|IM_END|>]")]
    [InlineData("{{ u.lower() ~ u.title() }}", "[<|im_end|><|Im_End|>]")]
    [InlineData("{{ u | capitalize }}", "[<|im_end|>]")]
    [InlineData("{{ u | tojson }}", "\"[<|im_end|>]\"")]
    [InlineData("{{ {'k': [u]} | tojson }}", "{\"k\": [\"[<|im_end|>]\"]}")]
    [InlineData("{{ {u: 1} | tojson(indent=1) }}", "{\n \"[<|im_end|>]\": 1\n}")]
    [InlineData("{{ (u ~ '\n\"') | tojson }}", "\"[<|im_end|>]\\n\\\"\"")]
    [InlineData("{{ '\"' ~ q | tojson }}", "\"\"[\\\"<|im_end|>\\n]\"")]
    [InlineData("{{ [u] }}", "['[<|im_end|>]']")]
    [InlineData("{{ {u: u} | string }}", "{'[<|im_end|>]': '[<|im_end|>]'}")]
    [InlineData("{{ '%s!' % u }}", "[<|im_end|>]!")]
    [InlineData("{{ '%r %5d' % (u, 3) }}", "'[<|im_end|>]'     3")]
    [InlineData("{{ '%(a)s' | format(a=u) }}", "[<|im_end|>]")]
    [InlineData("{{ '{}:{x:>12}'.format(1, x=u) }}", "1:  [<|im_end|>]")]
    [InlineData("{{ u | e }}", "[&lt;|im_end|&gt;]")]
    [InlineData("{{ u | center(12) }}", " [<|im_end|>] ")]
    [InlineData("{{ ('a\n' ~ u) | indent(2) }}", "a\n  [<|im_end|>]")]
    [InlineData("{{ ('ab' ~ u) | truncate(9, true, '', 0) }}", "ab[<|im_en]")]
    [InlineData("{{ u | urlencode }}", "[%3C%7Cim_end%7C%3E]")]
    [InlineData("{{ u | list | join }}", "[<|im_end|>]")]
    [InlineData("{% for c in u %}{{ c }}.{% endfor %}", "[<].[|].[i].[m].[_].[e].[n].[d].[|].[>].")]
    [InlineData("{{ u | safe | string }}", "[<|im_end|>]")]
    [InlineData("{{ nothing | default(u) }}", "[<|im_end|>]")]
    [InlineData("{{ [u, 'z'] | sort | first }}", "[<|im_end|>]")]
    [InlineData("{{ [u] | map('upper') | join }}", "[<|IM_END|>]")]
    [InlineData("{{ {u: 1}.items() | list }}", "[('[<|im_end|>]', 1)]")]
    [InlineData("{% set x %}a{{ u }}{% endset %}{{ x }}", "a[<|im_end|>]")]
    [InlineData("{% filter upper %}a{{ u }}{% endfilter %}", "A[<|IM_END|>]")]
    [InlineData("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(u) ~ '!' }}", "<[<|im_end|>]>!")]
    [InlineData("{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}{{ u }}{% endcall %}", "([<|im_end|>])")]
    [InlineData("{% set ns = namespace(x='') %}{% set ns.x = ns.x + u %}{{ ns.x }}", "[<|im_end|>]")]
    [InlineData("{{ j | from_json }}", "['[<|im_end|>]']")]
    [InlineData("{{ dict(**{u: 1}) }}", "{'[<|im_end|>]': 1}")]
    [InlineData("{{ namespace({u: 1}) }}", "<Namespace {'[<|im_end|>]': 1}>")]
    [InlineData("{% macro m() %}{{ kwargs }}{% endmacro %}{{ m(**{u: 1}) }}", "{'[<|im_end|>]': 1}")]
    [InlineData("{{ [1, 2] | tojson(separators=(u, ':')) }}", "[1[<|im_end|>]2]")]
    [InlineData("{{ [1] | tojson(indent=u) }}", "[\n[<|im_end|>]1\n]")]
    [InlineData("{{ 'x'.rjust(3, u[0]) }}", "[<<x]")]
    [InlineData("{{ (u ~ '{:<2}').format('x') }}", "[<|im_end|>x ]")]
    [InlineData("{{ strftime_now(u) }}", "[<|im_end|>]")]
    [InlineData("{{ u if true else '' }}{{ '' or u }}", "[<|im_end|><|im_end|>]")]
    public void Operation_KeepsMarks(string source, string expected)
    {
        var variables = new Dictionary<string, TemplateValue>
        {
            ["u"] = TemplateValue.FromInput("<|im_end|>"),
            ["q"] = TemplateValue.FromInput("\"<|im_end|>\n"),
            ["j"] = TemplateValue.FromInput("[\"<|im_end|>\"]"),
        };
        Assert.Equal(expected, ShowMarks(ChatTemplate.Parse(source).Render(variables, TimeProvider.System)));
    }

    [Fact]
    public void TrustedText_IsNeverMarked()
    {
        var variables = new Dictionary<string, TemplateValue> { ["t"] = TemplateValue.FromText("<|im_end|>") };
        Assert.Empty(ChatTemplate.Parse("{{ t }}{{ t | tojson }}").Render(variables, TimeProvider.System).InputSpans);
    }

    [Theory]
    [MemberData(nameof(TemplateNames))]
    public void Template_EveryConversation_MarksExactlyWhatTheUserWrote(string name)
    {
        var template = ChatTemplate.Parse(TemplateReference.ReadShared(name));
        int rendered = 0;
        foreach (var conversation in TemplateReference.Conversations.EnumerateObject())
        {
            RenderedPrompt prompt;
            try
            {
                prompt = template.Render(WithIdeographs(conversation.Value), TemplateReference.Clock);
            }
            catch (ChatTemplateException)
            {
                continue;
            }

            rendered++;
            AssertSortedAndApart(prompt);
            for (int i = 0; i < prompt.Text.Length; i++)
            {
                bool isUsers = prompt.Text[i] is >= FirstIdeograph and <= LastIdeograph;
                Assert.True(isUsers == IsMarked(prompt, i), $"{conversation.Name}, character {i} of: {prompt.Text}");
            }
        }

        Assert.True(rendered >= 10, $"only {rendered} conversations were rendered");
    }

    [Theory]
    [MemberData(nameof(TemplateNames))]
    public void Template_SpecialTokensInMessages_AreMarked(string name)
    {
        const string Written = "Q<|im_end|>\nZ7";
        var template = ChatTemplate.Parse(TemplateReference.ReadShared(name));
        var conversation = JsonDocument.Parse(
            """
            {"messages": [{"role": "user", "content": "Q<|im_end|>\nZ7"}, {"role": "assistant", "content": "Q<|im_end|>\nZ7"},
                          {"role": "user", "content": "Q<|im_end|>\nZ7"}], "add_generation_prompt": true, "tools": [],
             "bos_token": "<|im_end|>", "eos_token": "<|im_end|>"}
            """).RootElement;
        var prompt = template.Render(TemplateReference.ToVariables(conversation), TemplateReference.Clock);

        int found = 0;
        for (int i = 0; (i = prompt.Text.IndexOf("<|im_end|>", i, StringComparison.Ordinal)) >= 0; i++)
        {
            bool isUsers = i > 0 && prompt.Text[i - 1] == 'Q';
            found += isUsers ? 1 : 0;
            for (int unit = i; unit < i + "<|im_end|>".Length; unit++)
            {
                Assert.True(isUsers == IsMarked(prompt, unit), $"character {unit} of: {prompt.Text}");
            }
        }

        Assert.True(found >= 1, $"{Written} is not in: {prompt.Text}");
    }

    /// <summary>The conversation with every text of the user turned to ideographs, roles and types left.</summary>
    private static Dictionary<string, TemplateValue> WithIdeographs(JsonElement conversation) =>
        conversation.EnumerateObject().ToDictionary(
        variable => variable.Name,
        variable => variable.Name is "messages" or "tools" or "documents"
            ? Translate(variable.Value, isText: false)
            : TemplateValue.FromJson(variable.Value, isInput: false));

    private static TemplateValue Translate(JsonElement value, bool isText) => value.ValueKind switch
    {
        JsonValueKind.Array => TemplateValue.FromList(value.EnumerateArray().Select(item => Translate(item, isText)).ToList()),
        JsonValueKind.Object => TemplateValue.FromMapping(value.EnumerateObject().Select(property => KeyValuePair.Create(
            property.Name, Translate(property.Value, property.Name is "content" or "text" or "city" or "query" or "id" or "tool_call_id"
                or "reasoning_content" or "thinking" or "title" || (isText && property.Name is not ("type" or "image_url")))))),
        JsonValueKind.String when isText => TemplateValue.FromInput(ToIdeographs(value.GetString()!)),
        _ => TemplateValue.FromJson(value, isInput: false),
    };

    private static string ToIdeographs(string text) => string.Concat(text.Select(unit => (char)(FirstIdeograph + (unit % 0x1000))));

    private static void AssertSortedAndApart(RenderedPrompt prompt)
    {
        int end = -1;
        foreach (var span in prompt.InputSpans)
        {
            Assert.True(span.Length > 0 && span.Start > end && span.End <= prompt.Text.Length, $"{span} after {end}");
            end = span.End;
        }
    }

    private static bool IsMarked(RenderedPrompt prompt, int index) =>
        prompt.InputSpans.Any(span => span.Start <= index && index < span.End);

    private static string ShowMarks(RenderedPrompt prompt)
    {
        AssertSortedAndApart(prompt);
        string text = prompt.Text;
        foreach (var span in prompt.InputSpans.Reverse())
        {
            text = text.Insert(span.End, "]").Insert(span.Start, "[");
        }

        return text;
    }
}
