using System.Diagnostics;
using System.Globalization;
using Sluice.Protocol.Answers;
using Sluice.Protocol.Embeddings;
using Sluice.Protocol.Errors;
using Sluice.Server.Runtime;

namespace Sluice.Server.Telemetry;

/// <summary>Spans by OpenTelemetry's conventions for generative AI: one of the request, and one of each attempt below it. No text of prompts or answers is put there here.</summary>
internal static class Tracing
{
    /// <summary>Names of the headers of W3C's Trace Context.</summary>
    public const string TraceParent = "traceparent";

    /// <summary>See <see cref="TraceParent"/>.</summary>
    public const string TraceState = "tracestate";

    private static readonly ActivitySource s_source = new(SluiceTelemetry.SourceName);

    /// <summary>The span of a request; null where nobody traces. It becomes the current one of the calling method.</summary>
    /// <param name="traceParent">The client's span. Where the application traces requests itself, its own is the parent.</param>
    /// <param name="traceState">What goes with it.</param>
    /// <param name="request">What is asked.</param>
    /// <param name="door">Where.</param>
    /// <param name="started">When it came.</param>
    public static Activity? StartRequest(string? traceParent, string? traceState, RequestOutline request, AnswerDialect door, DateTimeOffset started)
    {
        if (!s_source.HasListeners()) return null;
        var parent = default(ActivityContext);
        if (Activity.Current is { } current && current.Source.HasListeners()) parent = current.Context;
        else ActivityContext.TryParse(traceParent, traceState, isRemote: true, out parent);
        // Without a parent the server's own span would be taken, which nobody sees.
        Activity.Current = null;
        var span = s_source.StartActivity($"{door.Operation} {request.Model}", ActivityKind.Server, parent, startTime: started);
        if (span is null) return null;
        span.SetTag(Tags.Operation, door.Operation).SetTag(Tags.Provider, Tags.Hub).SetTag(Tags.Model, request.Model).SetTag(Tags.Door, door.Name);
        if (door is not ObjectDialect) span.SetTag("gen_ai.output.type", "text");
        if (request.MaxTokens is { } maxTokens) span.SetTag("gen_ai.request.max_tokens", (int)long.Clamp(maxTokens, int.MinValue, int.MaxValue));
        if (request.Temperature is { } temperature) span.SetTag("gen_ai.request.temperature", temperature);
        if (request.TopP is { } topP) span.SetTag("gen_ai.request.top_p", topP);
        if (request.ChoiceCount > 1) span.SetTag("gen_ai.request.choice.count", request.ChoiceCount);
        return span;
    }

    /// <summary>The span of an attempt, below the current one; null where nobody traces.</summary>
    /// <param name="upstream">Who is asked.</param>
    /// <param name="operation">What the request asks for.</param>
    public static Activity? StartAttempt(UpstreamIdentity upstream, string operation)
    {
        var span = s_source.StartActivity($"{operation} {upstream.Model}", ActivityKind.Client);
        if (span is null) return null;
        span.SetTag(Tags.Operation, operation).SetTag(Tags.Provider, upstream.Provider).SetTag(Tags.Model, upstream.Model).SetTag(Tags.Upstream, upstream.Name);
        if (Uri.TryCreate(upstream.Name, UriKind.Absolute, out var url)) span.SetTag("server.address", url.Host).SetTag("server.port", url.Port);
        return span;
    }

    /// <summary>Whether <see cref="Forward"/> adds anything.</summary>
    public static bool IsForwarded => Activity.Current is { Id: not null } current && current.Source == s_source;

    /// <summary>The upstream's part of the trace hangs below the attempt. What the client sent stays where nobody traces here.</summary>
    public static void Forward(HttpRequestMessage request)
    {
        if (!IsForwarded || Activity.Current is not { Id: { } id } current) return;
        request.Headers.Remove(TraceParent);
        request.Headers.Remove(TraceState);
        request.Headers.TryAddWithoutValidation(TraceParent, id);
        if (current.TraceStateString is { Length: > 0 } state && HeaderText.IsSendable(state)) request.Headers.TryAddWithoutValidation(TraceState, state);
    }

    public static void SetError(Activity span, ApiError error) => span.SetStatus(ActivityStatusCode.Error).SetTag(Tags.ErrorType, ErrorTypeOf(error));

    /// <summary>The status, for codes are an upstream's own words.</summary>
    public static string ErrorTypeOf(ApiError error) => error.Status.ToString(CultureInfo.InvariantCulture);
}
