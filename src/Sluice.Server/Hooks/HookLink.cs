using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using Sluice.Server.Configuration;
using Sluice.Server.Runtime;
using Sluice.Server.Telemetry;
using Sluice.Server.Upstreams;

namespace Sluice.Server.Hooks;

/// <summary>The way to hooks: one call is one POST of a JSON object, with a time and a size that it must not exceed. Nothing is opened before the first.</summary>
internal sealed class HookLink(Limits limits, TimeProvider time, HubMetrics metrics) : IDisposable
{
    /// <summary>What a call is for.</summary>
    public const string Before = "before";

    /// <inheritdoc cref="Before"/>
    public const string After = "after";

    private readonly Lazy<HttpMessageInvoker> _network = new(() => new HttpMessageInvoker(NetworkTransport.CreateHandler(new RouteTimeouts(), limits)));

    /// <summary>Calls a hook. Throws only when the cancellation asks for it.</summary>
    /// <param name="hook">Which one.</param>
    /// <param name="body">A JSON object.</param>
    /// <param name="replyBytesMax">Longest reply.</param>
    /// <param name="cancellation">Nobody waits any more.</param>
    public async Task<HookReply> CallAsync(HookOptions hook, ReadOnlyMemory<byte> body, int replyBytesMax, CancellationToken cancellation)
    {
        using var timeout = new CancellationTokenSource(hook.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellation);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, hook.Url) { Content = new ReadOnlyMemoryContent(body) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            if (hook.ApiKey is { } key) request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
            // The application's handler stays the application's.
            using var own = hook.Handler is { } handler ? new HttpMessageInvoker(handler, disposeHandler: false) : null;
            using var response = await (own ?? _network.Value).SendAsync(request, either.Token);
            if ((int)response.StatusCode is not (200 or 204))
                return new HookReply(default, string.Create(CultureInfo.InvariantCulture, $"it answered with status {(int)response.StatusCode}, where 200 or 204 is expected"));
            return await ReadAsync(response, replyBytesMax, either.Token);
        }
#pragma warning disable CA1031 // Whatever is wrong with the way to a hook, or with an application's handler, what becomes of the request has been configured.
        catch (Exception exception) when (!cancellation.IsCancellationRequested)
#pragma warning restore CA1031
        {
            return new HookReply(default, timeout.IsCancellationRequested
                ? string.Create(CultureInfo.InvariantCulture, $"it said nothing within {hook.Timeout.TotalSeconds} s") : exception.Message);
        }
    }

    /// <summary>Counts a call.</summary>
    /// <param name="phase"><see cref="Before"/> or <see cref="After"/>.</param>
    /// <param name="outcome">A word.</param>
    /// <param name="started">On the hub's clock; null where there was none.</param>
    public void Count(string phase, string outcome, long? started)
    {
        var tags = new TagList { { Tags.Hook, phase }, { Tags.Outcome, outcome } };
        metrics.HookCalls.Add(1, tags);
        if (started is { } from) metrics.HookDuration.Record(time.GetElapsedTime(from).TotalSeconds, tags);
    }

    /// <summary>The present, on the hub's clock.</summary>
    public long GetTimestamp() => time.GetTimestamp();

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_network.IsValueCreated) _network.Value.Dispose();
    }

    private static async Task<HookReply> ReadAsync(HttpResponseMessage response, int bytesMax, CancellationToken cancellation)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(cancellation);
        using var body = new MemoryStream();
        var buffer = new byte[8 << 10];
        while (await stream.ReadAsync(buffer, cancellation) is > 0 and var count)
        {
            if (body.Length + count > bytesMax) return new HookReply(default, string.Create(CultureInfo.InvariantCulture, $"its reply is longer than {bytesMax} bytes"));
            body.Write(buffer, 0, count);
        }
        return new HookReply(body.ToArray(), null);
    }
}
