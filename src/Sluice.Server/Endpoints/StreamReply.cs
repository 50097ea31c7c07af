using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Endpoints;

/// <summary>
/// One event stream to one client: copies the events of a log to the socket as they come, every complete one that is there with one
/// flush. It never waits for more to gather.
/// </summary>
/// <remarks>
/// One timer serves three purposes. Before the first event it ends the holding of the headers; afterwards it asks for heartbeats;
/// and while a write is stuck it cuts the connection.
/// </remarks>
/// <param name="context">Gets the reply.</param>
/// <param name="dialect">Of the log.</param>
/// <param name="log">What is read.</param>
/// <param name="reader">The reply's place in it.</param>
/// <param name="limits">Bounds.</param>
/// <param name="time">Clock of the timer.</param>
/// <param name="eventIds">What ids of events begin with, in UTF-8; null sends none.</param>
/// <param name="answerId">For the end of a stream that fails.</param>
/// <param name="mayBeWhole">Whether an event may hold a whole answer, for the request that began it did not ask for a stream.</param>
internal sealed class StreamReply(
    HttpContext context, AnswerDialect dialect, StreamLog log, StreamLogReader reader, Limits limits, TimeProvider time, byte[]? eventIds = null, bool mayBeWhole = false,
    string answerId = "")
{
    private static readonly ApiError s_abandoned = ApiErrors.ServerError("The answer was given up because nobody was reading it.");
    // Events that aren't sent as they are in the log.
    private readonly EventBuffer? _copied = eventIds is null && !mayBeWhole ? null : new();
    private readonly EventBuffer? _streamed = mayBeWhole ? new() : null;
    private int _beatCount;
    private long _lastWrite = time.GetTimestamp();
    private volatile bool _isFlushing;
    private volatile bool _isTimeUp;

    /// <summary>The end of a reader that was a whole bound behind: its events are gone, and the rest would have a hole.</summary>
    public static StreamEnd Lost { get; } = new(
        StreamEndKind.Failed, ApiErrors.ServerError("The connection was too slow for this stream; a part of it is no longer there."));

    /// <summary>The end of a reader whose events the store can't give.</summary>
    public static StreamEnd Unread { get; } = new(StreamEndKind.Failed, ApiErrors.EventsDropped());

    private PipeWriter Output => context.Response.BodyWriter;

    /// <summary>Completes when everything is on the wire, or the client has left.</summary>
    public async Task WriteAsync()
    {
        await using var timer = time.CreateTimer(static state => ((StreamReply)state!).OnTimer(), this, limits.HeadersHeld, limits.HeartbeatInterval);
        if (!await HoldHeadersAsync()) return;
        SendHeaders();
        // Nothing may come for a while behind the place where it goes on, and a client that resumes wants to know that it could.
        if (reader.Position > 0 && !await FlushAsync()) return;
        while (!context.RequestAborted.IsCancellationRequested)
        {
            var outcome = Read();
            switch (outcome)
            {
                case ReadOutcome.Events:
                    _beatCount = 0;
                    if (!await FlushAsync()) return;
                    break;
                case ReadOutcome.Spilled:
                    if (!await ReadSpilledAsync())
                    {
                        await EndUnreadAsync();
                        return;
                    }
                    if (!await FlushAsync()) return;
                    break;
                case ReadOutcome.NothingYet:
                    if (_isTimeUp && !await BeatAsync(timer)) return;
                    await reader.WaitAsync();
                    break;
                default:
                    await EndAsync(outcome switch { ReadOutcome.Ended => log.End!, ReadOutcome.Dismissed => reader.Dismissal!, _ => Lost });
                    return;
            }
        }
    }

    private ReadOutcome Read()
    {
        if (_copied is null) return reader.TryRead(Output, limits.ReadBatchBytes);
        var passed = reader.Position;
        _copied.Clear();
        var outcome = reader.TryRead(_copied, limits.ReadBatchBytes, _copied.AddEvent);
        if (outcome == ReadOutcome.Events) WriteCopied(passed);
        return outcome;
    }

    private async ValueTask<bool> ReadSpilledAsync()
    {
        if (_copied is null) return await reader.ReadSpilledAsync(Output, limits.ReadBatchBytes);
        var passed = reader.Position;
        _copied.Clear();
        if (!await reader.ReadSpilledAsync(_copied, limits.ReadBatchBytes, _copied.AddEvent)) return false;
        WriteCopied(passed);
        return true;
    }

    private void WriteCopied(long passed)
    {
        var events = _copied!;
        if (_streamed is not null)
        {
            _streamed.Clear();
            for (var i = 0; i < events.Count; i++) dialect.WriteStreamed(events[i], _streamed);
            events = _streamed;
        }
        if (eventIds is null) Output.Write(events.WrittenSpan);
        else dialect.WriteNumbered(Output, eventIds, passed, events);
    }

    // False when the stream failed, or the client left, before there was an event: then the reply is complete.
    private async Task<bool> HoldHeadersAsync()
    {
        while (true)
        {
            if (log.EventCount > 0 || log.End is { Kind: StreamEndKind.Completed or StreamEndKind.Stopped }) return true;
            if (context.RequestAborted.IsCancellationRequested) return false;
            if ((log.End ?? reader.Dismissal) is { } end)
            {
                if (end.Failure is ApiError error) await JsonReply.WriteErrorAsync(context, error);
                else context.Abort();
                return false;
            }
            if (_isTimeUp) return true;
            await reader.WaitAsync();
        }
    }

    private void SendHeaders()
    {
        var headers = context.Response.Headers;
        headers.ContentType = dialect.StreamContentType;
        headers.CacheControl = "no-cache, no-store, no-transform";
        headers["X-Accel-Buffering"] = "no";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        // Within another application Kestrel may have a least rate, which a stream that pauses can't hold.
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate) rate.MinDataRate = null;
    }

    // The timer was set by a guess; it is set anew for what is left of the silence.
    private async ValueTask<bool> BeatAsync(ITimer timer)
    {
        _isTimeUp = false;
        var silence = context.Response.HasStarted ? time.GetElapsedTime(_lastWrite) : limits.HeartbeatInterval;
        if (silence < limits.HeartbeatInterval)
        {
            timer.Change(limits.HeartbeatInterval - silence, limits.HeartbeatInterval);
            return true;
        }
        dialect.WriteHeartbeat(Output, hasIds: eventIds is not null);
        if (++_beatCount % limits.KeepAliveBeats == 0 && reader.Position > 0) dialect.WriteKeepAlive(Output, reader.Position);
        timer.Change(limits.HeartbeatInterval, limits.HeartbeatInterval);
        return await FlushAsync();
    }

    // False when the client has left.
    private async ValueTask<bool> FlushAsync()
    {
        _lastWrite = time.GetTimestamp();
        _isFlushing = true;
        var result = await Output.FlushAsync();
        _isFlushing = false;
        _lastWrite = time.GetTimestamp();
        return !result.IsCompleted && !result.IsCanceled;
    }

    private async Task EndAsync(StreamEnd end)
    {
        switch (end.Kind)
        {
            case StreamEndKind.Completed or StreamEndKind.Stopped:
                dialect.WriteEnd(Output);
                await FlushAsync();
                return;
            default:
                // No [DONE] and no clean end: Python and Node raise on the event, .NET only on the aborted body.
                var requestId = context.Response.Headers[RequestScope.IdHeader].ToString();
                dialect.WriteFailure(Output, new StreamFailure(end.Failure as ApiError ?? s_abandoned, answerId, requestId, reader.Position));
                if (await FlushAsync()) await LetArriveAsync();
                context.Abort();
                return;
        }
    }

    // The store has not got what it should have.
    private async Task EndUnreadAsync()
    {
        if (context.Response.HasStarted)
        {
            await EndAsync(Unread);
            return;
        }
        context.Response.Headers.CacheControl = default;
        await JsonReply.WriteErrorAsync(context, ApiErrors.EventsDropped());
    }

    private async Task LetArriveAsync()
    {
        // The client may leave meanwhile; that is no error, and there is nothing to wait for then.
        await Task.Delay(limits.ErrorEventLead, time, context.RequestAborted).ConfigureAwait(Waits.Quietly);
    }

    private void OnTimer()
    {
        if (_isFlushing && time.GetElapsedTime(Volatile.Read(ref _lastWrite)) >= limits.WriteStalled)
        {
            context.Abort();
            return;
        }
        _isTimeUp = true;
        reader.Wake();
    }
}
