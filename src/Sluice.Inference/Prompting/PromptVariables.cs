using System.Text.Json;
using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Prompting;

/// <summary>The variables that chat templates expect.</summary>
/// <param name="tokenizer">For the texts of begin and end.</param>
/// <param name="templateSource">What the template knows shows in its text.</param>
internal sealed class PromptVariables(Tokenizer tokenizer, string templateSource)
{
    private const string ThinkingKey = "thinking";
    private const string IdAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

    private static readonly Dictionary<string, JsonElement> s_none = [];

    // OpenAI's newer name for system; a template that does not know it would print it as a role that no model was trained on.
    private readonly bool _knowsDeveloper = templateSource.Contains("developer", StringComparison.Ordinal);

    // Mistral's templates refuse ids of any other length.
    private readonly bool _wantsShortIds = templateSource.Contains("length != 9", StringComparison.Ordinal);

    // What templates call the reasoning of a message; those that know no such key take it out of the content themselves, or never had it.
    private readonly string? _reasoningKey =
        templateSource.Contains("reasoning_content", StringComparison.Ordinal) ? "reasoning_content"
        : templateSource.Contains("message.thinking", StringComparison.Ordinal) ? ThinkingKey : null;

    /// <param name="messages">The conversation.</param>
    /// <param name="tools">What may be called.</param>
    /// <param name="more">Variables of the request, such as <c>enable_thinking</c>; the template's own names are not replaced.</param>
    /// <param name="ending">What follows the conversation.</param>
    public IReadOnlyDictionary<string, TemplateValue> Create(
        IReadOnlyList<PromptMessage> messages, IReadOnlyList<PromptTool> tools, IReadOnlyDictionary<string, JsonElement>? more = null,
        PromptEnding ending = PromptEnding.Answer)
    {
        var variables = new Dictionary<string, TemplateValue>
        {
            ["messages"] = TemplateValue.FromList([.. messages.Select(FromMessage)]),
            ["add_generation_prompt"] = TemplateValue.From(ending == PromptEnding.Answer),
            ["bos_token"] = TemplateValue.FromText(Piece(tokenizer.BeginOfSequenceToken)),
            ["eos_token"] = TemplateValue.FromText(Piece(tokenizer.EndOfSequenceToken)),
        };
        if (tools.Count > 0)
        {
            variables["tools"] = TemplateValue.FromList([.. tools.Select(FromTool)]);
        }

        foreach (KeyValuePair<string, JsonElement> variable in more ?? s_none)
        {
            if (variable.Key != "tools")
            {
                variables.TryAdd(variable.Key, TemplateValue.FromJson(variable.Value, isInput: true));
            }
        }

        return variables;
    }

    private static TemplateValue FromTool(PromptTool tool)
    {
        List<KeyValuePair<string, TemplateValue>> members =
        [
            .. tool.Definition.EnumerateObject()
                .Where(static member => member.Name != "strict" && member.Value.ValueKind != JsonValueKind.Null)
                .Select(static member => KeyValuePair.Create(member.Name, TemplateValue.FromJson(member.Value, isInput: true))),
        ];

        // Templates look into both, and refuse to go on where they are missing.
        if (members.TrueForAll(static member => member.Key != "description"))
        {
            members.Add(new("description", TemplateValue.FromText("")));
        }

        if (members.TrueForAll(static member => member.Key != "parameters"))
        {
            members.Add(new("parameters", TemplateValue.FromJson(PromptTool.NoParameters, isInput: false)));
        }

        return TemplateValue.FromMapping([new("type", TemplateValue.FromText("function")), new("function", TemplateValue.FromMapping(members))]);
    }

    private TemplateValue FromMessage(PromptMessage message)
    {
        List<KeyValuePair<string, TemplateValue>> fields =
        [
            new("role", TemplateValue.FromText(message.Role == "developer" && !_knowsDeveloper ? "system" : message.Role)),
            new("content", TemplateValue.FromInput(message.Content)),
        ];
        if (message.Name is { } name)
        {
            fields.Add(new("name", TemplateValue.FromInput(name)));
        }

        // The templates that call it thinking refuse it beside text where there are calls.
        if (message.Reasoning is { } reasoning && _reasoningKey != null
            && (_reasoningKey != ThinkingKey || message.ToolCalls.Count == 0 || message.Content.Length == 0))
        {
            fields.Add(new(_reasoningKey, TemplateValue.FromInput(reasoning)));
        }

        if (message.ToolCalls.Count > 0)
        {
            fields.Add(new("tool_calls", TemplateValue.FromList([.. message.ToolCalls.Select(FromCall)])));
        }

        if (message.ToolCallId is { } id)
        {
            fields.Add(new("tool_call_id", TemplateValue.FromInput(Id(id))));
        }

        return TemplateValue.FromMapping(fields);
    }

    private TemplateValue FromCall(PromptToolCall call) => TemplateValue.FromMapping(
    [
        new("id", TemplateValue.FromInput(Id(call.Id))),
        new("type", TemplateValue.FromText("function")),
        new("function", TemplateValue.FromMapping(
        [
            new("name", TemplateValue.FromInput(call.Name)),
            new("arguments", Arguments(call.Arguments)),
        ])),
    ]);

    // Templates were written for objects; what is none stays text.
    private static TemplateValue Arguments(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? TemplateValue.FromJson(document.RootElement, isInput: true)
                : TemplateValue.FromInput(text);
        }
        catch (JsonException)
        {
            return TemplateValue.FromInput(text);
        }
    }

    private string Id(string id)
    {
        if (!_wantsShortIds || (id.Length == 9 && id.All(char.IsAsciiLetterOrDigit)))
        {
            return id;
        }

        // FNV-1a, so that a call and its result keep the same id.
        ulong hash = 14695981039346656037;
        foreach (char unit in id)
        {
            hash = (hash ^ unit) * 1099511628211;
        }

        return string.Create(9, hash, static (text, rest) =>
        {
            for (int i = 0; i < text.Length; i++, rest /= (ulong)IdAlphabet.Length)
            {
                text[i] = IdAlphabet[(int)(rest % (ulong)IdAlphabet.Length)];
            }
        });
    }

    private string Piece(int? token) => token is { } id ? tokenizer.GetPiece(id) : string.Empty;
}
