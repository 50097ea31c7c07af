using System.Text.Json;
using Sluice.Protocol.Answers;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Runtime;

namespace Sluice.Server.Upstreams;

// An answer that nobody wants any more, and whose upstream is left to end it.
internal sealed partial class HttpExchange
{
    // Waits; true when the generation was cancelled first and the answer is to be drained.
    private async Task<bool> IsUnwantedAsync(Task task)
    {
        if (!_drains) return false;
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = _cancellation.UnsafeRegister(static state => ((TaskCompletionSource)state!).TrySetResult(), cancelled);
        await Waits.FirstAsync(task, cancelled.Task);
        return _cancellation.IsCancellationRequested && !task.IsCompleted;
    }

    // From here on the log is not touched any more: it is given back while the rest is read.
    private OperationCanceledException HandOver(Task pending, IAsyncEnumerator<ServerSentEvent>? events)
    {
        (_isHandedOver, _handedOver) = (true, (_relay.ReadUsage(), !_relay.HasUsage));
        var drained = new TaskCompletionSource<AnswerUsage?>(TaskCreationOptions.RunContinuationsAsynchronously);
        // Nobody can be told of what a hedge or another attempt that lost takes in addition.
        if (_isAnswering && attempt.Entry is { } entry) entry.Drained = drained.Task;
        upstream.LogDrained(attempt.Generation.Id, upstream.Options.Url);
        _deadline.Restart(upstream.Limits.Drain);
        _ = DrainAsync(pending, events, drained);
        return new OperationCanceledException(_cancellation);
    }

    // Says what the whole answer took, where the upstream states it.
    private async Task DrainAsync(Task pending, IAsyncEnumerator<ServerSentEvent>? events, TaskCompletionSource<AnswerUsage?> drained)
    {
        AnswerUsage? usage = null;
        try
        {
            await pending;
            if (pending is Task<ServerReply> sending) _reply = await sending;
            if (pending is Task<ReadOnlyMemory<byte>> reading)
            {
                usage = ReadWholeUsage((await reading).Span);
                return;
            }
            if (events is null)
            {
                var stream = await _reply!.OpenAsync(_deadline.Token);
                await stream.CopyToAsync(Stream.Null, _deadline.Token);
                return;
            }
            // The event that was waited for.
            if (pending is not Task<bool> moving || await moving) Pass(events.Current);
            while (await events.MoveNextAsync()) Pass(events.Current);
            if (_relay.HasUsage) usage = _relay.ReadUsage();
        }
        catch (Exception exception) when (exception is OperationCanceledException or HttpRequestException or IOException or InvalidDataException)
        {
            // Nobody wants the answer, so nobody wants to know that it broke off.
        }
        finally
        {
            drained.SetResult(usage);
            if (events is not null) await events.DisposeAsync();
            Dispose();
        }

        AnswerUsage? ReadWholeUsage(ReadOnlySpan<byte> json)
        {
            try
            {
                if (_relay.TryReadWhole(json, out var whole)) return whole.IsUsageEstimated ? null : whole.Usage;
                _relay.AddWhole(json, _events);
                return _relay.HasUsage ? _relay.ReadUsage() : null;
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                return null;
            }
        }

        void Pass(ServerSentEvent item)
        {
            _relay.Add(item.Data.Span, _events);
            _events.Clear();
        }
    }
}
