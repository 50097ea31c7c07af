using Sluice.Testing;
using Sluice.Testing.Scripting;

namespace Sluice.ConformanceTests.Tools;

/// <summary>How the families write calls.</summary>
internal static class ToolFormats
{
    private const string Mark = "[TOOL_CALLS]";

    /// <summary>A hub with a scripted model whose template is of the family.</summary>
    public static Task<TestHub> StartAsync(ToolBackEnds family)
    {
        // ChatML with the family's mark, by which it is known.
        var opener = family switch
        {
            ToolBackEnds.Hermes => "<tool_call>",
            ToolBackEnds.Llama => "<|python_tag|>",
            ToolBackEnds.MistralList => "[TOOL_CALLS]",
            ToolBackEnds.MistralNamed => "[TOOL_CALLS][ARGS]",
            ToolBackEnds.Granite => "<|tool_call|>",
            _ => null,
        };
        return TestHub.StartScriptedAsync(new TestHubOptions
        {
            ChatTemplate = opener is null ? null : "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}{% for message in messages %}"
                + "<|im_start|>{{ message.role }}\n{{ message.content }}{% if message.tool_calls %}" + opener + "{{ message.tool_calls | tojson }}{% endif %}<|im_end|>\n"
                + "{% endfor %}<|im_start|>assistant{{ '\n' }}",
        });
    }

    /// <summary>An answer as a model of the family writes it.</summary>
    public static string Write(ToolBackEnds family, SaidAnswer said)
    {
        var separator = said.Text.Length > 0 && said.Calls.Length > 0 ? "\n\n" : "";
        var calls = said.Calls.Select(call => said.IsCustom ? call with { Arguments = $"{{\"input\": {Harness.ApiClient.Quote(call.Arguments)}}}" } : call).ToArray();
        return said.Text + separator + (calls.Length == 0 ? "" : family switch
        {
            ToolBackEnds.Hermes => string.Join("\n", calls.Select(call => $"<tool_call>\n{Object(call)}\n</tool_call>")),
            ToolBackEnds.Llama => string.Join("; ", calls.Select(call => Object(call, "parameters"))),
            ToolBackEnds.MistralList => $"[TOOL_CALLS][{Objects(calls)}]",
            ToolBackEnds.MistralNamed => string.Concat(calls.Select(call => $"[TOOL_CALLS]{call.Name}[ARGS]{call.Arguments}")),
            ToolBackEnds.Granite => $"<|tool_call|>[{Objects(calls)}]",
            _ => string.Join("\n", calls.Select(call => Object(call))),
        });
    }

    /// <summary>The script of an answer. Mistral's mark is a token without text.</summary>
    public static Script Script(string text)
    {
        var script = new Script();
        var parts = text.Split(Mark);
        for (var i = 0; i < parts.Length; i++)
        {
            if (i > 0) script.BeginToolCalls();
            script.Say(parts[i]);
        }

        return script;
    }

    private static string Objects((string Name, string Arguments)[] calls) => string.Join(", ", calls.Select(call => Object(call)));

    private static string Object((string Name, string Arguments) call, string key = "arguments") => $"{{\"name\": \"{call.Name}\", \"{key}\": {call.Arguments}}}";
}
