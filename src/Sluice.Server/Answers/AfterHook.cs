using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Errors;
using Sluice.Protocol.ServerSentEvents;
using Sluice.Server.Configuration;
using Sluice.Server.Hooks;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>
/// Tells the hook of answers that have ended: how, their usage, and the answer itself. Nobody waits for it: reports queue, up to a number and
/// a size, and each is sent once. The hook is the current configuration's.
/// </summary>
internal sealed partial class AfterHook : IHostedService
{
    private const int ReplyBytesMax = 64 << 10;
    private static readonly JsonWriterOptions s_writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly Hub _hub;
    private readonly HookLink _link;
    private readonly Limits _limits;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<Report> _reports;
    private readonly List<Task> _senders = [];
    private readonly Lock _lock = new();
    private long _bytes;

    public AfterHook(Hub hub, HookLink link, Limits limits, TimeProvider time, ILogger<AfterHook> logger)
    {
        (_hub, _link, _limits, _time, _logger) = (hub, link, limits, time, logger);
        _reports = Channel.CreateBounded<Report>(limits.HookReportsMax);
    }

    // What is left of an answer, which may be gone when it is sent.
    private sealed record Report(HookOptions Hook, HookSubject Subject, AnswerDialect Dialect, AnswerHead Head, string State, ApiError? Failure)
    {
        public required string Outcome { get; init; }

        public required bool IsUsageEstimated { get; init; }

        public AnswerUsage? Usage { get; init; }

        public string? Upstream { get; init; }

        public long? FirstTokenMs { get; init; }

        public long ElapsedMs { get; init; }

        // Null where they are no longer in memory, or too many.
        public EventBuffer? Events { get; init; }

        public long Bytes => (Events?.WrittenCount ?? 0) + Head.Body.Length;
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Sends what waits, for a time.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _reports.Writer.TryComplete();
        Task[] senders;
        lock (_lock) senders = [.. _senders];
        await Waits.WaitAsync(Task.WhenAll(senders), _limits.HookRest, _time, cancellationToken);
        if (_reports.Reader.CanCount && _reports.Reader.Count is > 0 and var count) LogLost(count);
    }

    /// <summary>The answer's log has ended.</summary>
    /// <param name="answer">Not disposed yet.</param>
    public void End(Answer answer)
    {
        if (_hub.Options.Hooks.After is not { } hook || answer.Log.End is not { } end) return;
        var record = answer.Record;
        var report = new Report(
            hook, answer.Subject ?? new HookSubject(record.RequestId, answer.Owner.Dialect.Name, answer.Model), answer.Owner.Dialect,
            new AnswerHead(answer.Id, answer.Created, answer.Model) { Body = answer.Request }, answer.State, end.Failure as ApiError)
        {
            Outcome = record.Hold?.Cut is not null ? "budget" : end.Kind switch
            {
                StreamEndKind.Completed => "completed",
                StreamEndKind.Failed => "failed",
                _ => "cancelled",
            },
            Usage = record.Usage,
            IsUsageEstimated = record.IsUsageEstimated,
            Upstream = record.Upstream,
            FirstTokenMs = (long?)record.TimeToFirstToken?.TotalMilliseconds,
            ElapsedMs = (long)record.Elapsed.TotalMilliseconds,
            Events = ReadEvents(answer),
        };
        if (Interlocked.Add(ref _bytes, report.Bytes) <= _limits.HookReportsBytes && _reports.Writer.TryWrite(report))
        {
            StartSenders();
            return;
        }
        Interlocked.Add(ref _bytes, -report.Bytes);
        _link.Count(HookLink.After, "dropped", started: null);
        LogDropped(report.Subject.RequestId, hook.Url);
    }

    // Not before there is something to send.
    private void StartSenders()
    {
        lock (_lock)
        {
            if (_senders.Count < _limits.HookSenders) _senders.Add(Task.Run(SendAsync));
        }
    }

    private async Task SendAsync()
    {
        await foreach (var report in _reports.Reader.ReadAllAsync())
        {
            var started = _link.GetTimestamp();
            string? problem;
            try
            {
                problem = (await _link.CallAsync(report.Hook, Write(report), ReplyBytesMax, CancellationToken.None)).Problem;
            }
#pragma warning disable CA1031 // Whatever is wrong with one report, those behind it are to be sent.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                problem = exception.Message;
            }
            Interlocked.Add(ref _bytes, -report.Bytes);
            if (problem is not null) LogFailed(report.Subject.RequestId, report.Hook.Url, problem);
            _link.Count(HookLink.After, problem is null ? "delivered" : "failed", started);
        }
    }

    private EventBuffer? ReadEvents(Answer answer)
    {
        if (answer.Log.FirstEvent > 0) return null;
        using var reader = answer.Log.TryOpenReader();
        var events = new EventBuffer();
        while (reader?.TryRead(events, _limits.ReadBatchBytes, events.AddEvent) == ReadOutcome.Events)
            if (events.WrittenCount > _limits.HookResultBytes) return null;
        return events.Count == answer.Log.EventCount ? events : null;
    }

    private static ReadOnlyMemory<byte> Write(Report report)
    {
        var output = new ArrayBufferWriter<byte>(1024);
        using var writer = new Utf8JsonWriter(output, s_writing);
        writer.WriteStartObject();
        writer.WriteString("hook"u8, HookLink.After);
        writer.WriteString("id"u8, report.Head.Id);
        report.Subject.WriteTo(writer);
        writer.WriteString("outcome"u8, report.Outcome);
        writer.WriteString("upstream"u8, report.Upstream);
        WriteNumber(writer, "first_token_ms", report.FirstTokenMs);
        writer.WriteNumber("duration_ms"u8, report.ElapsedMs);
        WriteUsage(writer, report);
        writer.WritePropertyName("error"u8);
        if (report.Failure is { } failure)
        {
            var error = new ArrayBufferWriter<byte>();
            failure.WriteTo(error);
            // Without the object around it.
            writer.WriteRawValue(error.WrittenSpan["{\"error\":".Length..^1], skipInputValidation: true);
        }
        else
        {
            writer.WriteNullValue();
        }
        writer.WritePropertyName("result"u8);
        if (Fold(report) is { } result) writer.WriteRawValue(result.Span, skipInputValidation: true);
        else writer.WriteNullValue();
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenMemory;
    }

    private static void WriteUsage(Utf8JsonWriter writer, Report report)
    {
        if (report.Usage is not { } usage)
        {
            writer.WriteNull("usage"u8);
            return;
        }
        writer.WriteStartObject("usage"u8);
        writer.WriteNumber("prompt_tokens"u8, usage.PromptTokens);
        writer.WriteNumber("cached_tokens"u8, usage.CachedTokens);
        writer.WriteNumber("completion_tokens"u8, usage.CompletionTokens);
        writer.WriteNumber("reasoning_tokens"u8, usage.ReasoningTokens);
        writer.WriteNumber("total_tokens"u8, usage.TotalTokens);
        writer.WriteBoolean("estimated"u8, report.IsUsageEstimated);
        writer.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter writer, string name, long? value)
    {
        if (value is { } number) writer.WriteNumber(name, number);
        else writer.WriteNull(name);
    }

    // As the API gives it to whoever asks by id.
    private static ReadOnlyMemory<byte>? Fold(Report report)
    {
        if (report.Events is not { } events) return null;
        var fold = report.Dialect.CreateFold();
        for (var i = 0; i < events.Count; i++) fold.Add(events[i]);
        if (fold.Error is not null) return null;
        var json = new ArrayBufferWriter<byte>();
        fold.WriteSoFar(json, report.Head, System.Text.Encoding.UTF8.GetBytes($"\"state\":\"{report.State}\""), report.State, report.Failure);
        return json.WrittenMemory;
    }

    [LoggerMessage(1, LogLevel.Warning, "{RequestId}: the hook {Url} was not told of the answer: {Problem}.")]
    private partial void LogFailed(string? requestId, string url, string problem);

    [LoggerMessage(2, LogLevel.Warning, "{RequestId}: the hook {Url} is not told of the answer, because too many reports wait for it.")]
    private partial void LogDropped(string? requestId, string url);

    [LoggerMessage(3, LogLevel.Warning, "{Count} reports of answers were not sent before the hub stopped.")]
    private partial void LogLost(int count);
}
