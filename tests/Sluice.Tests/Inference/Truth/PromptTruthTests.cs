using Sluice.Inference.Prompting;
using Xunit;

namespace Sluice.Tests.Inference.Truth;

/// <summary>Rendered prompts and their tokens against llama.cpp's.</summary>
[Collection(ShippedModel.Collection)]
public sealed class PromptTruthTests(ShippedModel shipped)
{
    [Fact]
    public void Conversations_render_to_the_same_text()
    {
        foreach (var c in TruthCase.All.Where(c => c.Messages.Count > 0))
        {
            var template = shipped.Model.ChatTemplate!;
            var variables = new PromptVariables(shipped.Model.Tokenizer, template.Source).Create(Messages(c), []);
            Assert.Equal(c.Text, template.Render(variables, TimeProvider.System).Text);
        }
    }

    [Fact]
    public void Conversations_encode_to_the_same_tokens()
    {
        foreach (var c in TruthCase.All.Where(c => c.Messages.Count > 0))
        {
            Assert.Equal(c.Tokens, shipped.Engine.EncodeChat(Messages(c), TimeProvider.System));
        }
    }

    [Fact]
    public void Plain_texts_encode_to_the_same_tokens()
    {
        foreach (var c in TruthCase.All.Where(c => c.Messages.Count == 0))
        {
            var tokens = new List<int>();
            shipped.Model.Tokenizer.Encode(c.Text, parseSpecial: false, [], tokens);
            Assert.Equal(c.Tokens, tokens);
        }
    }

    private static PromptMessage[] Messages(TruthCase c) => [.. c.Messages.Select(m => new PromptMessage(m.Role, m.Content))];
}
