using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Reasoning in tags (C-09), with a scripted model whose template knows them.</summary>
public sealed class ReasoningTests
{
    private const string Head = "{# <think> </think> #}{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant{{ '\n' }}";

    [Theory]
    [InlineData("", "<think>\nOne two.\n</think>\n\nHello")]
    [InlineData("<think>", "\nOne two.\n</think>\n\nHello")]
    public async Task C09_Reasoning_comes_first_and_apart(string begun, string answer)
    {
        await using var hub = await TestHub.StartScriptedAsync(new TestHubOptions { ChatTemplate = Head + begun });
        using var client = new ApiClient(hub);
        // What the prompt has begun counts as said.
        hub.Scripts["think"] = new Script().Say(begun + answer);
        var stream = await client.StreamAsync("think", "\"stream_options\":{\"include_usage\":true}");
        var deltas = stream.Of(0).Select(chunk => chunk.GetProperty("delta")).ToArray();
        Assert.True(deltas[0].IsNull("content"));
        var reasoning = deltas.Where(delta => delta.Has("reasoning_content")).ToArray();
        Assert.All(reasoning, delta => Assert.Equal(["reasoning_content"], delta.Names()));
        Assert.Equal("One two.", string.Concat(reasoning.Select(delta => delta.Text("reasoning_content"))));
        Assert.Equal(("Hello", "stop"), (stream.Content(), stream.FinishReason()));
        Assert.InRange(stream.Usage().GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32(), 9, 20);

        var message = (await client.CompleteAsync("think")).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal(("One two.", "Hello"), (message.Text("reasoning_content"), message.Text("content")));
    }
}
