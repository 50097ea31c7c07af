using System.Text;
using Sluice.Cli.Bench;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Cli.Bench;

/// <summary>One request to a server that answers by a script.</summary>
public sealed class StreamMeasureTests : IDisposable
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromMinutes(10);
    private readonly ManualTimeProvider _time = new();
    private readonly RunCounts _counts = new(null);
    private readonly HttpClient _http = new() { Timeout = Timeout.InfiniteTimeSpan };

    public void Dispose() => _http.Dispose();

    [Fact]
    public async Task Times_are_those_of_the_content()
    {
        var outcome = await RunAsync(async reply =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await SendAsync(reply, ScriptedUpstream.Role());
            foreach (var gap in (int[])[40, 10, 30])
            {
                _time.Advance(TimeSpan.FromMilliseconds(gap));
                await SendAsync(reply, ScriptedUpstream.Text("a"));
            }
            _time.Advance(TimeSpan.FromMilliseconds(5));
            await SendAsync(reply, ScriptedUpstream.Finish());
            await SendAsync(reply, ScriptedUpstream.Usage(prompt: 11, completion: 5));
            await reply.EventAsync("[DONE]");
        });

        Assert.Equal(new StreamOutcome(null, Milliseconds(140), Milliseconds(10), Milliseconds(185), 11, 5, IsCounted: true), outcome);
        Assert.Equal((1, Milliseconds(140)), (_counts.FirstToken.Count, _counts.FirstToken.Max));
        Assert.Equal((2, Milliseconds(30)), (_counts.Gaps.Count, _counts.Gaps.Max));
        Assert.Equal(6, _counts.Chunks);
    }

    [Fact]
    public async Task Without_usage_the_chunks_with_content_count()
    {
        var outcome = await RunAsync(ScriptedUpstream.Says("a", "b", "c"));

        Assert.Equal((null, 3, false), (outcome.Fault, outcome.OutputTokens, outcome.IsCounted));
    }

    public static TheoryData<string, Func<UpstreamReply, Task>> Faults => new()
    {
        { "status 429: Slow down", ScriptedUpstream.Refuses(429, """{"error":{"message":"Slow down","type":"x"}}""") },
        { "status 502: <html>", ScriptedUpstream.Refuses(502, "<html>") },
        { "error event: Broken", reply => reply.EventAsync("""{"error":{"message":"Broken"}}""") },
        { "a chunk is not JSON", reply => reply.EventAsync("{\"id\":") },
        { "no finish reason", ScriptedUpstream.Frames(ScriptedUpstream.Role(), ScriptedUpstream.Text("a")) },
        { "no content", ScriptedUpstream.Frames(ScriptedUpstream.Role(), ScriptedUpstream.Finish()) },
        { "ended without [DONE]", reply => reply.EventAsync(ScriptedUpstream.Text("a")) },
        {
            "broke off", async reply =>
            {
                await reply.EventAsync(ScriptedUpstream.Text("a"));
                await reply.CutAsync();
            }
        },
        {
            "no event stream", reply =>
            {
                reply.Response.ContentType = "application/json";
                return reply.SendAsync("{}");
            }
        },
    };

    [Theory]
    [MemberData(nameof(Faults), DisableDiscoveryEnumeration = true)]
    public async Task A_stream_that_is_not_whole_is_told_from_one_that_is(string fault, Func<UpstreamReply, Task> script) =>
        Assert.Equal(fault, (await RunAsync(script)).Fault);

    [Fact]
    public async Task A_server_that_is_silent_too_long_is_a_timeout()
    {
        var outcome = await RunAsync(async reply =>
        {
            await SendAsync(reply, ScriptedUpstream.Text("a"));
            _time.Advance(s_timeout);
            await reply.StallAsync();
        });

        Assert.Equal("timeout", outcome.Fault);
    }

    [Fact]
    public async Task Nobody_there_is_a_fault_of_its_own()
    {
        var measure = new StreamMeasure(_http, new BenchEndpoint(new Uri("http://127.0.0.1:1/v1/"), "m", null), _counts, s_timeout, _time);

        Assert.Equal("no connection: ConnectionError", (await measure.RunAsync([], _time.GetTimestamp(), CancellationToken.None)).Fault);
    }

    [Fact]
    public void Reading_a_chunk_allocates_nothing()
    {
        var chunk = Encoding.UTF8.GetBytes(ScriptedUpstream.Text("some text"));
        var usage = Encoding.UTF8.GetBytes(ScriptedUpstream.Usage());

        Assert.Equal(0, AllocatedBytes.Least(() =>
        {
            for (var i = 0; i < 1_000; i++) Assert.True(ChunkFacts.Read(chunk).HasContent && ChunkFacts.Read(usage).CompletionTokens == 3);
        }));
    }

    [Theory]
    [InlineData("""{"content":""}""", false)]
    [InlineData("""{"content":null}""", false)]
    [InlineData("""{"role":"assistant"}""", false)]
    [InlineData("""{"content":"a"}""", true)]
    [InlineData("""{"content":null,"reasoning_content":"a"}""", true)]
    [InlineData("""{"reasoning":"a"}""", true)]
    [InlineData("""{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}""", true)]
    public void Content_is_what_a_user_may_see(string delta, bool hasContent) =>
        Assert.Equal(hasContent, ChunkFacts.Read(Encoding.UTF8.GetBytes(ScriptedUpstream.Chunk($$"""{"index":0,"delta":{{delta}},"finish_reason":null}"""))).HasContent);

    private async Task<StreamOutcome> RunAsync(Func<UpstreamReply, Task> script)
    {
        await using var server = await ScriptedUpstream.StartAsync(script);
        var measure = new StreamMeasure(_http, new BenchEndpoint(BenchEndpoint.ParseUrl(server.Url), "m", null), _counts, s_timeout, _time);
        return await measure.RunAsync("{}"u8.ToArray(), _time.GetTimestamp(), TestContext.Current.CancellationToken);
    }

    // The clock may move on when the chunk has been read.
    private async Task SendAsync(UpstreamReply reply, string data)
    {
        var before = _counts.Chunks;
        await reply.EventAsync(data);
        while (_counts.Chunks == before) await Task.Yield();
    }

    private static TimeSpan Milliseconds(int count) => TimeSpan.FromMilliseconds(count);
}
