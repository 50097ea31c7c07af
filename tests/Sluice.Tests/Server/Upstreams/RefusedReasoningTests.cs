using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;
using static Sluice.Testing.ScriptedResponses;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Servers that refuse the reasoning of earlier turns, which ends a conversation unless somebody leaves it out.</summary>
public sealed class RefusedReasoningTests
{
    [Theory]
    [InlineData("{\"error\":{\"message\":\"The encrypted content could not be verified.\",\"type\":\"invalid_request_error\",\"code\":\"invalid_encrypted_content\"}}", 1)]
    [InlineData("{\"error\":{\"message\":\"Encrypted content is not supported with this model.\",\"type\":\"invalid_request_error\",\"param\":\"include\"}}", 0)]
    public async Task A_server_that_refuses_reasoning_is_asked_at_once_without(string refusal, int asksAgain)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(400, refusal), Says("a"));
        using var log = new LogLines();
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: responses, url: \"{upstream.Url}\"}}]\n", log: log);
        for (var i = 0; i < 2; i++)
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask(more: ",\"reasoning_effort\":\"low\""));
            Assert.Contains("\"content\":\"a\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        Assert.Equal(3, upstream.Calls.Count);
        Assert.Equal([true, false, asksAgain == 1], upstream.Calls.Select(call => call.Body.Contains("encrypted_content", StringComparison.Ordinal)));
        Assert.All(upstream.Calls, call => Assert.Contains("\"reasoning\":{\"effort\":\"low\"}", call.Body, StringComparison.Ordinal));
        Assert.Contains(log.Lines, line => line.Contains("refuses the reasoning of earlier turns", StringComparison.Ordinal));
    }

    // Door-092, where the client speaks the same API: its own signature may be another account's.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_of_Messages_goes_on_too_or_reads_the_first_refusal(bool isAnsweredWithout)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Refuses(400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"messages.1.content.0: Invalid `signature` in `thinking` block. Invalid signature\"}}"),
            isAnsweredWithout ? ScriptedMessages.Says("a") : ScriptedUpstream.Refuses(400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"something else\"}}"));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: anthropic, url: \"{upstream.Url}\"}}]\n");
        using var content = new StringContent(
            """{"model":"m","max_tokens":9,"stream":true,"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"c2ln"},{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}""",
            System.Text.Encoding.UTF8, "application/json");
        using var response = await hub.Http.PostAsync(new Uri("/v1/messages", UriKind.Relative), content);
        Assert.Contains(isAnsweredWithout ? "\"text\":\"a\"" : "Invalid signature", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal([true, false], upstream.Calls.Select(call => call.Body.Contains("c2ln", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Anthropics_models_are_asked_without_thinking_that_they_refuse()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Refuses(400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"messages.1.content.0: Invalid `signature` in `thinking` block. Invalid signature\"}}"),
            ScriptedMessages.Says("a"));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: anthropic, url: \"{upstream.Url}\"}}]\n");
        using var response = await hub.PostAsync(
            """{"model":"m","stream":true,"reasoning_effort":"high","tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"","sluice":{"thinking":[{"type":"thinking","thinking":"t","signature":"s"}]},"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"ok"}]}""");
        Assert.Contains("\"content\":\"a\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal([true, false], upstream.Calls.Select(call => call.Body.Contains("\"signature\":\"s\"", StringComparison.Ordinal)));
        Assert.Contains("\"thinking\":{\"type\":\"disabled\"}", upstream.Calls[1].Body, StringComparison.Ordinal);
    }
}
