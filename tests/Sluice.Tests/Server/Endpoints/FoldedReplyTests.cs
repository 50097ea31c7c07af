using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Endpoints;
using Sluice.Server.Runtime;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

public sealed class FoldedReplyTests
{
    private readonly DefaultHttpContext _context = new();
    private readonly MemoryStream _body = new();
    private readonly StreamLog _log = new();

    public FoldedReplyTests() => _context.Response.Body = _body;

    private async Task<string> RunAsync(Action produce)
    {
        using var reader = _log.TryOpenReader()!;
        var reply = FoldedReply.WriteAsync(_context, ChatDialect.Instance, _log, reader, new Limits(), TimeProvider.System);
        produce();
        await reply;
        await _context.Response.BodyWriter.FlushAsync(TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(_body.ToArray());
    }

    private void Produce(bool isFinished)
    {
        var writer = new ChatChunkWriter("chatcmpl-1", 1, "m", includeUsage: true, serviceTier: null);
        var events = new EventBuffer();
        writer.WriteRole(events, 0, logprobs: false);
        foreach (var text in (string[])["Hel", "lo"]) writer.WriteContent(events, 0, Encoding.UTF8.GetBytes(text));
        if (isFinished)
        {
            writer.WriteFinish(events, 0, "stop"u8);
            writer.WriteUsage(events, new AnswerUsage(1, 0, 2));
        }
        for (var i = 0; i < events.Count; i++) _log.Append(events[i]);
    }

    [Fact]
    public async Task EventsOfACompleteStream_BecomeOneObject()
    {
        var json = await RunAsync(() =>
        {
            Produce(isFinished: true);
            _log.Complete();
        });
        Assert.Equal(200, _context.Response.StatusCode);
        Assert.Equal("application/json", _context.Response.ContentType);
        Assert.Equal(json.Length, _context.Response.ContentLength);
        Assert.Contains("\"content\":\"Hello\"", json, StringComparison.Ordinal);
        Assert.Contains("\"finish_reason\":\"stop\"", json, StringComparison.Ordinal);
        Assert.Contains("\"total_tokens\":3", json, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AFailureAfterSomeText_IsAStatus_AndNothingOfTheText()
    {
        var json = await RunAsync(() =>
        {
            Produce(isFinished: false);
            _log.Fail(ApiErrors.Unavailable(TimeSpan.FromSeconds(1)));
        });
        Assert.Equal(503, _context.Response.StatusCode);
        Assert.StartsWith("{\"error\":{", json, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AStreamThatEndsWithoutAFinish_IsAnError_NotAnAnswer()
    {
        var json = await RunAsync(() =>
        {
            Produce(isFinished: false);
            _log.Complete();
        });
        Assert.Equal(500, _context.Response.StatusCode);
        Assert.StartsWith("{\"error\":{", json, StringComparison.Ordinal);
    }
}
