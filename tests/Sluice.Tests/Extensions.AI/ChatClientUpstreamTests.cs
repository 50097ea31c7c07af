using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Extensions.AI;
using Sluice.Server;
using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Serving;
using Sluice.Testing;
using Sluice.Tests.Server;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Extensions.AI;

/// <summary>Chat clients of an application as models of its hub.</summary>
public sealed class ChatClientUpstreamTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_the_client_says_is_streamed_and_whole_at_every_door()
    {
        var client = new FakeClient(static (_, _) => [Say("Hel"), Say("lo"), new ChatResponseUpdate(null, [new UsageContent(new UsageDetails { InputTokenCount = 4, OutputTokenCount = 2 })]) { FinishReason = ChatFinishReason.Stop }]);
        await using var hub = await StartAsync(client);
        using (var response = await PostAsync(hub, "/v1/chat/completions", """{"model":"own","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}"""))
        {
            var events = await UpstreamHub.EventsAsync(response);
            Assert.Equal(["Hel", "lo"], events.Select(static data => data == "[DONE]" ? null : (string?)JsonNode.Parse(data)!["choices"]!.AsArray().FirstOrDefault()?["delta"]?["content"]).Where(static text => text is { Length: > 0 }));
            Assert.Contains("\"total_tokens\":6", events[^2], StringComparison.Ordinal);
        }
        foreach (var (path, body, text) in ((string, string, string)[])
            [
                ("/v1/chat/completions", """{"model":"own","messages":[{"role":"user","content":"Hi"}]}""", "\"content\":\"Hello\""),
                ("/v1/responses", """{"model":"own","input":"Hi"}""", "\"text\":\"Hello\""),
                ("/v1/messages", """{"model":"own","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}""", "\"text\":\"Hello\""),
            ])
        {
            using var response = await PostAsync(hub, path, body);
            Assert.Contains(text, await response.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_client_gets_what_was_asked_and_its_calls_are_streamed()
    {
        var client = new FakeClient(static (_, _) => [new ChatResponseUpdate(ChatRole.Assistant, [new FunctionCallContent("call_1", "look", new Dictionary<string, object?> { ["at"] = "it" })])]);
        await using var hub = await StartAsync(client);
        using var response = await PostAsync(hub, "/v1/chat/completions", """
            {"model":"own","stream":true,"temperature":0.5,"max_tokens":7,"stop":"x","min_p":0.25,"tool_choice":"required",
             "tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"at":{"type":"string"}}}}}],
             "messages":[{"role":"system","content":"Be short."},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}}]},
              {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}}]},{"role":"tool","tool_call_id":"c","content":"cat"}]}
            """);
        var events = await UpstreamHub.EventsAsync(response);
        var call = JsonNode.Parse(events.First(static data => data.Contains("tool_calls", StringComparison.Ordinal)))!["choices"]![0]!["delta"]!["tool_calls"]![0]!;
        Assert.Equal(("call_1", "look", "{\"at\":\"it\"}"), ((string?)call["id"], (string?)call["function"]!["name"], (string?)call["function"]!["arguments"]));
        Assert.Contains("\"finish_reason\":\"tool_calls\"", events[^2], StringComparison.Ordinal);
        var (messages, options) = Assert.Single(client.Asked);
        Assert.Equal(["system", "user", "assistant", "tool"], messages.Select(static message => message.Role.Value));
        Assert.Equal([1, 2, 3], Assert.Single(messages[1].Contents.OfType<DataContent>()).Data.ToArray());
        Assert.Equal("cat", Assert.Single(messages[3].Contents.OfType<FunctionResultContent>()).Result);
        Assert.Equal((0.5f, 7, "x", null), (options.Temperature, options.MaxOutputTokens, options.StopSequences![0], options.ModelId));
        Assert.Equal(ChatToolMode.RequireAny, options.ToolMode);
        Assert.Equal("look", Assert.Single(options.Tools!).Name);
        Assert.Equal(0.25, ((JsonElement)options.AdditionalProperties!["min_p"]!).GetDouble());
    }

    [Fact]
    public async Task A_failure_before_the_first_word_is_tried_again_and_its_words_stay_here()
    {
        var client = new FakeClient(static (_, count) => count == 1 ? throw new InvalidOperationException("Password=secret") : [Say("a")]);
        await using var hub = await StartAsync(client);
        using (var response = await PostAsync(hub, "/v1/chat/completions", UpstreamHub.Ask("own")))
            Assert.Contains("\"a\"", (await UpstreamHub.EventsAsync(response))[1], StringComparison.Ordinal);
        Assert.Equal(2, client.Asked.Count);

        client = new FakeClient(static (_, _) => throw new InvalidOperationException("Password=secret"));
        await using var failing = await StartAsync(client);
        using var failed = await PostAsync(failing, "/v1/chat/completions", UpstreamHub.Ask("own"));
        Assert.True((int)failed.StatusCode >= 500);
        Assert.DoesNotContain("secret", await failed.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);

        client = new FakeClient(static (_, _) => throw new HttpRequestException(HttpRequestError.Unknown, "Slow down.", null, HttpStatusCode.TooManyRequests));
        await using var limited = await StartAsync(client);
        using var refused = await PostAsync(limited, "/v1/chat/completions", UpstreamHub.Ask("own"));
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Contains("Slow down.", await refused.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_breaks_off_is_never_a_success()
    {
        var client = new FakeClient(static (_, _) => Broken());
        await using var hub = await StartAsync(client);
        using var response = await PostAsync(hub, "/v1/chat/completions", UpstreamHub.Ask("own"), ("Sluice-Rescue", "off"));
        await Assert.ThrowsAnyAsync<Exception>(async () => await UpstreamHub.EventsAsync(response));

        static IEnumerable<ChatResponseUpdate> Broken()
        {
            yield return Say("a");
            throw new InvalidOperationException("gone");
        }
    }

    [Fact]
    public async Task A_client_of_the_hub_that_leaves_ends_the_enumeration()
    {
        var client = new FakeClient(static (_, _) => [Say("a")]) { StallsAtEnd = true };
        await using var hub = await StartAsync(client);
        using (var response = await PostAsync(hub, "/v1/chat/completions", UpstreamHub.Ask("own"), ("Sluice-On-Disconnect", "cancel")))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            while (!(await reader.ReadLineAsync(Cancellation))!.Contains("\"a\"", StringComparison.Ordinal))
            {
            }
        }
        await client.Left.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
    }

    [Theory]
    [InlineData("\"n\":2", "'n'")]
    [InlineData("\"logprobs\":true", "'logprobs'")]
    public async Task What_a_chat_client_has_no_words_for_is_refused(string member, string word)
    {
        await using var hub = await StartAsync(new FakeClient(static (_, _) => [Say("a")]));
        using var response = await PostAsync(hub, "/v1/chat/completions", UpstreamHub.Ask("own", more: "," + member));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(word, await response.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_a_data_URI_is_the_clients_fault()
    {
        await using var hub = await StartAsync(new FakeClient(static (_, _) => [Say("a")]));
        using var response = await PostAsync(
            hub, "/v1/chat/completions", """{"model":"own","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"JVBERi0"}}]}]}""");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task The_model_stays_when_the_configuration_changes_and_its_name_is_taken()
    {
        await using var hub = await StartAsync(new FakeClient(static (_, _) => [Say("a")]), static model => model with { Aliases = ["mine"] });
        var applied = hub.Services.GetRequiredService<Hub>();
        applied.Apply(new SluiceOptions { Models = [] }, new ModelCatalog([]));
        using (var response = await PostAsync(hub, "/v1/chat/completions", UpstreamHub.Ask("mine"))) Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var taken = new SluiceOptions { Models = [new ModelOptions("MINE", null) { Route = new ModelRouteOptions([new UpstreamOptions("http://a/v1")]) }] };
        var exception = Assert.Throws<InvalidOperationException>(() => applied.Apply(taken, ModelCatalog.Create(taken)));
        Assert.Contains("'mine'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hub_of_code_alone_needs_no_configuration()
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSluice().AddChatClient("own", new FakeClient(static (_, _) => [Say("Hello")])).AddSluiceChatClient("own");
        using var host = builder.Build();
        await host.StartAsync(Cancellation);
        var answer = await host.Services.GetRequiredService<IChatClient>().GetResponseAsync("Hi", cancellationToken: Cancellation);
        Assert.Equal("Hello", answer.Text);
        await host.StopAsync(Cancellation);
    }

    private static ChatResponseUpdate Say(string text) => new(ChatRole.Assistant, text);

    private static async Task<ChatHub> StartAsync(IChatClient client, Func<ModelOptions, ModelOptions>? configure = null)
    {
        var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("other"));
        return new ChatHub(upstream, await EmbeddedHub.StartAsync(upstream, static app => app.MapSluice(), builder => builder.Services.AddChatClient("own", client, configure)));
    }

    private static Task<HttpResponseMessage> PostAsync(ChatHub hub, string path, string body, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return hub.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    private sealed class ChatHub(ScriptedUpstream upstream, EmbeddedHub hub) : IAsyncDisposable
    {
        public HttpClient Http => hub.Http;

        public IServiceProvider Services => hub.Services;

        public async ValueTask DisposeAsync()
        {
            await hub.DisposeAsync();
            await upstream.DisposeAsync();
        }
    }

    // Says what a function says, which gets the messages and the number of the request.
    private sealed class FakeClient(Func<IList<ChatMessage>, int, IEnumerable<ChatResponseUpdate>> answer) : IChatClient
    {
        public List<(IList<ChatMessage> Messages, ChatOptions Options)> Asked { get; } = [];

        public bool StallsAtEnd { get; init; }

        public TaskCompletionSource Left { get; } = new();

        public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

        public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
            IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            Asked.Add(([.. messages], options!));
            await Task.Yield();
            foreach (var update in answer([.. messages], Asked.Count)) yield return update;
            if (!StallsAtEnd) yield break;
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
            finally
            {
                Left.TrySetResult();
            }
        }

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
