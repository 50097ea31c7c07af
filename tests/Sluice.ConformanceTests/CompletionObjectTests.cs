using Sluice.ConformanceTests.Harness;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>The answer to a request that did not ask for a stream (N).</summary>
public abstract class CompletionObjectTests(HubFixture fixture)
{
    private ApiClient Client => fixture.Client;

    [Fact]
    public async Task N01_N02_The_object_has_every_required_key()
    {
        var completion = await Client.CompleteAsync("Hello", "\"max_tokens\":4");
        Assert.StartsWith("chatcmpl-", completion.Text("id"), StringComparison.Ordinal);
        Assert.Equal("chat.completion", completion.Text("object"));
        Assert.Equal(fixture.Hub.Model, completion.Text("model"));
        Assert.True(completion.GetProperty("created").TryGetInt64(out _));
        var choice = Assert.Single(completion.GetProperty("choices").EnumerateArray());
        Assert.Equal(0, choice.GetProperty("index").GetInt32());
        Assert.True(choice.IsNull("logprobs"));
        Assert.Contains(choice.Text("finish_reason"), (string[])["stop", "length"]);
        var message = choice.GetProperty("message");
        Assert.Equal("assistant", message.Text("role"));
        Assert.NotNull(message.Text("content"));
        Assert.True(message.IsNull("refusal"));
        Assert.Equal("[]", message.GetProperty("annotations").GetRawText());
        var usage = completion.GetProperty("usage");
        Assert.Equal(
            usage.GetProperty("total_tokens").GetInt32(),
            usage.GetProperty("prompt_tokens").GetInt32() + usage.GetProperty("completion_tokens").GetInt32());
        Assert.False(completion.Has("error"));
    }

    [Fact]
    public async Task N03_Without_tool_calls_there_is_no_such_key()
    {
        var completion = await Client.CompleteAsync("Hello", "\"max_tokens\":4");
        Assert.False(completion.GetProperty("choices")[0].GetProperty("message").Has("tool_calls"));
    }

    [Theory]
    [InlineData("\"stream\":false")]
    [InlineData("\"stream\":null")]
    public async Task N05_Stream_false_or_null_is_the_object(string stream) =>
        Assert.Equal("chat.completion", (await Client.CompleteAsync("Hello", $"\"max_tokens\":2,{stream}")).Text("object"));

    [Fact]
    public async Task N_The_same_seed_gives_the_same_text()
    {
        var texts = new HashSet<string?>();
        for (var i = 0; i < 2; i++)
        {
            var completion = await Client.CompleteAsync("Tell me a story.", "\"max_tokens\":12,\"seed\":11");
            texts.Add(completion.GetProperty("choices")[0].GetProperty("message").Text("content"));
        }

        Assert.Single(texts);
    }
}

public sealed class ScriptedCompletionObjectTests(ScriptedHub fixture) : CompletionObjectTests(fixture), IClassFixture<ScriptedHub>
{
    private readonly ScriptedHub _fixture = fixture;

    [Fact]
    public async Task N04_A_client_that_leaves_ends_the_generation()
    {
        var hub = _fixture.Hub;
        var gate = new Gate();
        hub.Scripts["N04"] = new Script().Say(" one").Wait(gate).Say(" two");
        using var leaving = new CancellationTokenSource();
        var answer = _fixture.Client.Http.SendAsync(ApiClient.Post(_fixture.Client.Chat("N04")), leaving.Token);
        await gate.Reached;
        Assert.Equal(1, hub.ActiveCount);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        await hub.WhenIdleAsync();
        Assert.Empty(hub.Complaints);
    }
}

[Collection(DefaultModelCollection.Name)]
public sealed class DefaultModelCompletionObjectTests(DefaultModelHub fixture) : CompletionObjectTests(fixture);
