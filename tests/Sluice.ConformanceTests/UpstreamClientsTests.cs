using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using Sluice.ConformanceTests.Harness;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Xunit;
using static Sluice.Testing.ScriptedUpstream;

namespace Sluice.ConformanceTests;

/// <summary>The official SDKs, through the hub, in front of upstreams that answer, call tools, are late, break off and are rescued, or fail. The scripts have the assertions.</summary>
public sealed class UpstreamClientsTests : IAsyncLifetime
{
    private const string Busy = """{"error":{"message":"busy","type":"overloaded","param":null,"code":null}}""";

    // Two calls, interleaved, as no client takes them.
    private static readonly Func<UpstreamReply, Task> s_tools = Frames(
        Role(),
        Call("""{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"""),
        Call("""{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}"""),
        Call("""{"index":0,"function":{"arguments":"{\"x\":"}}"""),
        Call("""{"index":1,"function":{"arguments":"{}"}}"""),
        Call("""{"index":0,"function":{"arguments":"1}"}}"""),
        Finish("tool_calls"));

    private readonly List<ScriptedUpstream> _upstreams = [];
    private TestHub? _hub;

    private TestHub Hub => _hub!;

    private static string Call(string fragment) => Chunk($$"""{"index":0,"delta":{"tool_calls":[{{fragment}}]},"finish_reason":null}""");

    private static Func<UpstreamReply, Task> Answers(params string[] texts) => Frames([Role(), .. texts.Select(text => Text(text)), Finish(), Usage()]);

    private static Func<UpstreamReply, Task> Breaks(params string[] texts) => async reply =>
    {
        await reply.EventAsync(Role());
        foreach (var text in texts) await reply.EventAsync(Text(text));
        await reply.CutAsync();
    };

    public async ValueTask InitializeAsync()
    {
        var models = new StringBuilder();
        await AddAsync("plain", Answers("Gr", "üß", "e 🙂"));
        await AddAsync("tools", s_tools);
        // Long enough for comments, which come every 20 ms here.
        await AddAsync("slow", async reply =>
        {
            await Task.Delay(300);
            await Answers("Hel", "lo")(reply);
        });
        await AddAsync("rescued", Breaks("The quick", " brown"), Answers("The ", "quick br", "own fox"));
        await AddAsync("broken", Breaks("The quick"));
        await AddAsync("limited", Refuses(429, Busy, ("retry-after", "30")));
        await AddAsync("down", Refuses(503, Busy));
        var limits = new Limits { HeadersHeld = TimeSpan.FromMilliseconds(20), HeartbeatInterval = TimeSpan.FromMilliseconds(20), BackoffFirst = TimeSpan.FromMilliseconds(1), BreakerFaults = 1000 };
        _hub = await TestHub.StartConfiguredAsync(models.ToString(), new TestHubOptions { Limits = limits });

        async Task AddAsync(string model, params Func<UpstreamReply, Task>[] places)
        {
            models.Append($"  - id: {model}\n    upstreams:\n");
            foreach (var place in places)
            {
                var upstream = await StartAsync(place);
                _upstreams.Add(upstream);
                models.Append($"      - url: \"{upstream.Url}\"\n");
            }
        }
    }

    [Fact]
    public Task Python_is_served_whatever_upstreams_do() => ClientProcess.PythonAsync(Hub, "upstreams.py");

    [Fact]
    public Task Node_is_served_whatever_upstreams_do() => ClientProcess.NodeAsync(Hub, "upstreams.mjs");

    [Theory]
    [InlineData("plain", "Grüße 🙂")]
    [InlineData("slow", "Hello")]
    [InlineData("rescued", "The quick brown fox")]
    public async Task DotNet_reads_answers(string model, string content)
    {
        var (text, updates) = (new StringBuilder(), new List<StreamingChatCompletionUpdate>());
        await foreach (var update in Client(model).CompleteChatStreamingAsync([new UserChatMessage("Hi")]))
        {
            updates.Add(update);
            foreach (var part in update.ContentUpdate) text.Append(part.Text);
        }
        Assert.Equal(content, text.ToString());
        Assert.Single(updates, update => update.Role is not null);
        Assert.Single(updates, update => update.FinishReason == ChatFinishReason.Stop);
        Assert.Equal(10, Assert.Single(updates, update => update.Usage is not null).Usage.TotalTokenCount);
        ChatCompletion whole = await Client(model).CompleteChatAsync([new UserChatMessage("Hi")]);
        Assert.Equal((content, 10), (whole.Content[0].Text, whole.Usage.TotalTokenCount));
    }

    [Fact]
    public async Task DotNet_raises_what_breaks_off_for_good()
    {
        var text = new StringBuilder();
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await foreach (var update in Client("broken").CompleteChatStreamingAsync([new UserChatMessage("Hi")]))
            {
                foreach (var part in update.ContentUpdate) text.Append(part.Text);
                Assert.Null(update.FinishReason);
            }
        });
        Assert.Equal("The quick", text.ToString());
        var error = await Assert.ThrowsAsync<ClientResultException>(() => Client("broken").CompleteChatAsync([new UserChatMessage("Hi")]));
        Assert.Equal(502, error.Status);
    }

    [Theory]
    [InlineData("slow", ": keep-alive")]
    [InlineData("rescued", ": rescued by rerun")]
    public async Task The_comments_that_the_SDKs_pass_over_are_there(string model, string comment)
    {
        using var client = new ApiClient(Hub);
        using var response = await client.SendAsync(client.Chat("Hi", "\"stream\":true", model: model));
        Assert.Contains(comment + "\n", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        await Hub.DisposeAsync();
        foreach (var upstream in _upstreams) await upstream.DisposeAsync();
    }

    private ChatClient Client(string model) => new(model, new ApiKeyCredential("none"), new OpenAIClientOptions
    {
        Endpoint = new Uri(Hub.Address, "v1"),
        RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
    });
}
