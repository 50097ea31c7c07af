using System.Text;
using System.Text.Json;
using Sluice.Inference.Prompting;

namespace Sluice.Inference.ToolCalls;

/// <summary>Writes calls that are no JSON as an answer would have them, for templates that leave them out of histories.</summary>
internal static class CallWriter
{
    /// <summary>Calls with their arguments in tags.</summary>
    public static string Write(CallTags tags, string opener, IReadOnlyList<PromptToolCall> calls)
    {
        var text = new StringBuilder();
        foreach (PromptToolCall call in calls)
        {
            text.Append(text.Length > 0 ? "\n" : "").Append(opener).Append(tags.CallOpener.Length > 0 ? "\n" : "").Append(tags.CallOpener).Append(call.Name).Append(tags.NameEnd).Append('\n');
            foreach (JsonProperty argument in Arguments(call))
            {
                string value = argument.Value.ValueKind == JsonValueKind.String ? argument.Value.GetString()! : argument.Value.GetRawText();
                string line = tags.HasLines ? "\n" : "";
                text.Append(tags.KeyOpener).Append(argument.Name).Append(tags.KeyCloser).Append(tags.ValueOpener.Length > 0 ? "\n" : "").Append(tags.ValueOpener)
                    .Append(line).Append(value).Append(line).Append(tags.ValueCloser).Append('\n');
            }

            text.Append(tags.CallCloser).Append(tags.Closer.Length > 0 ? "\n" : "").Append(tags.Closer);
        }

        return text.ToString();
    }

    /// <summary>Calls with literals.</summary>
    public static string Write(CallLiterals style, string opener, IReadOnlyList<PromptToolCall> calls)
    {
        IEnumerable<string> texts = calls.Select(call =>
        {
            var text = new StringBuilder(style.CallOpener).Append(call.Name).Append(style.ArgumentsOpener);
            string separator = style.Quote.Length > 0 ? "," : ", ";
            text.AppendJoin(separator, Arguments(call).Select(argument => $"{argument.Name}{style.Assign}{Literal(style, argument.Value)}"));
            return text.Append(style.ArgumentsCloser).ToString();
        });
        return style.ListOpener.Length > 0 ? $"{opener}{style.ListOpener}{string.Join(", ", texts)}{style.ListCloser}{style.Closer}"
            : string.Concat(texts.Select(text => $"{opener}{text}{style.Closer}"));
    }

    /// <summary>Calls that are a name and an object.</summary>
    public static string Write(CallMarks marks, string opener, IReadOnlyList<PromptToolCall> calls) =>
        opener + string.Concat(calls.Select(call => $"{marks.CallOpener}{call.Name}{marks.Separator}{call.Arguments}{marks.CallCloser}")) + marks.Closer;

    private static IEnumerable<JsonProperty> Arguments(PromptToolCall call)
    {
        try
        {
            JsonElement root = JsonElement.Parse(call.Arguments);
            return root.ValueKind == JsonValueKind.Object ? [.. root.EnumerateObject()] : [];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    private static string Literal(CallLiterals style, JsonElement value)
    {
        bool isPython = style.Quote.Length == 0;
        return value.ValueKind switch
        {
            JsonValueKind.String => isPython ? value.GetRawText() : style.Quote + value.GetString() + style.Quote,
            JsonValueKind.True => isPython ? "True" : "true",
            JsonValueKind.False => isPython ? "False" : "false",
            JsonValueKind.Null => isPython ? "None" : "null",
            JsonValueKind.Array => $"[{string.Join(isPython ? ", " : ",", value.EnumerateArray().Select(item => Literal(style, item)))}]",
            JsonValueKind.Object => $"{{{string.Join(isPython ? ", " : ",", value.EnumerateObject().Select(member => $"{(isPython ? $"\"{member.Name}\": " : member.Name + ":")}{Literal(style, member.Value)}"))}}}",
            _ => value.GetRawText(),
        };
    }
}
