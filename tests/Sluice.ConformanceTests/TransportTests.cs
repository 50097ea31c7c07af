using System.Net;
using System.Text;
using Sluice.ConformanceTests.Harness;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Status, headers and framing of a stream, byte by byte, whichever model is behind it (T).</summary>
public abstract class TransportTests(HubFixture fixture)
{
    private const string Prompt = "Count to five.";
    private const string More = "\"stream\":true,\"max_tokens\":8";

    private ApiClient Client => fixture.Client;

    [Fact]
    public async Task T01_T09_Status_and_headers()
    {
        using var response = await Client.SendAsync(Client.Chat(Prompt, More));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        Assert.Null(response.Content.Headers.ContentLength);
        Assert.Empty(response.Content.Headers.ContentEncoding);
        Assert.True(response.Headers.CacheControl is { NoCache: true, NoStore: true, NoTransform: true });
        Assert.Equal(["no"], response.Headers.GetValues("X-Accel-Buffering"));
    }

    [Fact]
    public async Task T02_T03_T04_T05_Raw_bytes()
    {
        using var connection = await RawConnection.OpenAsync(fixture.Hub.Address);
        await connection.PostAsync(Client.Chat(Prompt, More));
        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
        var body = await connection.ReadBodyAsync();
        Assert.StartsWith("dat", body, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', body);
        Assert.EndsWith("\n\ndata: [DONE]\n\n", body, StringComparison.Ordinal);
        // Parse holds that each event is one data line and, but for the last, one JSON object.
        Assert.NotEmpty(ChatStream.Parse(body).Chunks);
    }

    [Fact]
    public async Task T11_Accept_json_still_gets_the_stream()
    {
        using var request = ApiClient.Post(Client.Chat(Prompt, More));
        request.Headers.Accept.ParseAdd("application/json");
        using var response = await Client.SendAsync(request);
        await ChatStream.ReadAsync(response);
    }

    [Fact]
    public async Task T12_Accept_event_stream_still_gets_the_object()
    {
        using var request = ApiClient.Post(Client.Chat(Prompt, "\"stream\":false,\"max_tokens\":2"));
        request.Headers.Accept.ParseAdd("text/event-stream");
        using var response = await Client.SendAsync(request);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.ToString());
        Assert.Equal("chat.completion", Json.Parse(await response.Content.ReadAsStringAsync()).Text("object"));
    }

    [Fact]
    public async Task T13_Http2_carries_the_same_events()
    {
        using var handler = new SocketsHttpHandler();
        using var http = new HttpClient(handler) { BaseAddress = fixture.Hub.Http2Address };
        using var request = ApiClient.Post(Client.Chat(Prompt, More + ",\"seed\":3"));
        request.Version = HttpVersion.Version20;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpVersion.Version20, response.Version);
        Assert.False(response.Headers.Contains("Connection"));
        Assert.False(response.Headers.Contains("Transfer-Encoding"));
        var stream = await ChatStream.ReadAsync(response);
        Assert.Equal((await Client.StreamAsync(Prompt, "\"max_tokens\":8,\"seed\":3")).Content(), stream.Content());
    }

    [Fact]
    public async Task T14_The_connection_serves_again_after_a_stream()
    {
        using var connection = await RawConnection.OpenAsync(fixture.Hub.Address);
        for (var round = 0; round < 2; round++)
        {
            await connection.PostAsync(Client.Chat(Prompt, More));
            Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
            ChatStream.Parse(await connection.ReadBodyAsync());
        }
    }

    [Fact]
    public async Task T15_Every_answer_has_a_request_id_of_its_own()
    {
        string[] bodies =
        [
            Client.Chat(Prompt, More), Client.Chat(Prompt, "\"max_tokens\":1"), "{", Client.Chat(Prompt, model: "nobody"),
            Client.Chat(Prompt, "\"stream\":true,\"n\":0"),
        ];
        var ids = new List<string>();
        var statuses = new List<int>();
        foreach (var body in bodies)
        {
            using var response = await Client.SendAsync(body);
            statuses.Add((int)response.StatusCode);
            ids.Add(Assert.Single(response.Headers.GetValues("x-request-id")));
        }

        Assert.Equal([200, 200, 400, 404, 400], statuses);
        Assert.All(ids, id => Assert.StartsWith("req_", id, StringComparison.Ordinal));
        Assert.Distinct(ids);
    }

    [Fact]
    public async Task T16_Many_streams_at_once_do_not_mix()
    {
        var count = fixture.Hub.IsScripted ? 50 : 8;
        var alone = fixture.Hub.IsScripted ? null : await AskAsync(3);
        var streams = await Task.WhenAll(Enumerable.Range(0, count).Select(AskAsync));
        Assert.Distinct(streams.Select(stream => stream.Chunks[0].Text("id")));
        Assert.All(streams, stream => Assert.Single(stream.Chunks.Select(chunk => chunk.Text("id")).Distinct()));
        for (var i = 0; fixture.Hub.IsScripted && i < count; i++) Assert.Equal(PromptOf(i), streams[i].Content());
        if (alone is not null) Assert.Equal(alone.Content(), streams[3].Content());

        Task<ChatStream> AskAsync(int i) => Client.StreamAsync(PromptOf(i), $"\"max_tokens\":{(fixture.Hub.IsScripted ? 60 : 12)},\"seed\":{i}");
        static string PromptOf(int i) => $"Repeat the number {i} for me, and {i} again.";
    }
}

public sealed class ScriptedTransportTests(ScriptedHub fixture) : TransportTests(fixture), IClassFixture<ScriptedHub>
{
    private readonly ScriptedHub _fixture = fixture;

    [Fact]
    public async Task T02_T14_Pipelined_requests_are_answered_in_order()
    {
        using var connection = await RawConnection.OpenAsync(_fixture.Hub.Address);
        await connection.PostAsync(_fixture.Client.Chat("first", "\"stream\":true"));
        await connection.PostAsync(_fixture.Client.Chat("second", "\"stream\":true"));
        foreach (var expected in (string[])["first", "second"])
        {
            await connection.ReadHeadAsync();
            Assert.Equal(expected, ChatStream.Parse(await connection.ReadBodyAsync()).Content());
        }
    }

    /// <summary>No clock: each token is held back until the client has the one before it, so only a stream that is live gets to its end.</summary>
    [Theory]
    [InlineData("T06", "Accept-Encoding: gzip, br, zstd\r\n")]
    [InlineData("T07", "")]
    public async Task T06_T07_T08_Every_token_arrives_when_it_is_made_and_whole(string script, string header)
    {
        var gates = new Gates(5);
        _fixture.Hub.Scripts[script] = gates.Script(" one", " two", " three", " four", " five");
        using var connection = await RawConnection.OpenAsync(_fixture.Hub.Address);
        await connection.PostAsync(_fixture.Client.Chat(script, "\"stream\":true"), $"Content-Type: application/json\r\n{header}");

        gates.Open(0);
        var head = await connection.ReadHeadAsync();
        Assert.False(head.Headers.ContainsKey("Content-Encoding"));
        var content = "";
        for (var token = 0; token < 5; token++)
        {
            gates.Open(token);
            // The first token brings the role with it.
            while (content.Count(' ') <= token)
            {
                var chunk = Encoding.UTF8.GetString(await connection.ReadChunkAsync());
                Assert.EndsWith("\n\n", chunk, StringComparison.Ordinal);
                content += string.Concat(ChatStream.Events(chunk).Select(Json.Parse).Select(ChatStream.Delta)
                    .Select(delta => delta.TryGetProperty("content", out var text) ? text.GetString() : ""));
            }
        }

        Assert.Equal(" one two three four five", content);
        Assert.EndsWith("data: [DONE]\n\n", await connection.ReadBodyAsync(), StringComparison.Ordinal);
    }
}

[Collection(DefaultModelCollection.Name)]
public sealed class DefaultModelTransportTests(DefaultModelHub fixture) : TransportTests(fixture);
