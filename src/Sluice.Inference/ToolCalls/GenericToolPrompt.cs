using System.Text;
using System.Text.Json;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>
/// Conversations with tools for models that know of none: the tools stand in the system text, a call is an object, and its result is told by
/// the user. The wording is the one of several that SmolLM2-135M decides best with; docs/design/0009-tool-calls.md has the figures.
/// </summary>
internal static class GenericToolPrompt
{
    private const string DefaultSystemText = "You are a helpful AI assistant.";

    // With the spaces of Python's JSON, which is what models have seen most of.
    private static readonly ChatTemplate s_json = ChatTemplate.Parse("{{ tool | tojson }}");

    /// <summary>What stands for a call in the conversation; the call's own text would only be repeated.</summary>
    private const string CallText = "Let me look that up.";

    /// <summary>Whether the answer follows a tool's result: then it is to be text.</summary>
    public static bool AnswersResult(IReadOnlyList<PromptMessage> messages) => messages[^1].Role == "tool";

    /// <summary>The same conversation of system, user and assistant alone.</summary>
    /// <param name="messages">At least one.</param>
    /// <param name="tools">What the model may call; may be empty.</param>
    public static IReadOnlyList<PromptMessage> Rewrite(IReadOnlyList<PromptMessage> messages, IReadOnlyList<PromptTool> tools)
    {
        var rewritten = new List<PromptMessage>(messages.Count + 1);
        string? question = null;
        for (int i = 0; i < messages.Count; i++)
        {
            PromptMessage message = messages[i];
            if (message.Role == "tool")
            {
                int end = i;
                while (end < messages.Count && messages[end].Role == "tool") end++;
                rewritten.Add(new PromptMessage("user", Results(messages, i, end, end == messages.Count ? question : null)));
                i = end - 1;
                continue;
            }

            question = message.Role == "user" ? message.Content : question;
            rewritten.Add(message.ToolCalls.Count == 0
                ? message
                : message with { Content = message.Content.Length > 0 ? message.Content : CallText, ToolCalls = [] });
        }

        if (tools.Count > 0)
        {
            AddTools(rewritten, tools);
        }

        return rewritten;
    }

    private static string Results(IReadOnlyList<PromptMessage> messages, int start, int end, string? question)
    {
        var text = new StringBuilder();
        for (int i = start; i < end; i++)
        {
            string of = end - start > 1 && messages[i].Name is { } name ? $" of {name}" : "";
            text.Append(i > start ? "\n" : "").Append("The result").Append(of).Append(" is: ").Append(messages[i].Content);
        }

        return question == null ? text.ToString() : text.Append("\n\n").Append(question).ToString();
    }

    // What was said before the last question stands in the system text too: as turns it would settle that answers are text.
    private static void AddTools(List<PromptMessage> messages, IReadOnlyList<PromptTool> tools)
    {
        bool hasSystem = messages[0].Role is "system" or "developer";
        var system = new StringBuilder(hasSystem ? messages[0].Content : DefaultSystemText).Append("\n\n");
        string role = hasSystem ? messages[0].Role : "system";
        if (hasSystem)
        {
            messages.RemoveAt(0);
        }

        if (messages.Count > 1 && messages[^1].Role == "user")
        {
            system.Append("Conversation so far:\n");
            foreach (PromptMessage message in messages.SkipLast(1))
            {
                system.Append(char.ToUpperInvariant(message.Role[0])).Append(message.Role.AsSpan(1)).Append(": ").Append(message.Content).Append('\n');
            }

            system.Append('\n');
            messages.RemoveRange(0, messages.Count - 1);
        }

        system.Append("# Tools\n\nYou may call one or more functions to assist with the user query.\n\n")
            .Append("You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n");
        foreach (PromptTool tool in tools)
        {
            system.Append(Signature(tool)).Append('\n');
        }

        system.Append("</tools>\n\nFor each function call, return a json object with function name and arguments:\n")
            .Append("{\"name\": <function-name>, \"arguments\": <args-json-object>}");
        messages.Insert(0, new PromptMessage(role, system.ToString()));
    }

    private static string Signature(PromptTool tool)
    {
        var members = new List<KeyValuePair<string, TemplateValue>>();
        foreach (string key in (ReadOnlySpan<string>)["name", "description", "parameters"])
        {
            if (tool.Definition.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null)
            {
                members.Add(new(key, TemplateValue.FromJson(value, isInput: true)));
            }
        }

        return s_json.Render(new Dictionary<string, TemplateValue> { ["tool"] = TemplateValue.FromMapping(members) }, TimeProvider.System).Text;
    }
}
