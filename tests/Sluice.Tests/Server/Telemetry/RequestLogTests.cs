using System.Net.Sockets;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Telemetry;

/// <summary>What the log says about a request, and what it must not say.</summary>
public sealed partial class RequestLogTests
{
    private const string Prompt = "the-words-of-the-prompt";
    private const string Answer = "the-words-of-the-answer";
    private const string Secret = "sk-secret-of-the-upstream";

    [Fact]
    public async Task The_last_line_has_the_figures_and_every_line_the_id()
    {
        var log = new LogLines(LogLevel.Trace);
        await using var broken = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(500, $$$"""{"error":{"message":"the key {{{Secret}}} is fine"}}"""));
        await using var sound = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(
            ScriptedUpstream.Role(), ScriptedUpstream.Text(Answer), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(7, 3)));
        await using var hub = await UpstreamHub.StartAsync(
            $"  - id: m\n    upstreams: [{{url: \"{broken.Url}\", api_key: {Secret}}}, {{url: \"{sound.Url}\", headers: {{X-Key: {Secret}}}}}]\n", new ManualTimeProvider(), log: log);
        using var response = await hub.PostAsync(UpstreamHub.Ask().Replace("Hi", Prompt, StringComparison.Ordinal));
        var requestId = response.Headers.GetValues("x-request-id").Single();
        await UpstreamHub.EventsAsync(response);
        await Scrape.WhenIdleAsync(hub.Http);

        var id = response.Headers.GetValues("Sluice-Stream-Id").Single();
        // Who knows a request's id from a log must not be able to name its answer: 80 bits are the answer's own.
        Assert.NotEqual(requestId["req_".Length..][10..], id["chatcmpl-".Length..][10..]);
        var end = Assert.Single(log.Lines, line => line.Contains("first token", StringComparison.Ordinal));
        Assert.Equal(
            $"Information: {requestId} {id}: m by {sound.Url}: Completed; first token 0 ms, all 0 ms; tokens: 7 asked, 3 answered (estimated: False), 0 unused; attempts: 2, hedges: 0, rescues: 0", end);
        var hubLines = log.Lines.Where(line => HubLine().IsMatch(line)).ToList();
        Assert.True(hubLines.Count(line => line.Contains(id, StringComparison.Ordinal)) >= 3, log.ToString());
        Assert.Contains($"RequestId:{requestId}", log.Scopes);
        foreach (var text in (string[])[Prompt, Answer, Secret]) Assert.DoesNotContain(text, log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rescued_answer_counts_both_parts_and_no_attempt_that_came_to_nothing()
    {
        var log = new LogLines(LogLevel.Information);
        await using var first = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("one"), ScriptedUpstream.Text(" two")]) await reply.EventAsync(frame);
            await reply.CutAsync();
        });
        await using var second = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(ScriptedUpstream.Role(), ScriptedUpstream.Text("other"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(100, 100)),
            ScriptedUpstream.Frames(ScriptedUpstream.Role(), ScriptedUpstream.Text(" two"), ScriptedUpstream.Text(" three"), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(20, 2)));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{{url: \"{first.Url}\"}}, {{url: \"{second.Url}\", continues: true}}]\n", log: log);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        await UpstreamHub.EventsAsync(response);
        await Scrape.WhenIdleAsync(hub.Http);
        var end = Assert.Single(log.Lines, line => line.Contains("first token", StringComparison.Ordinal));
        Assert.Contains($"m by {second.Url}: Completed;", end, StringComparison.Ordinal);
        // What the two reruns took that came to nothing is unused; how much of it came depends on when they ended.
        Assert.Matches("; tokens: 18 asked, 4 answered \\(estimated: True\\), [1-9][0-9]* unused; attempts: 4, hedges: 0, rescues: 1$", end);
    }

    [Fact]
    public async Task The_line_of_a_request_has_model_tokens_and_key_and_probes_are_details()
    {
        var log = new LogLines(LogLevel.Debug);
        await using var upstream = await ScriptedUpstream.StartAsync(
            ScriptedUpstream.Frames(ScriptedUpstream.Role(), ScriptedUpstream.Text(Answer), ScriptedUpstream.Finish(), ScriptedUpstream.Usage(7, 3)),
            ScriptedUpstream.Refuses(400, """{"error":{"message":"no such\nvoice"}}"""));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "api_keys: [{id: team-red, key: sk-red}]\n", log: log);
        hub.Http.DefaultRequestHeaders.Authorization = new("Bearer", "sk-red");
        using (var response = await hub.PostAsync(UpstreamHub.Ask())) await UpstreamHub.EventsAsync(response);
        using (var refused = await hub.PostAsync(UpstreamHub.Ask())) Assert.Equal(400, (int)refused.StatusCode);
        Assert.Equal(404, (int)(await hub.Http.GetAsync(new Uri("/v1/models/nope", UriKind.Relative))).StatusCode);
        Assert.Equal(200, (int)(await hub.Http.GetAsync(new Uri("/healthz", UriKind.Relative))).StatusCode);
        await Scrape.WhenIdleAsync(hub.Http);

        // A line is written when its reply is on the way already.
        while (!log.Lines.Any(line => LineOf("Debug", "GET /metrics 200 \\d+ ms, key team-red", line))) await Task.Delay(5, TestContext.Current.CancellationToken);
        Assert.Single(log.Lines, line => LineOf("Information", "POST /v1/chat/completions 200 \\d+ ms, m, 7 \\+ 3 tokens, key team-red", line));
        Assert.Single(log.Lines, line => LineOf("Information", "POST /v1/chat/completions 400 \\d+ ms, m, key team-red: no such voice", line));
        Assert.Single(log.Lines, line => LineOf("Information", "GET /v1/models/nope 404 \\d+ ms, key team-red", line));
        Assert.Single(log.Lines, line => LineOf("Debug", "GET /healthz 200 \\d+ ms", line));
        Assert.DoesNotContain("sk-red", log.ToString(), StringComparison.Ordinal);

        static bool LineOf(string level, string rest, string line) => Regex.IsMatch(line, $"^{level}: req_\\S+ {rest}$");
    }

    [Fact]
    public async Task A_client_that_resets_in_the_middle_of_its_body_is_no_error()
    {
        var log = new LogLines(LogLevel.Trace);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using (var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), log: log))
        {
            var address = new Uri(hub.Address);
            // Closes with a reset.
            using var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
            await client.ConnectAsync(address.Host, address.Port, TestContext.Current.CancellationToken);
            await client.SendAsync(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
            // The hub says so when it begins to read.
            var buffer = new byte[100];
            Assert.NotEqual(0, await client.ReceiveAsync(buffer, TestContext.Current.CancellationToken));
            await client.SendAsync("{\"model\""u8.ToArray(), TestContext.Current.CancellationToken);
            client.Dispose();
            while (!log.Lines.Any(static line => line.Contains("POST /v1/chat/completions", StringComparison.Ordinal))) await Task.Delay(5, TestContext.Current.CancellationToken);
        }
        Assert.Empty(upstream.Calls);
        Assert.Equal("", string.Join('\n', log.Lines.Where(static line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Warning", StringComparison.Ordinal))));
    }

    [GeneratedRegex("req_|chatcmpl-")]
    private static partial Regex HubLine();
}
