using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Sluice.Protocol.Messages;
using Sluice.Server.Access;
using Sluice.Server.Answers;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Door-099: Claude Code names its session, and asks again in the same words when it has kept nothing of a broken answer.</summary>
public sealed class ClaudeCodeRetryTests
{
    private const string Body = """{"model":"m","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"Hi"}]}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static async Task<HttpResponseMessage> PostAsync(UpstreamHub hub, string session, string agent = "", string body = Body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/messages?beta=true") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (session.Length > 0) request.Headers.Add("x-claude-code-session-id", session);
        if (agent.Length > 0) request.Headers.Add("x-claude-code-agent-id", agent);
        return await hub.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
    }

    private static async Task<string> ReadAsync(HttpResponseMessage response)
    {
        using (response) return await response.Content.ReadAsStringAsync(Cancellation);
    }

    // Reads until the first text is there, and breaks the connection off. Whoever reads still is not retrying.
    private static async Task CutAsync(UpstreamHub hub, string session)
    {
        using (var response = await PostAsync(hub, session))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
            while (await reader.ReadLineAsync(Cancellation) is { } line && !line.Contains("text_delta", StringComparison.Ordinal))
            {
            }
        }
        var answers = hub.Services.GetRequiredService<AnswerTable>();
        while (answers.FindLatest(Caller.Everybody.Ids, MessagesDialect.Instance, 9).Any(answer => answer.HasReader)) await Task.Delay(5, Cancellation);
    }

    [Theory]
    [InlineData("openai")]
    [InlineData("anthropic")]
    [InlineData("responses")]
    public async Task A_retry_of_a_session_joins_the_answer_that_it_lost(string kind)
    {
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var dialect = kind switch { "openai" => "chat", "anthropic" => "messages", _ => kind };
        string[] events = dialect switch
        {
            "chat" => [ScriptedUpstream.Role(), ScriptedUpstream.Text("Hel"), ScriptedUpstream.Text("lo"), ScriptedUpstream.Finish()],
            "messages" => [ScriptedMessages.Start(), .. ScriptedMessages.TextBlock(0, "Hel", "lo"), ScriptedMessages.Finish(), ScriptedMessages.Stop],
            _ => [.. ScriptedResponses.Start(), .. ScriptedResponses.Message(0, "Hel", "lo"), ScriptedResponses.Completed()],
        };
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var data in events)
            {
                if (data.Contains("\"lo\"", StringComparison.Ordinal)) await go.Task;
                await reply.EventAsync(data);
            }
            if (dialect == "chat") await reply.EventAsync("[DONE]");
        });
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: {kind}, url: \"{upstream.Url}\"}}]\n");
        await CutAsync(hub, "s1");
        var retried = await PostAsync(hub, "s1");
        // The same words of another session, and of another agent in it, are other questions.
        var (stranger, helper) = (PostAsync(hub, "s2"), PostAsync(hub, "s1", "agent"));
        go.SetResult();
        Assert.Contains("\"text\":\"lo\"", await ReadAsync(retried), StringComparison.Ordinal);
        await ReadAsync(await stranger);
        await ReadAsync(await helper);
        Assert.Equal(3, upstream.Calls.Count);

        // Whoever has read an answer to its end, and asks again, wants another one.
        await ReadAsync(await PostAsync(hub, "s1"));
        Assert.Equal(4, upstream.Calls.Count);
    }

    [Fact]
    public async Task A_retry_that_wants_no_stream_gets_the_same_answer_whole()
    {
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("Hel"));
            await go.Task;
            await reply.EventAsync(ScriptedUpstream.Text("lo"));
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync("[DONE]");
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        await CutAsync(hub, "s1");
        var whole = PostAsync(hub, "s1", body: Body.Replace("\"stream\":true,", "", StringComparison.Ordinal));
        go.SetResult();
        Assert.Contains("\"text\":\"Hello\"", await ReadAsync(await whole), StringComparison.Ordinal);
        Assert.Single(upstream.Calls);
    }
}
