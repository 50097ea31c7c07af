using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Generation;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">system, developer, user, assistant, tool; a template that does not know developer sees system.</param>
/// <param name="Content">What was said; never parsed for control tokens.</param>
/// <param name="Name">The speaker, for templates that print it.</param>
public sealed record PromptMessage(string Role, string Content, string? Name = null);

/// <summary>The variables that chat templates expect.</summary>
internal static class PromptVariables
{
    public static IReadOnlyDictionary<string, TemplateValue> Create(
        IReadOnlyList<PromptMessage> messages, Tokenizer tokenizer, string templateSource) =>
        new Dictionary<string, TemplateValue>
        {
            ["messages"] = TemplateValue.FromList([.. messages.Select(message => FromMessage(message, templateSource))]),
            ["add_generation_prompt"] = TemplateValue.From(true),
            ["bos_token"] = TemplateValue.FromText(Piece(tokenizer, tokenizer.BeginOfSequenceToken)),
            ["eos_token"] = TemplateValue.FromText(Piece(tokenizer, tokenizer.EndOfSequenceToken)),
        };

    private static TemplateValue FromMessage(PromptMessage message, string templateSource)
    {
        // OpenAI's newer name for the same thing; a template that does not know it would print it as a role that no model was trained on.
        bool isSystem = message.Role == "developer" && !templateSource.Contains("developer", StringComparison.Ordinal);
        List<KeyValuePair<string, TemplateValue>> fields =
        [
            new("role", TemplateValue.FromText(isSystem ? "system" : message.Role)),
            new("content", TemplateValue.FromInput(message.Content)),
        ];
        if (message.Name is { } name)
        {
            fields.Add(new("name", TemplateValue.FromInput(name)));
        }

        return TemplateValue.FromMapping(fields);
    }

    private static string Piece(Tokenizer tokenizer, int? token) => token is { } id ? tokenizer.GetPiece(id) : string.Empty;
}
