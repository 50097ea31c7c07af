using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using Sluice.Client;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>What the clients go on with and what they don't, the same in every language.</summary>
public sealed class ClientBehaviourTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("sync")]
    [InlineData("async")]
    [InlineData("httpx")]
    public Task Python(string way) => CheckAsync(async (hub, url) => Read(await ClientProcess.PythonAsync(hub, "behaviour.py", url, way)));

    [Fact]
    public Task Node() => CheckAsync(async (hub, url) => Read(await ClientProcess.NodeAsync(hub, "behaviour.mjs", url)));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task DotNet(bool isAsync) => CheckAsync(async (_, url) =>
    {
        using var handler = new ResumingHandler { AttemptsMax = 3, PauseFirst = TimeSpan.FromMilliseconds(5), Silence = TimeSpan.FromSeconds(1) };
        using var http = new HttpClient(handler);
        var conversations = new List<Conversation>();
        foreach (var (expected, _) in UnreliableServer.Expected) conversations.Add(await ConverseAsync(http, url, expected.Case, isAsync));
        return conversations;
    });

    [Theory]
    [InlineData("sync")]
    [InlineData("async")]
    public async Task Python_cancels_what_is_left_while_it_waits_to_ask_again(string way)
    {
        await using var hub = await TestHub.StartScriptedAsync();
        await using var server = await UnreliableServer.StartAsync();
        Assert.Equal("left", (await ClientProcess.PythonAsync(hub, "abandoned.py", server.Url, way)).Trim());
        Assert.Equal(Keys(server, "first"), Keys(server, "cancel"));
    }

    [Fact]
    public async Task Python_passes_on_an_error_that_is_nested_too_deeply_to_be_read()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        var clients = Path.Combine(TestFiles.RepositoryRoot, "clients", "python");
        var output = await ClientProcess.PythonCodeAsync(hub, null, $$"""
            import sys
            import httpx
            sys.path.insert(0, r"{{clients}}")
            import sluice_client
            event = b'data: {"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n"
            headers = {"Sluice-Stream-Id": "chatcmpl-a", "Content-Type": "text/event-stream"}
            transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, content=event))
            with sluice_client.http_client(httpx, transport=transport) as client:
                print(client.post("http://hub/v1/chat/completions", json={}).content == event)
            """);
        Assert.Equal("True", output.Trim());
    }

    [Fact]
    public async Task Node_cancels_each_of_two_equal_requests_that_are_left_unanswered()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        await using var server = await UnreliableServer.StartAsync();
        using var process = await ClientProcess.StartNodeAsync(hub, "abandoned.mjs", server.Url);
        try
        {
            using var patience = new CancellationTokenSource(s_patience);
            Assert.Equal("waiting", await process.StandardOutput.ReadLineAsync(patience.Token));
            await server.WaitForAsync("abandoned", 2, patience.Token);
            await process.StandardInput.WriteLineAsync("leave");
            await process.StandardInput.FlushAsync(patience.Token);
            await server.WaitForAsync("cancel", 2, patience.Token);
            Assert.Equal(Keys(server, "abandoned").Order(), Keys(server, "cancel").Order());
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }

    [Fact]
    public async Task DotNet_cancels_each_of_two_equal_requests_that_are_left_unanswered()
    {
        await using var server = await UnreliableServer.StartAsync();
        var time = new ManualTimeProvider();
        using var http = new HttpClient(new ResumingHandler { Time = time, PauseFirst = TimeSpan.Zero });
        await ConverseAsync(http, server.Url, "whole", isAsync: true);
        using var patience = new CancellationTokenSource(s_patience);
        using var leaves = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var requests = new[] { PostAsync(), PostAsync() };
        await server.WaitForAsync("abandoned", 2, patience.Token);
        await leaves.CancelAsync();
        foreach (var request in requests) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        // The first to be left can't be what an SDK repeats, for the second has taken its place.
        await server.WaitForAsync("cancel", 1, patience.Token);
        time.Advance(TimeSpan.FromSeconds(3));
        await server.WaitForAsync("cancel", 2, patience.Token);
        Assert.Equal(Keys(server, "abandoned").Order(), Keys(server, "cancel").Order());

        async Task PostAsync()
        {
            using var content = new StringContent("""{"model":"abandoned","messages":[]}""");
            using var response = await http.PostAsync(new Uri(server.Url + "/chat/completions"), content, leaves.Token);
        }
    }

    [Theory]
    [InlineData("stopped-404")]
    [InlineData("stopped-stubborn")]
    public async Task DotNet_passes_on_that_the_hub_has_stopped_when_there_is_no_rest_to_be_had(string name)
    {
        await using var server = await UnreliableServer.StartAsync();
        using var http = new HttpClient(new ResumingHandler { AttemptsMax = 3, PauseFirst = TimeSpan.FromMilliseconds(5) });
        using var request = new HttpRequestMessage(HttpMethod.Post, server.Url + "/chat/completions") { Content = new StringContent($$"""{"model":"{{name}}"}""") };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        var lines = new List<string>();
        await Assert.ThrowsAsync<HttpIOException>(async () =>
        {
            while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line) lines.Add(line);
        });
        Assert.Contains("\"code\":\"server_shutdown\"", Assert.Single(lines, line => line.Contains("error", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    private static IEnumerable<string> Keys(UnreliableServer server, string name) => server.CallsOf(name).Select(call => call.Headers["Idempotency-Key"]);

    private static async Task<Conversation> ConverseAsync(HttpClient http, string url, string name, bool isAsync)
    {
        var options = new OpenAIClientOptions { Endpoint = new Uri(url), Transport = new HttpClientPipelineTransport(http), RetryPolicy = new ClientRetryPolicy(maxRetries: 0) };
        if (name == "timeout") (options.NetworkTimeout, options.RetryPolicy) = (TimeSpan.FromSeconds(1), new ClientRetryPolicy(maxRetries: 1));
        if (name.Contains("key", StringComparison.Ordinal)) options.AddPolicy(new Key("mine-" + name), PipelinePosition.PerCall);
        var client = new ChatClient(name, new ApiKeyCredential("sk-client"), options);
        var text = "";
        try
        {
            if (name == "whole")
            {
                ChatCompletion completion = isAsync ? await client.CompleteChatAsync([new UserChatMessage("Hi")]) : client.CompleteChat([new UserChatMessage("Hi")]);
                return new Conversation(name, completion.Content[0].Text, HasFailed: false);
            }
            if (isAsync)
            {
                await foreach (var update in client.CompleteChatStreamingAsync([new UserChatMessage("Hi")]))
                {
                    text += string.Concat(update.ContentUpdate.Select(part => part.Text));
                    if (name.StartsWith("leave", StringComparison.Ordinal) && text.Length > 0) break;
                }
            }
            else
            {
                foreach (var update in client.CompleteChatStreaming([new UserChatMessage("Hi")]))
                {
                    text += string.Concat(update.ContentUpdate.Select(part => part.Text));
                    if (name.StartsWith("leave", StringComparison.Ordinal) && text.Length > 0) break;
                }
            }
            return new Conversation(name, text, HasFailed: false);
        }
        catch (Exception error) when (error is IOException or ClientResultException)
        {
            return new Conversation(name, text, HasFailed: true);
        }
    }

    private static List<Conversation> Read(string output) =>
    [
        .. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Json.Parse)
            .Select(line => new Conversation(line.Text("case")!, line.Text("text")!, line.GetProperty("failed").GetBoolean())),
    ];

    private static async Task CheckAsync(Func<TestHub, string, Task<List<Conversation>>> converse)
    {
        // Only for the names and addresses that client programs are started with.
        await using var hub = await TestHub.StartScriptedAsync();
        await using var server = await UnreliableServer.StartAsync();
        var conversations = await converse(hub, server.Url);
        Assert.Equal(UnreliableServer.Expected.Select(expected => expected.Conversation), conversations);
        Assert.Equal(
            UnreliableServer.Expected.Select(expected => $"{expected.Conversation.Case}: {expected.CallCount}"),
            conversations.Select(conversation => $"{conversation.Case}: {server.CallsOf(conversation.Case).Count}"));
        foreach (var conversation in conversations)
        {
            var calls = server.CallsOf(conversation.Case);
            Assert.Single(calls.Select(call => (call.Body, call.Headers["Idempotency-Key"], call.Headers["Authorization"])).Distinct());
        }
        Assert.Equal("mine-key", server.CallsOf("key")[0].Headers["Idempotency-Key"]);
        Assert.Equal(
            ["chatcmpl-a:3", "chatcmpl-a:2", "chatcmpl-a:0"], ((string[])["cut", "middle", "early"]).Select(name => server.CallsOf(name)[1].Headers["Last-Event-ID"]));
        // Whoever leaves says so, unless the key is the application's.
        using var patience = new CancellationTokenSource(s_patience);
        await server.WaitForAsync("cancel", 1, patience.Token);
        var cancel = Assert.Single(server.CallsOf("cancel"));
        var left = server.CallsOf("leave")[0];
        Assert.Equal((left.Headers["Idempotency-Key"], "Bearer sk-client"), (cancel.Headers["Idempotency-Key"], cancel.Headers["Authorization"]));
        await left.Aborted.WaitAsync(s_patience);
        await server.CallsOf("leave-key")[0].Aborted.WaitAsync(s_patience);
    }

    private sealed class Key(string key) : PipelinePolicy
    {
        public override void Process(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
        {
            message.Request.Headers.Set("Idempotency-Key", key);
            ProcessNext(message, pipeline, currentIndex);
        }

        public override ValueTask ProcessAsync(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
        {
            message.Request.Headers.Set("Idempotency-Key", key);
            return ProcessNextAsync(message, pipeline, currentIndex);
        }
    }
}
