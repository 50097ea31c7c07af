using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>A model of one upstream: what it is sent, and what becomes of its answer.</summary>
public sealed class UpstreamTests
{
    private static readonly string[] s_hello = [ScriptedUpstream.Role(), ScriptedUpstream.Text("Hel"), ScriptedUpstream.Text("lo"), ScriptedUpstream.Finish()];

    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    [Fact]
    public async Task Frames_arrive_byte_by_byte()
    {
        string[] frames = [.. s_hello[..1], ScriptedUpstream.Chunk("""{"index":0, "delta":{"content":"\u00fc 🙂"},"x":[ 1 ],"finish_reason":null}"""), .. s_hello[1..]];
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames(frames));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal("text/event-stream; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.Equal([.. frames, "[DONE]"], await UpstreamHub.EventsAsync(response));
    }

    [Fact]
    public async Task The_upstream_gets_the_request_as_it_was_written_and_the_hubs_own_key()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    aliases: [gpt-4.1]\n    upstreams: [{{url: \"{upstream.Url}\", api_key: hub-key, model: meta/m, headers: {{X-Team: red}}}}]\n");
        using var response = await hub.PostAsync(
            UpstreamHub.Ask("gpt-4.1", stream: false, ",\"vendor\": {\"x\":[1.50]}"), default,
            ("Authorization", "Bearer client-key"), ("api-key", "client-key"), ("Cookie", "a=client-key"), ("OpenAI-Organization", "client"), ("X-Client-Request-Id", "abc"), ("X-Other", "no"));
        var call = upstream.Calls.Single();
        Assert.Equal(
            """{"model":"meta/m","stream":false,"messages":[{"role":"user","content":"Hi"}],"vendor": {"x":[1.50]}}""", call.Body);
        Assert.Equal("Bearer hub-key", call.Headers["authorization"]);
        Assert.Equal(("red", "abc", "application/json"), (call.Headers["x-team"], call.Headers["x-client-request-id"], call.Headers["content-type"]));
        Assert.DoesNotContain(call.Headers, header => header.Value.Contains("client-key", StringComparison.Ordinal));
        foreach (var name in (string[])["api-key", "cookie", "openai-organization", "x-other"]) Assert.False(call.Headers.ContainsKey(name));

        using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal("gpt-4.1", answer.RootElement.GetProperty("model").GetString());
        Assert.Equal("x", answer.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.True(answer.RootElement.GetProperty("sluice").GetProperty("usage_estimated").GetBoolean());
    }

    [Fact]
    public async Task An_upstream_without_a_key_gets_none()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), default, ("Authorization", "Bearer client-key"));
        await UpstreamHub.EventsAsync(response);
        Assert.False(upstream.Calls[0].Headers.ContainsKey("authorization"));
        Assert.Equal("identity", upstream.Calls[0].Headers["accept-encoding"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Usage_is_always_asked_for_and_shown_to_those_who_asked(bool asks)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Frames([.. s_hello, ScriptedUpstream.Usage()]));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(more: asks ? ",\"stream_options\":{\"include_usage\":true}" : ""));
        var events = await UpstreamHub.EventsAsync(response);
        Assert.Contains("\"include_usage\":true", upstream.Calls[0].Body, StringComparison.Ordinal);
        Assert.Equal(asks, events.Contains(ScriptedUpstream.Usage()));
        Assert.Equal(asks ? 6 : 5, events.Count);
    }

    [Fact]
    public async Task G03_G07_every_legal_framing_is_read()
    {
        string[] frames = [.. s_hello[..3], ScriptedUpstream.Text("Grüße 🙂"), s_hello[3]];
        var stream = "\uFEFF: OPENROUTER PROCESSING\r\n\r\nevent: ping\r\n\r\n" + string.Concat(frames.Select((frame, index) => index switch
        {
            0 => $"data:{frame}\r\r",
            1 => $"data: {frame.Replace(",\"choices\"", "\ndata: ,\"choices\"", StringComparison.Ordinal)}\n\n",
            _ => $"id: 7\r\ndata: {frame}\r\n\r\n",
        })) + "data: [DONE]";
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            // One byte at a time also cuts the BOM and every character.
            foreach (var value in Encoding.UTF8.GetBytes(stream)) await reply.SendAsync(new[] { value });
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var events = await UpstreamHub.EventsAsync(response);
        Assert.Equal([.. frames, "[DONE]"], events.Select(item => item.Replace(" ,\"choices\"", ",\"choices\"", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public async Task A_stream_that_is_compressed_although_nobody_asked_is_read(string encoding)
    {
        var plain = Encoding.UTF8.GetBytes(string.Concat(s_hello.Select(frame => $"data: {frame}\n\n")) + "data: [DONE]\n\n");
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.Headers.ContentEncoding = encoding;
            var packed = new MemoryStream();
            await using (Stream stream = encoding == "gzip" ? new GZipStream(packed, CompressionMode.Compress, leaveOpen: true) : new BrotliStream(packed, CompressionMode.Compress, leaveOpen: true))
                await stream.WriteAsync(plain);
            await reply.SendAsync(packed.ToArray());
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([.. s_hello, "[DONE]"], await UpstreamHub.EventsAsync(response));
    }

    [Fact]
    public async Task R12_a_finish_without_DONE_is_an_end()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in s_hello) await reply.EventAsync(frame);
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([.. s_hello, "[DONE]"], await UpstreamHub.EventsAsync(response));
    }

    [Theory]
    [InlineData("end")]
    [InlineData("cut")]
    [InlineData("garbage")]
    [InlineData("error")]
    public async Task R01_R11_what_breaks_off_after_content_is_an_error_and_no_end(string fault)
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in s_hello[..3]) await reply.EventAsync(frame);
            if (fault == "cut") await reply.CutAsync();
            if (fault == "garbage") await reply.EventAsync("<html>");
            if (fault == "error") await reply.EventAsync("""{"error":{"message":"out of\nmemory","code":500}}""");
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.False(isWhole);
        Assert.Equal(s_hello[..3], events[..3]);
        Assert.StartsWith("{\"error\":{\"message\":\"", events[3], StringComparison.Ordinal);
        Assert.Equal(4, events.Count);
        Assert.DoesNotContain("choices", events[3], StringComparison.Ordinal);
        if (fault == "error") Assert.Contains("out of\\nmemory\",\"type\":\"server_error\",\"param\":null,\"code\":null", events[3], StringComparison.Ordinal);
        // Asked once more to go on with its answer, it broke off at the same place.
        Assert.Equal(2, upstream.Calls.Count);
    }

    [Fact]
    public async Task R01_a_folded_answer_that_breaks_off_is_an_error_status()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in s_hello[..3]) await reply.EventAsync(frame);
            await reply.CutAsync();
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(stream: false));
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Contains("\"upstream_truncated\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task G10_a_page_in_place_of_a_stream_is_502()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.ContentType = "text/html";
            await reply.SendAsync("<html>Welcome to nginx</html>");
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Contains("\"upstream_invalid_response\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("cancel")]
    [InlineData("drain")]
    public async Task A_client_that_leaves_ends_the_upstreams_work_as_configured(string policy)
    {
        var goOn = new TaskCompletionSource();
        var isFinished = new TaskCompletionSource();
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(s_hello[0]);
            await reply.EventAsync(s_hello[1]);
            await Task.WhenAny(goOn.Task, reply.StallAsync());
            foreach (var frame in s_hello[2..]) await reply.EventAsync(frame);
            await reply.EventAsync("[DONE]");
            isFinished.TrySetResult();
        });
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\", on_abort: {policy}}}]\n");
        var response = await hub.PostAsync(UpstreamHub.Ask());
        var body = await response.Content.ReadAsStreamAsync();
        Assert.NotEqual(0, await body.ReadAsync(new byte[10]));
        var call = upstream.Calls.Single();
        response.Dispose();
        if (policy == "cancel")
        {
            await call.Aborted.WaitAsync(Patience);
            return;
        }
        // Long enough for a hub that cancels to have done it.
        await Task.Delay(200);
        goOn.SetResult();
        await isFinished.Task.WaitAsync(Patience);
        Assert.False(call.Aborted.IsCompleted);
    }

    [Fact]
    public async Task A_client_that_leaves_before_the_first_token_ends_the_upstreams_work()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var leaving = new CancellationTokenSource();
        var asking = hub.PostAsync(UpstreamHub.Ask(), leaving.Token);
        var call = await upstream.NextCallAsync(Patience);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await call.Aborted.WaitAsync(Patience);
        Assert.Single(upstream.Calls);
    }

    [Fact]
    public async Task Connections_are_used_again()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            var port = reply.Response.HttpContext.Connection.RemotePort;
            await ScriptedUpstream.Says(port.ToString(System.Globalization.CultureInfo.InvariantCulture))(reply);
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var ports = new HashSet<string>();
        for (var i = 0; i < 5; i++)
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask());
            ports.Add((await UpstreamHub.EventsAsync(response))[1]);
        }
        // The end of a body may come a moment too late for its connection to be taken again.
        Assert.InRange(ports.Count, 1, 3);
    }

    [Fact]
    public async Task A_client_that_leaves_while_tokens_come_leaves_a_drained_upstream_alone()
    {
        const int Clients = 5;
        var burst = string.Concat(Enumerable.Repeat($"data: {ScriptedUpstream.Text("word ")}\n\n", 100));
        var left = new SemaphoreSlim(0);
        var finishedCount = 0;
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            for (var i = 0; i < 300; i++) await reply.SendAsync(burst);
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync("[DONE]");
            Interlocked.Increment(ref finishedCount);
            left.Release();
        });
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    upstreams: [{{url: \"{upstream.Url}\", on_abort: drain}}]\n");
        for (var i = 0; i < Clients; i++)
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask());
            var body = await response.Content.ReadAsStreamAsync();
            Assert.NotEqual(0, await body.ReadAsync(new byte[10]));
        }
        foreach (var call in upstream.Calls) await Task.WhenAny(call.Aborted, left.WaitAsync(Patience));
        Assert.Equal(Clients, finishedCount);
    }

    [Fact]
    public async Task An_error_whose_body_does_not_come_is_not_waited_for_where_answers_are_drained()
    {
        var time = new ManualTimeProvider();
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.StatusCode = 500;
            await reply.SendAsync("{");
            await reply.StallAsync();
        });
        await using var hub = await UpstreamHub.StartAsync($"  - id: m\n    retries: 0\n    timeouts: {{first_token: 5s}}\n    upstreams: [{{url: \"{upstream.Url}\", on_abort: drain}}]\n", time);
        var asking = hub.PostAsync(UpstreamHub.Ask(), Patience);
        await upstream.NextCallAsync(Patience);
        // Less than until the headers go out, and more than one such wait.
        for (var i = 0; i < 90 && !asking.IsCompleted; i++)
        {
            await Task.Delay(20);
            time.Advance(TimeSpan.FromMilliseconds(100));
        }
        using var response = await asking;
        Assert.Equal(System.Net.HttpStatusCode.GatewayTimeout, response.StatusCode);
    }
}
