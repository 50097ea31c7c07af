using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Text;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Routing;

/// <summary>What is passed on at once, what counts as a sign of life, and what silence is.</summary>
public sealed class LiveAnswerTests
{
    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    private static async Task ReadUntilAsync(StreamReader reader, string text)
    {
        while (!(await reader.ReadLineAsync(Patience) ?? throw new EndOfStreamException(text)).Contains(text, StringComparison.Ordinal))
        {
        }
    }

    [Theory]
    [InlineData("\"content\":\"a\"")]
    [InlineData("\"content\":null,\"reasoning_content\":\"a\"")]
    [InlineData("\"reasoning\":\"a\"")]
    [InlineData("\"refusal\":\"a\"")]
    [InlineData("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]")]
    [InlineData("\"images\":[{\"image_url\":{\"url\":\"a\"}}]")]
    [InlineData("\"audio\":{\"data\":\"a\"}")]
    public async Task E18_every_kind_of_content_is_passed_on_before_the_next_comes(string delta)
    {
        var isRead = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Chunk($$"""{"index":0,"delta":{{{delta}}},"finish_reason":null}"""));
            await isRead.Task;
            await reply.EventAsync(ScriptedUpstream.Finish());
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Patience);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Patience));
        await ReadUntilAsync(reader, delta);
        isRead.SetResult();
        await ReadUntilAsync(reader, "[DONE]");
        Assert.Single(upstream.Calls);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public async Task A_compressed_stream_is_passed_on_event_by_event(string encoding)
    {
        var isRead = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            reply.Response.Headers.ContentEncoding = encoding;
            var packed = new MemoryStream();
            await using Stream packing = encoding == "gzip" ? new GZipStream(packed, CompressionMode.Compress) : new BrotliStream(packed, CompressionMode.Compress);
            foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text("one"), ScriptedUpstream.Text("two"), ScriptedUpstream.Finish()])
            {
                await packing.WriteAsync(Encoding.UTF8.GetBytes($"data: {frame}\n\n"), Patience);
                await packing.FlushAsync(Patience);
                await reply.SendAsync(packed.ToArray());
                packed.SetLength(0);
                if (frame.Contains("content\":\"o", StringComparison.Ordinal) || frame.Contains("two", StringComparison.Ordinal)) await isRead.WaitAsync(Patience);
            }
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask(), Patience);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Patience));
        foreach (var text in (string[])["one", "two"])
        {
            await ReadUntilAsync(reader, text);
            isRead.Release();
        }
        await ReadUntilAsync(reader, "[DONE]");
    }

    [Fact]
    public async Task T10_heartbeats_end_neither_the_wait_for_a_token_nor_the_failover()
    {
        var clock = new ManualTimeProvider();
        await using var silent = await ScriptedUpstream.StartAsync(reply => reply.StallAsync());
        await using var other = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("ok"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", silent, other) + "    timeouts: {first_token: 30m, total: 2h}\n", clock);
        var asking = hub.PostAsync(UpstreamHub.Ask());
        var call = await silent.NextCallAsync(Patience);
        while (clock.PendingTimerCount < 3) await Task.Yield();
        var rest = TimeSpan.FromMinutes(30);
        Advance(TimeSpan.FromSeconds(10));
        using var response = await asking;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Patience));
        for (var beat = 0; beat < 3; beat++)
        {
            var reading = ReadUntilAsync(reader, ": keep-alive");
            while (!reading.IsCompleted)
            {
                Advance(TimeSpan.FromSeconds(1));
                await Task.Delay(1, Patience);
            }
            await reading;
        }
        Advance(rest - TimeSpan.FromSeconds(1));
        Assert.Empty(other.Calls);
        Advance(TimeSpan.FromSeconds(1));
        await call.Aborted.WaitAsync(Patience);
        await ReadUntilAsync(reader, "\"ok\"");
        await ReadUntilAsync(reader, "[DONE]");

        void Advance(TimeSpan time)
        {
            clock.Advance(time);
            rest -= time;
        }
    }

    [Theory]
    [InlineData("\"content\":\"x\"")]
    [InlineData("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"x\"}}]")]
    public async Task An_answer_lasts_as_long_as_it_goes_on(string delta)
    {
        // Fourteen seconds between two pieces are less than idle, and twenty of them more than every other bound but total.
        const int Pieces = 20;
        var clock = new ManualTimeProvider();
        var isRead = new SemaphoreSlim(0);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            for (var i = 0; i < Pieces; i++)
            {
                await reply.EventAsync(ScriptedUpstream.Chunk($$"""{"index":0,"delta":{{{delta.Replace("x", $"x{i}", StringComparison.Ordinal)}}},"finish_reason":null}"""));
                await isRead.WaitAsync(Patience);
            }
            await reply.EventAsync(ScriptedUpstream.Finish());
        });
        await using var other = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("no"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream, other), clock);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Patience));
        for (var i = 0; i < Pieces; i++)
        {
            await ReadUntilAsync(reader, string.Create(CultureInfo.InvariantCulture, $"x{i}\""));
            clock.Advance(TimeSpan.FromSeconds(14));
            isRead.Release();
        }
        await ReadUntilAsync(reader, "[DONE]");
        Assert.Empty(other.Calls);
    }

    [Fact]
    public async Task A_429_in_mid_stream_costs_a_few_attempts_and_no_more()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await reply.EventAsync("""{"error":{"message":"slow down","type":"requests","code":429}}""");
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream, upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        var (events, isWhole) = await UpstreamHub.ReadAsync(response);
        Assert.False(isWhole);
        Assert.Contains("slow down", events[^1], StringComparison.Ordinal);
        Assert.InRange(upstream.Calls.Count, 2, 1 + UpstreamHub.QuickLimits.RescueAttemptsMax);
    }

    [Fact]
    public async Task S01_a_Retry_After_that_is_a_date_is_waited_for()
    {
        var clock = new ManualTimeProvider();
        var date = (clock.GetUtcNow() + TimeSpan.FromSeconds(3)).ToString("R", CultureInfo.InvariantCulture);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(429, "{}", ("Retry-After", date)), ScriptedUpstream.Says("ok"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), clock);
        var asking = hub.PostAsync(UpstreamHub.Ask());
        await upstream.NextCallAsync(Patience);
        while (!clock.HasTimerIn(TimeSpan.FromSeconds(3))) await Task.Yield();
        clock.Advance(TimeSpan.FromMilliseconds(2_999));
        Assert.Single(upstream.Calls);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        await upstream.NextCallAsync(Patience);
        using var response = await asking;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task R04_a_date_far_away_is_passed_on_in_seconds()
    {
        var clock = new ManualTimeProvider();
        var date = (clock.GetUtcNow() + TimeSpan.FromSeconds(90)).ToString("R", CultureInfo.InvariantCulture);
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Refuses(429, "{}", ("Retry-After", date)));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), clock);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(90), response.Headers.RetryAfter!.Delta);
        Assert.Single(upstream.Calls);
    }
}
