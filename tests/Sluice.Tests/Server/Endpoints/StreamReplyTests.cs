using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.Responses;
using Sluice.Server.Endpoints;
using Sluice.Server.Runtime;
using Sluice.Streaming;
using Sluice.Testing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>One reply over a pipe instead of a socket, on a manual clock.</summary>
public sealed class StreamReplyTests : IAsyncDisposable
{
    private sealed class Connection : IHttpRequestLifetimeFeature
    {
        private readonly CancellationTokenSource _aborted = new();
        public bool IsAborted => _aborted.IsCancellationRequested;
        public CancellationToken RequestAborted { get => _aborted.Token; set => throw new NotSupportedException(); }
        public void Abort() => _aborted.Cancel();
    }

    private readonly ManualTimeProvider _clock = new();
    private readonly Limits _limits = new();
    private readonly StreamLog _log = new(new StreamLimits { HotBytes = 256 << 10 });
    private readonly StreamLogReader _reader;
    private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 64 << 10, resumeWriterThreshold: 32 << 10));
    private readonly Connection _connection = new();
    private readonly DefaultHttpContext _context = new();

    public StreamReplyTests()
    {
        _reader = _log.TryOpenReader()!;
        _context.Features.Set<IHttpRequestLifetimeFeature>(_connection);
        _context.Features.Set<IHttpResponseBodyFeature>(new PipeBody(_pipe.Writer));
        _connection.RequestAborted.Register(_reader.Wake);
    }

    private sealed class PipeBody(PipeWriter writer) : IHttpResponseBodyFeature
    {
        public Stream Stream { get; } = writer.AsStream();
        public PipeWriter Writer => writer;
        public Task CompleteAsync() => Task.CompletedTask;
        public void DisableBuffering() { }
        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();
        public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _log.Cancel();
        await _pipe.Writer.CompleteAsync();
        _reader.Dispose();
        _log.Dispose();
    }

    private Task Start() => new StreamReply(_context, ChatDialect.Instance, _log, _reader, _limits, _clock).WriteAsync();

    private async Task<string> ReadAsync()
    {
        var result = await _pipe.Reader.ReadAsync(TestContext.Current.CancellationToken);
        var text = Encoding.UTF8.GetString(result.Buffer);
        _pipe.Reader.AdvanceTo(result.Buffer.End);
        return text;
    }

    [Fact]
    public async Task AJsonReplyThatIsNotTaken_CutsTheConnection()
    {
        var reply = JsonReply.WriteAsync(_context, new byte[1 << 20], _limits, _clock);
        Assert.Equal(_limits.ReadBatchBytes, (await ReadAsync()).Length);
        Advance(29);
        Assert.False(_connection.IsAborted);
        Advance(2);
        Assert.True(_connection.IsAborted);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reply);
        Assert.Equal(0, _clock.PendingTimerCount);
    }

    private void Advance(double seconds) => _clock.Advance(TimeSpan.FromSeconds(seconds));

    [Fact]
    public async Task AnEvent_IsWrittenAsSoonAsItIsThere_AndTheEndIsDone()
    {
        var reply = Start();
        Assert.False(_pipe.Reader.TryRead(out _));
        _log.Append("data: 1\n\n"u8);
        Assert.Equal("data: 1\n\n", await ReadAsync());
        Assert.Equal("text/event-stream; charset=utf-8", _context.Response.ContentType);
        Assert.Equal("no-cache, no-store, no-transform", _context.Response.Headers.CacheControl);
        Assert.Equal("no", _context.Response.Headers["X-Accel-Buffering"]);
        _log.Append("data: 2\n\n"u8);
        Assert.Equal("data: 2\n\n", await ReadAsync());
        _log.Complete();
        Assert.Equal("data: [DONE]\n\n", await ReadAsync());
        await reply;
        Assert.False(_connection.IsAborted);
        Assert.Equal(0, _clock.PendingTimerCount);
    }

    // door-043: Codex doesn't count comments.
    [Fact]
    public async Task AfterALongSilence_AClientOfResponsesGetsAnEvent_WithTheNumberOfTheLastOne()
    {
        var reply = new StreamReply(_context, ResponsesDialect.Instance, _log, _reader, _limits, _clock).WriteAsync();
        _log.Append("event: a\ndata: {}\n\n"u8);
        Assert.Equal("event: a\ndata: {}\n\n", await ReadAsync());
        for (var i = 1; i <= 16; i++)
        {
            Advance(15);
            var expected = i % 8 == 0 ? ": keep-alive\n\nevent: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":0}\n\n" : ": keep-alive\n\n";
            // The timer is set before the comment goes out.
            Assert.Equal(expected, await ReadAsync());
        }
        _log.Complete();
        Assert.Equal("data: [DONE]\n\n", await ReadAsync());
        await reply;
    }

    [Fact]
    public async Task AllEventsThatAreThere_GoOutTogether()
    {
        for (var i = 0; i < 5; i++) _log.Append("data: x\n\n"u8);
        var reply = Start();
        Assert.Equal(string.Concat(Enumerable.Repeat("data: x\n\n", 5)), await ReadAsync());
        _log.Complete();
        await reply;
    }

    [Fact]
    public async Task AnEventCostsOneWriteAndOneFlush_AndManyTogetherOneFlush()
    {
        var counting = new CountingPipeWriter(_pipe.Writer);
        _context.Features.Set<IHttpResponseBodyFeature>(new PipeBody(counting));
        var reply = Start();
        for (var i = 1; i <= 50; i++)
        {
            // A token of the engine is an event, and it is published by itself.
            _log.Append("data: one token\n\n"u8);
            Assert.Equal("data: one token\n\n", await ReadAsync());
            Assert.Equal((i, i, i * 17L), (counting.FlushCount, counting.WriteCount, counting.ByteCount));
        }
        for (var i = 0; i < 50; i++) _log.AppendQuietly("data: one token\n\n"u8);
        _log.Publish();
        Assert.Equal(50 * 17, (await ReadAsync()).Length);
        Assert.Equal((51, 51, 100 * 17L), (counting.FlushCount, counting.WriteCount, counting.ByteCount));
        _log.Complete();
        await reply;
        // The end is one more.
        Assert.Equal(52, counting.FlushCount);
    }

    [Fact]
    public async Task AFailureBeforeTheFirstEvent_IsAStatus()
    {
        var reply = Start();
        Advance(9.9);
        _log.Fail(ApiErrors.RateLimited(TimeSpan.FromSeconds(3)));
        await reply;
        Assert.Equal(429, _context.Response.StatusCode);
        Assert.Equal("3", _context.Response.Headers.RetryAfter);
        Assert.Equal("application/json", _context.Response.ContentType);
        Assert.StartsWith("{\"error\":{", await ReadAsync(), StringComparison.Ordinal);
        Assert.False(_connection.IsAborted);
    }

    [Fact]
    public async Task Silence_SendsTheHeadersAfterTenSeconds_AndACommentEveryFifteen()
    {
        var reply = Start();
        Advance(9.9);
        Assert.Null(_context.Response.ContentType);
        Advance(0.1);
        Assert.Equal(": keep-alive\n\n", await ReadAsync());
        Assert.Equal("text/event-stream; charset=utf-8", _context.Response.ContentType);
        await SettleAsync();

        Advance(14.9);
        Assert.False(_pipe.Reader.TryRead(out _));
        Advance(0.1);
        Assert.Equal(": keep-alive\n\n", await ReadAsync());
        await SettleAsync();

        _log.Append("data: 1\n\n"u8);
        Assert.Equal("data: 1\n\n", await ReadAsync());
        _log.Complete();
        await reply;
    }

    // Reading a comment happens before the reply waits again; the next event can't be taken before that.
    private async Task SettleAsync()
    {
        _log.Append(":\n\n"u8);
        Assert.Equal(":\n\n", await ReadAsync());
    }

    [Fact]
    public async Task AFailureInMidStream_IsAnEvent_AndThenAnAbort_AndNoDone()
    {
        _log.Append("data: 1\n\n"u8);
        _log.Fail(ApiErrors.ServerError("a\n\"b\""));
        var reply = Start();
        var text = await ReadAsync();
        while (!text.Contains("error", StringComparison.Ordinal)) text += await ReadAsync();
        Assert.Equal("data: 1\n\ndata: {\"error\":{\"message\":\"a\\n\\\"b\\\"\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n", text);
        while (_clock.PendingTimerCount < 2) await Task.Yield();
        Assert.False(_connection.IsAborted);
        Assert.False(reply.IsCompleted);
        _clock.Advance(_limits.ErrorEventLead);
        await reply;
        Assert.True(_connection.IsAborted);
        Assert.False(_pipe.Reader.TryRead(out _));
    }

    [Fact]
    public async Task AClientThatLeaves_EndsTheReply()
    {
        var reply = Start();
        _log.Append("data: 1\n\n"u8);
        await ReadAsync();
        _connection.Abort();
        await reply;
        Assert.False(_pipe.Reader.TryRead(out _));
    }

    [Fact]
    public async Task AClientThatLeavesBeforeTheFirstEvent_EndsTheReply()
    {
        var reply = Start();
        _connection.Abort();
        await reply;
    }

    [Fact]
    public async Task AReaderAWholeBoundBehind_GetsAnErrorEvent()
    {
        _log.Append("data: 1\n\n"u8);
        var reply = Start();
        Assert.Equal("data: 1\n\n", await ReadAsync());
        // The pipe takes 64 KiB before the flush waits; 512 KiB later the log has dropped what comes next.
        var large = new byte[16 << 10];
        large.AsSpan().Fill((byte)'x');
        for (var i = 0; i < 32; i++) _log.Append(large);
        var text = new StringBuilder();
        while (!text.ToString().Contains("error", StringComparison.Ordinal)) text.Append(await ReadAsync());
        Assert.Contains("too slow", text.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text.ToString(), StringComparison.Ordinal);
        while (_clock.PendingTimerCount < 2) await Task.Yield();
        _clock.Advance(_limits.ErrorEventLead);
        await reply;
        Assert.True(_connection.IsAborted);
    }

    [Fact]
    public async Task AWriteThatIsStuck_IsCutAfterThirtySeconds()
    {
        var large = new byte[100 << 10];
        _log.Append(large);
        var reply = Start();
        Advance(29);
        Assert.False(_connection.IsAborted);
        Advance(20);
        Assert.True(_connection.IsAborted);
        // The transport would now complete the pipe.
        await _pipe.Reader.CompleteAsync();
        await reply;
    }
}
