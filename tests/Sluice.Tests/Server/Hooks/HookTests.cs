using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Hooks;

/// <summary>A server that is asked before an answer and told after it.</summary>
public sealed class HookTests
{
    private const string Chat = "/v1/chat/completions";
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_hook_sees_the_request_and_lets_it_pass()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(Replies("""{"action":"pass"}"""), ScriptedUpstream.Refuses(204, ""));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root + "/check?a=1") { ApiKey = "s3cret" } });
        using var client = new HttpClient { BaseAddress = hub.Address };
        Assert.Contains("fine", await PostAsync(client, Chat, Body("hello", stream: true)), StringComparison.Ordinal);
        Assert.Contains("fine", await PostAsync(client, Chat, Body("hello", stream: false)), StringComparison.Ordinal);
        var call = hook.Calls[0];
        Assert.Equal(("/check?a=1", "Bearer s3cret"), (call.Target, call.Headers["Authorization"]));
        using var asked = JsonDocument.Parse(call.Body);
        var root = asked.RootElement;
        Assert.Equal(("before", "chat", "m", true), (root.GetProperty("hook").GetString(), root.GetProperty("door").GetString(), root.GetProperty("model").GetString(), root.GetProperty("stream").GetBoolean()));
        Assert.StartsWith("req_", root.GetProperty("request_id").GetString(), StringComparison.Ordinal);
        Assert.Equal("hello", root.GetProperty("request").GetProperty("messages")[0].GetProperty("content").GetString());
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Fact]
    public async Task A_hook_can_read_whatever_the_hub_takes_for_a_request()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(Replies("""{"action":"pass"}"""));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) { OnFailure = HookFailure.Pass } });
        using var client = new HttpClient { BaseAddress = hub.Address };
        foreach (var body in (string[])["\uFEFF" + Body("hello", stream: false), Body("\\ud83d", stream: false)])
        {
            Assert.Contains("fine", await PostAsync(client, Chat, body), StringComparison.Ordinal);
            using var asked = JsonDocument.Parse(hook.Calls[^1].Body);
            Assert.NotNull(asked.RootElement.GetProperty("request").GetProperty("messages")[0].GetProperty("content").GetString());
        }
        Assert.Equal(2, hook.Calls.Count);
    }

    [Fact]
    public async Task A_refusal_that_is_cut_in_a_character_is_a_refusal()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("never"));
        await using var hook = await ScriptedUpstream.StartAsync(Replies("""{"action":"refuse","message":"No \ud83d"}"""));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) });
        using var client = new HttpClient { BaseAddress = hub.Address };
        using var response = await client.PostAsync(new Uri(Chat, UriKind.Relative), Json(Body("hello", stream: false)));
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Empty(upstream.Calls);
    }

    [Fact]
    public async Task A_changed_request_is_what_the_upstream_gets()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(Replies("""{"action":"change","request":{"model":"m","stream":true,"messages":[{"role":"user","content":"[name] is ill"}]}}"""));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) });
        using var client = new HttpClient { BaseAddress = hub.Address };
        Assert.Contains("fine", await PostAsync(client, Chat, Body("Anna is ill", stream: true)), StringComparison.Ordinal);
        Assert.Contains("[name] is ill", upstream.Calls[0].Body, StringComparison.Ordinal);
        Assert.DoesNotContain("Anna", upstream.Calls[0].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_retry_with_the_same_key_joins_although_the_hook_changes_each_request_differently()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("once"), ScriptedUpstream.Says("twice"));
        var count = 0;
        await using var hook = await ScriptedUpstream.StartAsync(reply => Replies(
            $$$"""{"action":"change","request":{"model":"m","messages":[{"role":"user","content":"at {{{Interlocked.Increment(ref count)}}}"}]}}""")(reply));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) });
        using var client = new HttpClient { BaseAddress = hub.Address };
        client.DefaultRequestHeaders.Add("Idempotency-Key", "k-1");
        var first = await PostAsync(client, Chat, Body("hello", stream: false));
        Assert.Equal(first, await PostAsync(client, Chat, Body("hello", stream: false)));
        Assert.Equal((2, 1), (hook.Calls.Count, upstream.Calls.Count));
    }

    [Theory]
    [InlineData(Chat, """{"model":"m","messages":[{"role":"user","content":"x"}]}""", "error.message", "error.code")]
    [InlineData("/v1/completions", """{"model":"m","prompt":"x"}""", "error.message", "error.code")]
    [InlineData("/v1/responses", """{"model":"m","input":"x"}""", "error.message", "error.code")]
    [InlineData("/v1/embeddings", """{"model":"m","input":"x"}""", "error.message", "error.code")]
    [InlineData("/v1/rerank", """{"model":"m","query":"x","documents":["y"]}""", "error.message", "error.code")]
    [InlineData("/v1/messages", """{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}""", "error.message", null)]
    [InlineData("/api/chat", """{"model":"m","messages":[{"role":"user","content":"x"}]}""", "error", null)]
    [InlineData("/api/generate", """{"model":"m","prompt":"x"}""", "error", null)]
    [InlineData("/api/embed", """{"model":"m","input":"x"}""", "error", null)]
    public async Task Every_door_says_a_refusal_in_its_own_shape(string path, string body, string message, string? code)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("never"));
        await using var hook = await ScriptedUpstream.StartAsync(Replies("""{"action":"refuse","status":422,"message":"No names of patients, please.","code":"patient_name"}"""));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) });
        using var client = new HttpClient { BaseAddress = hub.Address };
        using var response = await client.PostAsync(new Uri(path, UriKind.Relative), Json(body));
        using var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal((HttpStatusCode)422, response.StatusCode);
        Assert.Equal("No names of patients, please.", Find(error.RootElement, message));
        if (code is not null) Assert.Equal("patient_name", Find(error.RootElement, code));
        Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
        Assert.Empty(upstream.Calls);
        Assert.Single(hook.Calls);
    }

    [Theory]
    [InlineData(HookFailure.Refuse)]
    [InlineData(HookFailure.Pass)]
    public async Task Without_a_reply_in_time_the_request_goes_as_configured(HookFailure failure)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) { Timeout = s_short, OnFailure = failure } });
        await AssertFailedAsync(hub, upstream, failure, "it said nothing within 0.2 s");
    }

    [Theory]
    [InlineData("""{"action":"chnage","request":{}}""", "its 'action' is not one of pass, refuse, change")]
    [InlineData("[]", "its reply is not a JSON object")]
    [InlineData("yes", "its reply is not valid JSON")]
    [InlineData("""{"action":"refuse","status":200,"message":"no"}""", "the 'status' of its refusal is not between 400 and 499")]
    [InlineData("""{"action":"refuse"}""", "its refusal has no 'message'")]
    [InlineData("""{"action":"change","request":"x"}""", "'request' is not an object")]
    [InlineData("""{"action":"change","request":{"messages":[]}}""", "the changed request is not valid")]
    [InlineData("""{"action":"change","request":{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}}""", "it changes 'stream'")]
    [InlineData("""{"action":"change","request":{"model":"secret","messages":[{"role":"user","content":"x"}]}}""", "asks for the model 'secret'")]
    public async Task A_reply_that_is_not_valid_is_none(string reply, string problem)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(Replies(reply));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) });
        await AssertFailedAsync(hub, upstream, HookFailure.Refuse, problem);
        Assert.Single(hook.Calls);
    }

    [Fact]
    public async Task A_hook_that_fails_or_is_not_there_is_none()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, "oops"));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) });
        await AssertFailedAsync(hub, upstream, HookFailure.Refuse, "status 500");
        await hook.DisposeAsync();
        await AssertFailedAsync(hub, upstream, HookFailure.Refuse, "refused");
    }

    [Fact]
    public async Task More_than_a_number_do_not_wait_for_a_hook()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(Replies(""));
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions(hook.Root) }, new Limits { HookCallsMax = 0 });
        await AssertFailedAsync(hub, upstream, HookFailure.Refuse, "too many requests wait");
        Assert.Empty(hook.Calls);
    }

    [Fact]
    public async Task The_hook_after_an_answer_gets_a_streamed_one_as_an_object_with_its_usage()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            ScriptedUpstream.Role(), ScriptedUpstream.Text("All "), ScriptedUpstream.Text("well"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(7, 3)));
        await using var hook = await ScriptedUpstream.StartAsync(Replies(""));
        await using var hub = await StartAsync(
            upstream, new AnswerHooks { After = new HookOptions(hook.Root) },
            configure: options => options with { Keys = [new KeyOptions("alice", "sk-alice-0123456789")] });
        using var client = new HttpClient { BaseAddress = hub.Address };
        client.DefaultRequestHeaders.Add("Authorization", "Bearer sk-alice-0123456789");
        var text = await PostAsync(client, Chat, Body("hello", stream: true));
        using var told = JsonDocument.Parse((await hook.NextCallAsync(Patience())).Body);
        var root = told.RootElement;
        Assert.Equal(("after", "completed", "alice"), (root.GetProperty("hook").GetString(), root.GetProperty("outcome").GetString(), root.GetProperty("key").GetString()));
        Assert.Equal(("chat", true), (root.GetProperty("door").GetString(), root.GetProperty("stream").GetBoolean()));
        Assert.Contains(root.GetProperty("id").GetString()!, text, StringComparison.Ordinal);
        var usage = root.GetProperty("usage");
        Assert.Equal((7, 3, 10, false), (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32(), usage.GetProperty("total_tokens").GetInt32(), usage.GetProperty("estimated").GetBoolean()));
        Assert.Equal("All well", root.GetProperty("result").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(JsonValueKind.Null, root.GetProperty("error").ValueKind);
        Assert.DoesNotContain("sk-alice", told.RootElement.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_hook_after_an_answer_learns_of_one_that_broke_off_and_of_one_that_was_left()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            async reply =>
            {
                await reply.EventAsync(ScriptedUpstream.Role());
                await reply.EventAsync(ScriptedUpstream.Text("Half"));
                await reply.CutAsync();
            },
            async reply =>
            {
                await reply.EventAsync(ScriptedUpstream.Role());
                await reply.EventAsync(ScriptedUpstream.Text("Begun"));
                await reply.StallAsync();
            });
        await using var hook = await ScriptedUpstream.StartAsync(Replies(""));
        await using var hub = await StartAsync(upstream, new AnswerHooks { After = new HookOptions(hook.Root) }, new Limits { UnseenGrace = TimeSpan.Zero }, rescue: false);
        using var client = new HttpClient { BaseAddress = hub.Address };
        try
        {
            await PostAsync(client, Chat, Body("hello", stream: true));
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            // The body ends in the middle, as a cut answer does.
        }
        using (var failed = JsonDocument.Parse((await hook.NextCallAsync(Patience())).Body))
        {
            Assert.Equal("failed", failed.RootElement.GetProperty("outcome").GetString());
            Assert.NotEqual(JsonValueKind.Null, failed.RootElement.GetProperty("error").GetProperty("message").ValueKind);
            Assert.True(failed.RootElement.GetProperty("usage").GetProperty("estimated").GetBoolean());
        }
        using (var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = Json(Body("other", stream: true)) })
        using (var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        {
            await using var stream = await response.Content.ReadAsStreamAsync();
            await stream.ReadExactlyAsync(new byte[10]);
        }
        using var left = JsonDocument.Parse((await hook.NextCallAsync(Patience())).Body);
        Assert.Equal("cancelled", left.RootElement.GetProperty("outcome").GetString());
        Assert.Equal("Begun", left.RootElement.GetProperty("result").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Nobody_waits_for_the_hook_after_an_answer_and_what_does_not_fit_is_dropped()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        await using var hook = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        await using var hub = await StartAsync(
            upstream, new AnswerHooks { After = new HookOptions(hook.Root) { Timeout = s_long } },
            new Limits { HookReportsMax = 1, HookSenders = 1, HookRest = TimeSpan.FromMilliseconds(1) });
        using var client = new HttpClient { BaseAddress = hub.Address };
        for (var i = 0; i < 4; i++) Assert.Contains("fine", await PostAsync(client, Chat, Body("hello", stream: false)), StringComparison.Ordinal);
        using var patience = new CancellationTokenSource(s_long);
        while (!hub.Complaints.Any(line => line.Contains("too many reports wait", StringComparison.Ordinal))) await Task.Delay(10, patience.Token);
    }

    [Fact]
    public async Task An_applications_handler_takes_the_calls()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("fine"));
        using var handler = new RuleHandler();
        Assert.NotNull(CreateOptions().Hooks.Before);
        await using var hub = await StartAsync(upstream, new AnswerHooks { Before = new HookOptions("http://in.process/") { Handler = handler } });
        using var client = new HttpClient { BaseAddress = hub.Address };
        using var response = await client.PostAsync(new Uri(Chat, UriKind.Relative), Json(Body("hello", stream: true)));
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("refused_by_hook", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static SluiceOptions CreateOptions()
    {
        // As in docs/hooks.md.
        var options = new SluiceOptions
        {
            Models = [],
            Hooks = new AnswerHooks
            {
                Before = new HookOptions("http://in.process/") { Handler = new RuleHandler(), OnFailure = HookFailure.Refuse },
                After = new HookOptions("http://127.0.0.1:9000/after") { Timeout = TimeSpan.FromSeconds(5) },
            },
        };
        return options;
    }

    private sealed class RuleHandler : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent("""{"action":"refuse","message":"Not here."}""") });
    }

    private static async Task AssertFailedAsync(TestHub hub, ScriptedUpstream upstream, HookFailure failure, string problem)
    {
        using var client = new HttpClient { BaseAddress = hub.Address };
        using var response = await client.PostAsync(new Uri(Chat, UriKind.Relative), Json(Body("hello", stream: false)));
        var text = await response.Content.ReadAsStringAsync();
        Assert.Contains(hub.Complaints, line => line.Contains(problem, StringComparison.OrdinalIgnoreCase));
        if (failure == HookFailure.Pass)
        {
            Assert.Contains("fine", text, StringComparison.Ordinal);
            return;
        }
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("\"code\":\"hook_unavailable\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
        Assert.Empty(upstream.Calls);
    }

    private static Task<TestHub> StartAsync(
        ScriptedUpstream upstream, AnswerHooks hooks, Limits? limits = null, Func<SluiceOptions, SluiceOptions>? configure = null, bool rescue = true) =>
        TestHub.StartConfiguredAsync(
            $"  - {{id: m, rescue: {(rescue ? "true" : "false")}, upstreams: [{{url: \"{upstream.Url}\"}}]}}\n",
            new TestHubOptions { Limits = limits ?? new Limits(), Configure = options => configure?.Invoke(options with { Hooks = hooks }) ?? options with { Hooks = hooks } });

    private static Func<UpstreamReply, Task> Replies(string json) => ScriptedUpstream.Refuses(200, json);

    private static string Body(string text, bool stream) =>
        $$"""{"model":"m","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"{{text}}"}]}""";

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    private static async Task<string> PostAsync(HttpClient client, string path, string body)
    {
        using var response = await client.PostAsync(new Uri(path, UriKind.Relative), Json(body));
        return await response.Content.ReadAsStringAsync();
    }

    private static string? Find(JsonElement root, string path)
    {
        foreach (var name in path.Split('.')) root = root.GetProperty(name);
        return root.GetString();
    }

    private static CancellationToken Patience() => new CancellationTokenSource(s_long).Token;
}
