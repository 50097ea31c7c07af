using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Sluice.Testing;

/// <summary>What the upstream was asked.</summary>
/// <param name="Body">The body, as it came.</param>
/// <param name="Headers">All of them; names in any case.</param>
public sealed record UpstreamCall(string Body, IReadOnlyDictionary<string, string> Headers)
{
    private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Path and query.</summary>
    public required string Target { get; init; }

    /// <summary>Such as <c>HTTP/1.1</c>.</summary>
    public required string Protocol { get; init; }

    /// <summary>Which connection it came by.</summary>
    public required string Connection { get; init; }

    /// <summary>Completes when the caller has closed the connection before the answer's end.</summary>
    public Task Aborted => _aborted.Task;

    internal void SetAborted() => _aborted.TrySetResult();
}

/// <summary>The way that an answer is written.</summary>
public sealed class UpstreamReply(HttpContext context, UpstreamCall call)
{
    /// <summary>What was asked.</summary>
    public UpstreamCall Call => call;

    /// <summary>Status and headers, before anything is written.</summary>
    public HttpResponse Response => context.Response;

    /// <summary>Cancelled when the caller has left.</summary>
    public CancellationToken Aborted => context.RequestAborted;

    /// <summary>Sends bytes at once.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        await context.Response.Body.WriteAsync(bytes, Aborted);
        await context.Response.Body.FlushAsync(Aborted);
    }

    /// <summary>Sends text at once.</summary>
    public Task SendAsync(string text) => SendAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>Sends one event.</summary>
    public Task EventAsync(string data) => SendAsync($"data: {data}\n\n");

    /// <summary>Breaks the connection off, and throws away what has not left the machine.</summary>
    public void Cut() => context.Abort();

    /// <summary>Breaks the connection off when what was sent has had time to leave.</summary>
    public async Task CutAsync()
    {
        await Task.Delay(200);
        Cut();
    }

    /// <summary>Says nothing more until the caller leaves.</summary>
    public async Task StallAsync() => await Task.Delay(Timeout.Infinite, Aborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
}

/// <summary>
/// A real server on a free port of this machine that answers by a script: one entry per request, and the last for every further one.
/// An answer is an event stream unless its script says otherwise.
/// </summary>
public sealed class ScriptedUpstream : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly Func<UpstreamReply, Task>[] _script;
    private readonly ConcurrentQueue<UpstreamCall> _calls = new();
    private readonly SemaphoreSlim _called = new(0);
    private int _count;

    private ScriptedUpstream(WebApplication application, Func<UpstreamReply, Task>[] script)
    {
        _application = application;
        _script = script;
    }

    /// <summary>Where its API begins.</summary>
    public string Url => Root + "/v1";

    /// <summary>Where the server begins.</summary>
    public string Root => _application.Urls.First();

    /// <summary>Requests so far, in order.</summary>
    public IReadOnlyList<UpstreamCall> Calls => [.. _calls];

    /// <summary>Starts a server.</summary>
    public static Task<ScriptedUpstream> StartAsync(params Func<UpstreamReply, Task>[] script) => StartAsync(null, script);

    /// <summary>Starts a server that speaks HTTP/1.1 and HTTP/2 over TLS.</summary>
    public static Task<ScriptedUpstream> StartOverTlsAsync(X509Certificate2 certificate, params Func<UpstreamReply, Task>[] script) => StartAsync(certificate, script);

    private static async Task<ScriptedUpstream> StartAsync(X509Certificate2? certificate, Func<UpstreamReply, Task>[] script)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            // A test sees bytes, as characters of the same number.
            kestrel.RequestHeaderEncodingSelector = static _ => Encoding.Latin1;
            kestrel.Listen(IPAddress.Loopback, 0, address =>
            {
                if (certificate is not null) address.UseHttps(certificate);
            });
        });
        var application = builder.Build();
        var upstream = new ScriptedUpstream(application, script);
        application.Run(upstream.AnswerAsync);
        await application.StartAsync();
        return upstream;
    }

    /// <summary>The next request that has not been waited for.</summary>
    public async Task<UpstreamCall> NextCallAsync(CancellationToken cancellation = default)
    {
        await _called.WaitAsync(cancellation);
        return Calls[^1];
    }

    /// <summary>An answer of whole frames and <c>[DONE]</c>.</summary>
    public static Func<UpstreamReply, Task> Frames(params string[] frames) => async reply =>
    {
        foreach (var frame in frames) await reply.EventAsync(frame);
        await reply.EventAsync("[DONE]");
    };

    /// <summary>An answer in the shape of the API's own.</summary>
    /// <param name="texts">Its pieces.</param>
    public static Func<UpstreamReply, Task> Says(params string[] texts) => Frames([Role(), .. texts.Select(text => Text(text)), Finish()]);

    /// <summary>An error object with its status.</summary>
    public static Func<UpstreamReply, Task> Refuses(int status, string body, params (string Name, string Value)[] headers) => async reply =>
    {
        reply.Response.StatusCode = status;
        reply.Response.ContentType = "application/json";
        foreach (var (name, value) in headers) reply.Response.Headers[name] = value;
        await reply.SendAsync(body);
    };

    /// <summary>A frame whose only choice is given.</summary>
    public static string Chunk(string choice, string model = "m") =>
        $$"""{"id":"up-1","object":"chat.completion.chunk","created":1700000000,"model":"{{model}}","choices":[{{choice}}]}""";

    /// <summary>The first frame.</summary>
    public static string Role() => Chunk("""{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}""");

    /// <summary>A frame with text.</summary>
    public static string Text(string text) => Chunk($$"""{"index":0,"delta":{"content":"{{text}}"},"logprobs":null,"finish_reason":null}""");

    /// <summary>The last frame.</summary>
    public static string Finish(string reason = "stop") => Chunk($$"""{"index":0,"delta":{},"logprobs":null,"finish_reason":"{{reason}}"}""");

    /// <summary>The usage frame.</summary>
    public static string Usage(int prompt = 7, int completion = 3) =>
        $$$"""{"id":"up-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[],"usage":{"prompt_tokens":{{{prompt}}},"completion_tokens":{{{completion}}},"total_tokens":{{{prompt + completion}}}}}""";

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _application.StopAsync(now.Token);
        await _application.DisposeAsync();
        _called.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = new StreamReader(context.Request.Body);
        var call = new UpstreamCall(
            await body.ReadToEndAsync(), context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase))
        {
            Target = context.Request.Path + context.Request.QueryString,
            Protocol = context.Request.Protocol,
            Connection = context.Connection.Id,
        };
        context.RequestAborted.Register(call.SetAborted);
        _calls.Enqueue(call);
        var step = _script[int.Min(Interlocked.Increment(ref _count), _script.Length) - 1];
        _called.Release();
        context.Response.ContentType = "text/event-stream";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        try
        {
            await step(new UpstreamReply(context, call));
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller has left in the middle of a write.
        }
    }
}
