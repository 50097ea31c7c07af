using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>Door-144: every pair of dialects in nine situations, streamed and whole: what the upstream is asked, and what the client reads.</summary>
public sealed class DoorPairsTests
{
    private static readonly (string Dialect, string Path, string Kind)[] s_dialects =
        [("chat", "/v1/chat/completions", "openai"), ("responses", "/v1/responses", "responses"), ("messages", "/v1/messages", "anthropic")];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Pairs
    {
        get
        {
            var pairs = new TheoryData<string, string>();
            foreach (var client in s_dialects)
            {
                foreach (var upstream in s_dialects) pairs.Add(client.Dialect, upstream.Dialect);
            }
            return pairs;
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Door_144_nine_situations_mean_the_same_on_both_sides(string client, string upstream)
    {
        foreach (var situation in DoorRequests.Situations)
        {
            await using var server = await ScriptedUpstream.StartAsync(DoorAnswers.Of(upstream, situation));
            await using var hub = await StartAsync(server, upstream);
            foreach (var isStream in (bool[])[true, false])
            {
                using var response = await PostAsync(hub, client, situation, isStream);
                var body = await response.Content.ReadAsStringAsync(Cancellation);
                var told = $"{situation}, stream: {isStream}: {body}";
                if (client != upstream)
                    Assert.True(DoorRequests.Meaning(situation).SequenceEqual(DoorReadings.ReadRequest(upstream, JsonNode.Parse(server.Calls[^1].Body)!)), $"{situation}: {server.Calls[^1].Body}");
                if (situation == "error")
                {
                    var error = JsonNode.Parse(body)!["error"]!;
                    Assert.Equal((HttpStatusCode.TooManyRequests, "Slow down.", "rate_limit_error"), (response.StatusCode, (string?)error["message"], (string?)error["type"]));
                    Assert.Equal("70", response.Headers.GetValues("Retry-After").Single());
                    continue;
                }
                Assert.True(response.StatusCode == HttpStatusCode.OK, told);
                // A client of the upstream's own dialect has its bytes, streamed or not.
                if (!isStream && client == upstream) continue;
                var answer = isStream ? DoorReadings.Fold(client, Events(body)) : JsonNode.Parse(body)!;
                Assert.True(DoorAnswers.Meaning(situation, upstream).SequenceEqual(DoorReadings.ReadAnswer(client, answer)), $"{string.Join(" | ", DoorReadings.ReadAnswer(client, answer))} of {told}");
            }
        }
    }

    private static List<JsonNode> Events(string body) =>
        [.. body.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => JsonNode.Parse(line["data: ".Length..])!)];

    private static async Task<HttpResponseMessage> PostAsync(UpstreamHub hub, string client, string situation, bool isStream)
    {
        var path = s_dialects.Single(dialect => dialect.Dialect == client).Path;
        var body = DoorRequests.Write(client, situation, isStream);
        if (client == "chat" && isStream) body = body.Replace("\"stream\":true", "\"stream\":true,\"stream_options\":{\"include_usage\":true}", StringComparison.Ordinal);
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        return await hub.Http.PostAsync(new Uri(path, UriKind.Relative), content, Cancellation);
    }

    private static Task<UpstreamHub> StartAsync(ScriptedUpstream server, string upstream)
    {
        var kind = s_dialects.Single(dialect => dialect.Dialect == upstream).Kind;
        return UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    upstreams: [{{kind: {kind}, url: \"{server.Url}\"}}]\n");
    }
}
