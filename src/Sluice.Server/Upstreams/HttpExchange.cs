using System.Buffers;
using System.IO.Compression;
using System.Text.Json;
using Sluice.Protocol;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Chat.Relay;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Configuration;
using Sluice.Server.Metering;
using Sluice.Server.Telemetry;
using Sluice.Server.Transport;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>One request to a server and its answer, which is read as what it is: events, an object, or an error, whatever its headers say.</summary>
internal sealed partial class HttpExchange(HttpUpstream upstream, Attempt attempt, ReadOnlyMemory<byte> body, bool asksForStream) : IDisposable
{
    private const int RedirectsMax = 3;
    private const int BytesPerToken = 4;

    private readonly AttemptDeadline _deadline = new(upstream.Time);
    private readonly AnswerRelay _relay = upstream.Dialect.CreateRelay(attempt, upstream.CreateAnswer(attempt));
    private readonly EventBuffer _events = new();
    private readonly CancellationToken _cancellation = attempt.Cancellation;
    private readonly bool _drains = upstream.Options.OnAbort == AbortPolicy.Drain;
    private ServerReply? _reply;
    private bool _hasContent;

    // It has the prompt and has not refused it, so that it computes, and counts, whether somebody gets the answer or not.
    private bool _isAnswering;
    private long _contentCount;
    private long _pieceCount;

    // Tokens that the hold was asked for beside one for each piece.
    private long _surplus;

    // Taken down when the rest is handed over: from then on the relay belongs to whoever drains.
    private (AnswerUsage Usage, bool IsEstimated)? _handedOver;
    private bool _isDelivered;
    private bool _isHandedOver;
    private bool _isCut;

    public async Task<AttemptResult> RunAsync()
    {
        // Whoever cancels closes the connection before the call returns.
        var left = _drains ? default : _cancellation.UnsafeRegister(static state => ((AttemptDeadline)state!).Cancel(), _deadline);
        try
        {
            // Of an answer that comes as a whole nothing is heard before its end.
            _deadline.Restart(attempt.IsLast || !asksForStream ? Timeout.InfiniteTimeSpan : upstream.Timeouts.FirstToken);
            return await ExchangeAsync();
        }
        catch (OperationCanceledException) when (_cancellation.IsCancellationRequested || IsBeaten)
        {
            throw;
        }
        catch (OperationCanceledException) when (_deadline.IsExpired)
        {
            if (_relay.IsFinished) return await CompleteAsync();
            return _hasContent ? Break(UpstreamFailure.Stalled) with { Kind = FailureKind.Silent } : UpstreamFailure.NoToken();
        }
        catch (OperationCanceledException)
        {
            return UpstreamFailure.NoConnection();
        }
        catch (UndecodableException)
        {
            return Break(UpstreamFailure.Undecodable);
        }
        catch (InvalidDataException)
        {
            return Break(UpstreamFailure.Oversized);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            _cancellation.ThrowIfCancellationRequested();
            if (_relay.IsFinished) return await CompleteAsync();
            return _reply is null ? UpstreamFailure.Unreachable() : Break(UpstreamFailure.Truncated);
        }
        finally
        {
            await left.DisposeAsync();
            var (usage, isEstimated) = _handedOver ?? (_relay.ReadUsage(), !_relay.HasUsage);
            if (_isAnswering) attempt.SetUsage(usage, isEstimated, isAnswers: _hasContent);
            if (!_isHandedOver) Dispose();
        }
    }

    public void Dispose()
    {
        _reply?.Dispose();
        _deadline.Dispose();
    }

    private async Task<AttemptResult> ExchangeAsync()
    {
        if (await SendAsync() is { } refused) return refused;
        var reply = _reply!;
        if (!reply.IsSuccess) return UpstreamFailure.FromStatus(reply, (await ReadBodyAsync(upstream.Limits.ErrorBodyBytes)).Span, upstream.Options, upstream.Time);

        _isAnswering = true;
        var isEventStream = IsEventStream(reply);
        // Not disposed here: it goes with the reply, which may be drained after this.
        var stream = new PeekedStream(await OpenAsync(reply));
        var first = await PeekAsync(stream);
        // What begins like an object is one, and what begins like a page is no answer, whatever the header says.
        if (first is '{' or '[') return await ReadWholeAsync(stream);
        if (first == '<' || (first is not (-1 or 'd' or 'e' or ':' or 'i' or 'r' or ' ') && !isEventStream))
            return Break(UpstreamFailure.NoStream);
        return await ReadEventsAsync(stream);
    }

    private ValueTask<int> PeekAsync(PeekedStream stream) => _drains ? PeekOrHandOverAsync(stream) : stream.PeekAsync(_deadline.Token);

    private async ValueTask<int> PeekOrHandOverAsync(PeekedStream stream)
    {
        var peeking = stream.PeekAsync(_deadline.Token).AsTask();
        if (await IsUnwantedAsync(peeking)) throw HandOver(peeking, null);
        return await peeking;
    }

    // Null when there is a response that isn't sent elsewhere.
    private async Task<AttemptResult?> SendAsync()
    {
        Uri? target = null;
        for (var redirects = 0; ; redirects++)
        {
            var sending = upstream.Client.SendAsync(upstream.CreateCall(attempt, body, asksForStream, target), upstream.CreateRequest, _deadline.Token);
            if (await IsUnwantedAsync(sending)) throw HandOver(sending, null);
            _reply = await sending;
            if ((int)_reply.Status is < 300 or > 399 || !Uri.TryCreate(_reply.Find("Location"), UriKind.RelativeOrAbsolute, out var location))
            {
                // It has been sent, and may be long: the exchange needs it no more.
                body = default;
                return null;
            }
            var address = target ?? upstream.Dialect.EndpointOf(attempt.Dialect);
            target = new Uri(address, location);
            var isSame = Uri.Compare(address, target, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0;
            // The key must not go elsewhere.
            if (!isSame || redirects == RedirectsMax) return UpstreamFailure.Redirected(target);
            _reply.Dispose();
            _reply = null;
        }
    }

    private static bool IsEventStream(ServerReply reply) =>
        reply.FindMediaType() is not { } type || type.Equals("text/event-stream", StringComparison.OrdinalIgnoreCase)
        || type.Equals("text/plain", StringComparison.OrdinalIgnoreCase);

    private async Task<AttemptResult> ReadEventsAsync(Stream stream)
    {
        var events = ServerSentEventReader.ReadAsync(stream, cancellationToken: _deadline.Token).GetAsyncEnumerator(_deadline.Token);
        try
        {
            while (true)
            {
                var moving = MoveNextAsync(events);
                // Events that came in one piece go on in one piece, on this thread: it would only wait.
                if (!moving.IsCompleted) attempt.Output.Publish();
                if (!await moving) return _relay.IsFinished ? await CompleteAsync() : Break(UpstreamFailure.Truncated);
                if (_cancellation.IsCancellationRequested) throw _drains ? HandOver(Task.CompletedTask, events) : new OperationCanceledException(_cancellation);
                if (await AddAsync(events.Current) is { } result) return result;
                // Also where others are drained: what a budget refuses must not be paid.
                if (_isCut) throw new OperationCanceledException(_cancellation);
            }
        }
        finally
        {
            if (!_isHandedOver) await events.DisposeAsync();
        }
    }

    private ValueTask<bool> MoveNextAsync(IAsyncEnumerator<ServerSentEvent> events) => _drains ? MoveNextOrHandOverAsync(events) : events.MoveNextAsync();

    private async ValueTask<bool> MoveNextOrHandOverAsync(IAsyncEnumerator<ServerSentEvent> events)
    {
        var moving = events.MoveNextAsync().AsTask();
        if (await IsUnwantedAsync(moving)) throw HandOver(moving, events);
        return await moving;
    }

    // Null while the stream goes on.
    private async ValueTask<AttemptResult?> AddAsync(ServerSentEvent item)
    {
        // An event that calls itself an error may have nothing but words.
        if (item.Type == "error" && !_relay.IsFinished && item.Data.Span.TrimStart(" \t"u8) is not [(byte)'{' or (byte)'[', ..])
        {
            await FlushAsync();
            return Break(UpstreamError.Read(500, item.Data.Span));
        }
        var frame = _relay.Add(item.Data.Span, _events);
        switch (frame)
        {
            case FrameKind.Done:
                // An end in order, also without a reason; an answer from which nothing could be read is none.
                return _relay.HasAnswer ? await CompleteAsync() : Break(UpstreamFailure.Truncated);
            case FrameKind.Failed:
                await FlushAsync();
                return _relay.IsFinished ? await CompleteAsync() : Break(_relay.Error!);
            case FrameKind.Empty when item.Type == "error" && !_relay.IsFinished:
                return Break(UpstreamError.Read(500, item.Data.Span));
            case FrameKind.Content:
                Commit();
                if (!TryAddContent())
                {
                    await CutAsync();
                    return null;
                }
                // Between a finish and usage there is no token to wait for.
                _deadline.Restart(_relay.IsFinished ? upstream.Limits.AfterFinish : IdleTime);
                break;
        }
        await FlushAsync();
        // What is held until the end, or until there is content, has a bound too.
        return _events.WrittenCount > ProtocolLimits.CompletionBytesMax ? Break(UpstreamFailure.Oversized) : null;
    }

    // An object: an answer as a whole, which for a stream is taken apart, or an error.
    private async Task<AttemptResult> ReadWholeAsync(Stream stream)
    {
        var reading = ReadToEndAsync(stream, ProtocolLimits.CompletionBytesMax);
        if (await IsUnwantedAsync(reading)) throw HandOver(reading, null);
        var content = await reading;
        if (content.Length > HttpUpstream.LongBytes) await ReactorThread.LeaveAsync();
        if (content.Length == ProtocolLimits.CompletionBytesMax) return Break(UpstreamFailure.Oversized);
        if (IsHeld && _relay.TryReadWhole(content.Span, out var whole))
        {
            Commit();
            attempt.Output.AddContent();
            _isDelivered = true;
            if (attempt.Output.IsAhead(whole.Json.Length)) await attempt.Output.WaitAsync(whole.Json.Length, _cancellation);
            attempt.Output.AppendQuietly(whole.Json.Span);
            attempt.Output.Publish();
            attempt.Complete(whole.Usage, whole.IsUsageEstimated);
            (_hasContent, _isAnswering) = (false, false);
            return AttemptResult.Answered;
        }
        try
        {
            if (FindError(content.Span) is { } error) return Break(error);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return Break(content.Span[^1] is (byte)'}' or (byte)']' ? UpstreamFailure.NoStream : UpstreamFailure.Truncated);
        }
        var frame = _relay.AddWhole(content.Span, _events);
        if (frame == FrameKind.Failed) return Break(_relay.Error!);
        if (!_relay.HasAnswer) return Break(UpstreamFailure.NoStream);
        Commit();
        // It is there as a whole, and paid.
        TryAddContent();
        return await CompleteAsync();
    }

    private static ApiError? FindError(ReadOnlySpan<byte> content)
    {
        var reader = new Utf8JsonReader(content);
        using var document = JsonDocument.ParseValue(ref reader);
        var hasChoices = document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("choices"u8, out var choices)
            && choices.ValueKind == JsonValueKind.Array && choices.GetArrayLength() > 0;
        return hasChoices ? null : UpstreamError.Find(content);
    }

    // A finish reason alone is no token. False where a budget has no room for it.
    private bool TryAddContent()
    {
        if (_relay.ContentCount == _contentCount) return true;
        _contentCount = _relay.ContentCount;
        _pieceCount++;
        attempt.Output.AddContent();
        return attempt.Record.Hold is not { } hold || TryTakeSurplus(hold);
    }

    // Many servers put several tokens into an event. A cut must not come late: the larger of all that is known counts.
    private bool TryTakeSurplus(Hold hold)
    {
        var tokens = _relay.ContentBytes / BytesPerToken;
        if (_relay.HasUsage)
        {
            var stated = _relay.ReadUsage();
            tokens = long.Max(tokens, stated.CompletionTokens);
            if (stated.PromptTokens > 0) hold.TrySetPrompt(stated.PromptTokens);
        }
        var surplus = tokens - _pieceCount;
        if (surplus > _surplus && hold.TryTake(surplus - _surplus)) _surplus = surplus;
        return hold.Cut is null;
    }

    // The event that there is no room for is not delivered. What comes as a whole has delivered nothing yet, and ends with it.
    private async ValueTask CutAsync()
    {
        if (IsHeld) await FlushAsync(isEnd: true);
        _events.Clear();
        _isCut = true;
        attempt.Output.Publish();
        attempt.Generation.Cancel(CancellationCause.Exhausted);
    }

    // Of an answer that is delivered as one object, nothing is before its end: until then another attempt may take its place.
    private bool IsHeld => !attempt.Outline.IsStream;

    private TimeSpan IdleTime => (IsHeld ? !attempt.IsLast : attempt.IsRescuable)
        ? upstream.Timeouts.Idle
        : TimeSpan.FromTicks(long.Max(upstream.Timeouts.Idle.Ticks, upstream.Limits.LastIdle.Ticks));

    private bool IsBeaten => attempt.Commit.Winner is { } winner && !ReferenceEquals(winner, attempt);

    private void Commit()
    {
        if (!attempt.Commit.TryPass(attempt)) throw new OperationCanceledException("Another attempt was faster.", _cancellation);
        _hasContent = true;
    }

    private ValueTask FlushAsync(bool isEnd = false)
    {
        if (!_hasContent || (IsHeld && !isEnd)) return default;
        _isDelivered = true;
        var next = Append(0);
        if (next < _events.Count) return FlushSlowlyAsync(next);
        _events.Clear();
        return default;
    }

    // The upstream is not silent meanwhile: it is not listened to.
    private async ValueTask FlushSlowlyAsync(int next)
    {
        _deadline.Restart(Timeout.InfiniteTimeSpan);
        while (next < _events.Count)
        {
            await attempt.Output.WaitAsync(_events[next].Length, _cancellation);
            attempt.Output.AppendQuietly(_events[next]);
            next = Append(next + 1);
        }
        _deadline.Restart(_relay.IsFinished ? upstream.Limits.AfterFinish : IdleTime);
        _events.Clear();
    }

    // Appends events from there on, and stops before one that a client is not ready for.
    private int Append(int next)
    {
        for (; next < _events.Count && !attempt.Output.IsAhead(_events[next].Length); next++) attempt.Output.AppendQuietly(_events[next]);
        return next;
    }

    private async ValueTask<AttemptResult> CompleteAsync()
    {
        Commit();
        _relay.WriteEnd(_events);
        await FlushAsync(isEnd: true);
        attempt.Complete(_relay.ReadUsage(), isEstimated: !_relay.HasUsage);
        return AttemptResult.Answered;
    }

    private AttemptResult Break(ApiError error)
    {
        _isAnswering &= _hasContent;
        var result = UpstreamFailure.Classify(error, upstream.Options);
        if (!_isDelivered) return result;
        // What came in one piece with the break; to go on elsewhere takes time.
        attempt.Output.Publish();
        return result with { Outcome = AttemptOutcome.Broken };
    }

    // It follows its head at once, or is not waited for: nothing else would end the wait for one that is to be drained.
    private async Task<ReadOnlyMemory<byte>> ReadBodyAsync(int bytesMax)
    {
        _deadline.Restart(upstream.Timeouts.FirstToken);
        return await ReadToEndAsync(new PeekedStream(await OpenAsync(_reply!)), bytesMax);
    }

    private async Task<ReadOnlyMemory<byte>> ReadToEndAsync(Stream stream, int bytesMax)
    {
        var content = new ArrayBufferWriter<byte>();
        while (content.WrittenCount < bytesMax)
        {
            var room = content.GetMemory(4 << 10);
            var read = await stream.ReadAsync(room[..int.Min(room.Length, bytesMax - content.WrittenCount)], _deadline.Token);
            if (read == 0) break;
            content.Advance(read);
        }
        return content.WrittenMemory;
    }

    // An upstream may compress although it was asked not to.
    private async ValueTask<Stream> OpenAsync(ServerReply reply)
    {
        var encoding = reply.Find("Content-Encoding");
        var stream = await reply.OpenAsync(_deadline.Token);
        return encoding?.Split(',')[^1].Trim().ToLowerInvariant() switch
        {
            "gzip" or "x-gzip" => new GZipStream(stream, CompressionMode.Decompress),
            "br" => new BrotliStream(stream, CompressionMode.Decompress),
            "deflate" => new ZLibStream(stream, CompressionMode.Decompress),
            _ => stream,
        };
    }
}
