using Sluice.Inference.ChatTemplates;
using Sluice.Inference.Tokenization;

namespace Sluice.Inference.Generation;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">As the template knows it: system, user, assistant, tool.</param>
/// <param name="Content">What was said; never parsed for control tokens.</param>
/// <param name="Name">The speaker, for templates that print it.</param>
public sealed record PromptMessage(string Role, string Content, string? Name = null);

/// <summary>The variables that chat templates expect.</summary>
internal static class PromptVariables
{
    public static IReadOnlyDictionary<string, TemplateValue> Create(IReadOnlyList<PromptMessage> messages, Tokenizer tokenizer) =>
        new Dictionary<string, TemplateValue>
        {
            ["messages"] = TemplateValue.FromList([.. messages.Select(FromMessage)]),
            ["add_generation_prompt"] = TemplateValue.From(true),
            ["bos_token"] = TemplateValue.FromText(Piece(tokenizer, tokenizer.BeginOfSequenceToken)),
            ["eos_token"] = TemplateValue.FromText(Piece(tokenizer, tokenizer.EndOfSequenceToken)),
        };

    private static TemplateValue FromMessage(PromptMessage message)
    {
        List<KeyValuePair<string, TemplateValue>> fields =
        [
            new("role", TemplateValue.FromText(message.Role)),
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
