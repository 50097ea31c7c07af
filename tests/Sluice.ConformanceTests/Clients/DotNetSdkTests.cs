using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests.Clients;

/// <summary>The official .NET SDK against a hub, whichever model is behind it.</summary>
public abstract class DotNetSdkTests(HubFixture fixture)
{
    private const string Prompt = "Name three colours.";

    protected HubFixture Fixture => fixture;

    [Fact]
    public async Task Streams_and_tells_usage()
    {
        var text = new StringBuilder();
        var roles = new List<ChatMessageRole?>();
        var finishes = new List<ChatFinishReason>();
        var usages = new List<ChatTokenUsage>();
        await foreach (var update in Client(fixture.Hub).CompleteChatStreamingAsync([new UserChatMessage(Prompt)], Short()))
        {
            foreach (var part in update.ContentUpdate) text.Append(part.Text);
            if (update.Role is not null) roles.Add(update.Role);
            if (update.FinishReason is { } finish) finishes.Add(finish);
            if (update.Usage is not null) usages.Add(update.Usage);
        }

        ChatCompletion completion = await Client(fixture.Hub).CompleteChatAsync([new UserChatMessage(Prompt)], Short());
        Assert.Equal([ChatMessageRole.Assistant], roles.OfType<ChatMessageRole>());
        Assert.Equal(completion.Content[0].Text, text.ToString());
        Assert.Equal(completion.FinishReason, Assert.Single(finishes));
        var usage = Assert.Single(usages);
        Assert.Equal(
            (completion.Usage.InputTokenCount, completion.Usage.OutputTokenCount, completion.Usage.TotalTokenCount),
            (usage.InputTokenCount, usage.OutputTokenCount, usage.TotalTokenCount));
    }

    [Fact]
    public async Task Lists_models()
    {
        var client = new OpenAIModelClient(new ApiKeyCredential("none"), Options(fixture.Hub));
        OpenAIModelCollection models = await client.GetModelsAsync();
        Assert.Contains(fixture.Hub.Model, models.Select(model => model.Id));
    }

    [Fact]
    public async Task Break_frees_the_slot()
    {
        var seen = 0;
        // Without a limit the answer would go on far longer than two updates.
        await foreach (var update in Client(fixture.Hub).CompleteChatStreamingAsync([new UserChatMessage(Long())], new ChatCompletionOptions()))
        {
            if (update.ContentUpdate.Count > 0 && ++seen == 2) break;
        }

        await fixture.Hub.WhenIdleAsync();
    }

    [Fact]
    public async Task Cancellation_frees_the_slot()
    {
        using var leaving = new CancellationTokenSource();
        var seen = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Client(fixture.Hub).CompleteChatStreamingAsync([new UserChatMessage(Long())], cancellationToken: leaving.Token))
            {
                if (update.ContentUpdate.Count > 0 && ++seen == 2) await leaving.CancelAsync();
            }
        });
        await fixture.Hub.WhenIdleAsync();
    }

    protected static ChatClient Client(TestHub hub, string? model = null, string key = "none") =>
        new(model ?? hub.Model, new ApiKeyCredential(key), Options(hub));

    private static OpenAIClientOptions Options(TestHub hub) => new()
    {
        Endpoint = new Uri(hub.Address, "v1"),
        // A retry would hide what the first answer was.
        RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
    };

    private static ChatCompletionOptions Short() => new()
    {
        MaxOutputTokenCount = 12,
#pragma warning disable OPENAI001 // Marked as experimental in the SDK.
        Seed = 4,
#pragma warning restore OPENAI001
    };

    private string Long()
    {
        if (fixture.Hub.IsScripted) fixture.Hub.Scripts["forever"] = new Script().Say(" one two").Delay(TimeSpan.FromMilliseconds(1)).Say(" three").Forever();
        return fixture.Hub.IsScripted ? "forever" : "Write a very long story about the sea.";
    }
}

public sealed class ScriptedDotNetSdkTests(ScriptedHub fixture) : DotNetSdkTests(fixture), IClassFixture<ScriptedHub>
{
    [Fact]
    public async Task A_failure_in_mid_stream_raises()
    {
        Fixture.Hub.Scripts["fails"] = new Script().Say(" one two three").Throw();
        var text = new StringBuilder();
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await foreach (var update in Client(Fixture.Hub).CompleteChatStreamingAsync([new UserChatMessage("fails")]))
            {
                foreach (var part in update.ContentUpdate) text.Append(part.Text);
                Assert.Null(update.FinishReason);
            }
        });
        Assert.Equal(" one two three", text.ToString());
    }

    [Fact]
    public async Task Refusals_raise_with_their_status()
    {
        Fixture.Hub.Scripts["fails at once"] = new Script().Throw();
        await using var closed = await TestHub.StartScriptedAsync(new TestHubOptions { ApiKeys = ["sk-right"] });
        Assert.Equal(404, await StatusAsync(Client(Fixture.Hub, model: "nobody")));
        Assert.Equal(401, await StatusAsync(Client(closed, key: "sk-wrong")));
        Assert.Equal(400, await StatusAsync(Client(Fixture.Hub), new ChatCompletionOptions { Temperature = 3 }));
        Assert.Equal(500, await StatusAsync(Client(Fixture.Hub), prompt: "fails at once"));

        static async Task<int> StatusAsync(ChatClient client, ChatCompletionOptions? options = null, string prompt = "Hello")
        {
            var streamed = await Assert.ThrowsAsync<ClientResultException>(async () =>
            {
                await foreach (var _ in client.CompleteChatStreamingAsync([new UserChatMessage(prompt)], options))
                {
                }
            });
            var collected = await Assert.ThrowsAsync<ClientResultException>(() => client.CompleteChatAsync([new UserChatMessage(prompt)], options));
            Assert.Equal(streamed.Status, collected.Status);
            return streamed.Status;
        }
    }

    [Fact]
    public async Task R08_No_hub_is_an_exception()
    {
        var hub = await TestHub.StartScriptedAsync();
        await hub.DisposeAsync();
        var error = await Assert.ThrowsAsync<ClientResultException>(() => Client(hub).CompleteChatAsync([new UserChatMessage("Hello")]));
        Assert.IsType<HttpRequestException>(error.InnerException);
    }

    [Fact]
    public async Task Several_choices()
    {
        // The SDK has no parameter for it; its protocol method sends what it is given.
        var body = BinaryContent.Create(BinaryData.FromString(Fixture.Client.Chat("Hello", "\"n\":3")));
        var result = await Client(Fixture.Hub).CompleteChatAsync(body);
        var choices = Json.Parse(result.GetRawResponse().Content.ToString()).GetProperty("choices").EnumerateArray().ToList();
        Assert.Equal(["Hello", "Hello", "Hello"], choices.Select(choice => choice.GetProperty("message").Text("content")));
    }

    [Fact]
    public async Task Log_probabilities()
    {
        var options = new ChatCompletionOptions { IncludeLogProbabilities = true, TopLogProbabilityCount = 2, Temperature = 0 };
        Fixture.Hub.Scripts["logprobs"] = new Script().Mix((" red", 0.75f), (" blue", 0.25f));
        ChatCompletion completion = await Client(Fixture.Hub).CompleteChatAsync([new UserChatMessage("logprobs")], options);
        var token = Assert.Single(completion.ContentTokenLogProbabilities);
        Assert.Equal(" red", token.Token);
        Assert.Equal([" red", " blue"], token.TopLogProbabilities.Select(top => top.Token));
    }
}

[Collection(DefaultModelCollection.Name)]
public sealed class DefaultModelDotNetSdkTests(DefaultModelHub fixture) : DotNetSdkTests(fixture);
