using System.Collections.Concurrent;
using System.Text;
using Sluice.Testing;

namespace Sluice.ConformanceTests.Harness;

/// <summary>What became of one conversation with an <see cref="UnreliableServer"/>.</summary>
/// <param name="Case">The model that was asked for.</param>
/// <param name="Text">Content that arrived.</param>
/// <param name="HasFailed">Whether it ended with an error.</param>
public sealed record Conversation(string Case, string Text, bool HasFailed);

/// <summary>
/// A server that behaves as Sluice does, or doesn't, and loses connections: the model's name says how. <c>/v1/cancel</c> is only recorded.
/// </summary>
public sealed class UnreliableServer : IAsyncDisposable
{
    private const string Id = "chatcmpl-a";
    private static readonly string[] s_events =
        [ScriptedUpstream.Role(), ScriptedUpstream.Text("a"), ScriptedUpstream.Text("\U0001F600"), ScriptedUpstream.Text("c"), ScriptedUpstream.Finish()];

    private readonly ConcurrentDictionary<string, ConcurrentQueue<UpstreamCall>> _calls = new(StringComparer.Ordinal);
    private ScriptedUpstream? _server;

    /// <summary>What every case must come to, whatever the client.</summary>
    public static IReadOnlyList<(Conversation Conversation, int CallCount)> Expected { get; } =
    [
        (new("first", "", HasFailed: true), 1),
        (new("cut", "a\U0001F600c", HasFailed: false), 2),
        (new("middle", "a\U0001F600c", HasFailed: false), 2),
        (new("early", "a\U0001F600c", HasFailed: false), 2),
        (new("clean", "a\U0001F600c", HasFailed: false), 2),
        (new("silent", "a\U0001F600c", HasFailed: false), 2),
        (new("unanswered", "a\U0001F600c", HasFailed: false), 2),
        (new("timeout", "a\U0001F600c", HasFailed: false), 2),
        (new("whole", "a\U0001F600c", HasFailed: false), 2),
        (new("draining", "a\U0001F600c", HasFailed: false), 3),
        (new("foreign", "a\U0001F600", HasFailed: true), 1),
        (new("foreign-clean", "a\U0001F600", HasFailed: false), 1),
        (new("other", "a\U0001F600", HasFailed: true), 2),
        (new("created", "a\U0001F600", HasFailed: true), 2),
        (new("plain", "a\U0001F600", HasFailed: true), 2),
        (new("error", "a\U0001F600", HasFailed: true), 1),
        (new("error-clean", "a\U0001F600", HasFailed: true), 1),
        (new("stopped", "a\U0001F600c", HasFailed: false), 2),
        (new("stopped-spaced", "a\U0001F600c", HasFailed: false), 2),
        (new("stopped-lines", "a\U0001F600c", HasFailed: false), 2),
        (new("error-within", "a\U0001F600", HasFailed: true), 1),
        (new("stopped-stubborn", "a\U0001F600", HasFailed: true), 4),
        (new("stopped-404", "a\U0001F600", HasFailed: true), 2),
        (new("late", "a\U0001F600", HasFailed: true), 2),
        (new("stubborn", "a\U0001F600", HasFailed: true), 4),
        (new("404", "a\U0001F600", HasFailed: true), 2),
        (new("409", "a\U0001F600", HasFailed: true), 2),
        (new("410", "a\U0001F600", HasFailed: true), 2),
        (new("422", "a\U0001F600", HasFailed: true), 2),
        (new("429-final", "a\U0001F600", HasFailed: true), 2),
        (new("clean-404", "a\U0001F600", HasFailed: true), 2),
        (new("key", "a\U0001F600c", HasFailed: false), 2),
        (new("leave-key", "a", HasFailed: false), 1),
        (new("leave", "a", HasFailed: false), 1),
    ];

    /// <summary>Where its API begins.</summary>
    public string Url => _server!.Url;

    public static async Task<UnreliableServer> StartAsync()
    {
        var server = new UnreliableServer();
        server._server = await ScriptedUpstream.StartAsync(server.AnswerAsync);
        return server;
    }

    /// <summary>Requests of a case, or for <c>/v1/cancel</c>.</summary>
    public IReadOnlyList<UpstreamCall> CallsOf(string name) => _calls.TryGetValue(name, out var calls) ? [.. calls] : [];

    /// <summary>Ends when so many of them have come.</summary>
    public async Task WaitForAsync(string name, int count, CancellationToken cancellation)
    {
        while (CallsOf(name).Count < count) await Task.Delay(5, cancellation);
    }

    public ValueTask DisposeAsync() => _server!.DisposeAsync();

    private Task AnswerAsync(UpstreamReply reply)
    {
        if (reply.Call.Target == "/v1/cancel")
        {
            _calls.GetOrAdd("cancel", _ => []).Enqueue(reply.Call);
            return reply.SendAsync("{}");
        }
        var name = Json.Parse(reply.Call.Body).Text("model")!;
        var calls = _calls.GetOrAdd(name, _ => []);
        calls.Enqueue(reply.Call);
        return AnswerAsync(reply, name, calls.Count);
    }

    private static async Task AnswerAsync(UpstreamReply reply, string name, int call)
    {
        if (name is not ("first" or "abandoned" or "unanswered" or "timeout" or "foreign" or "foreign-clean") && call == 1) Name(reply, "created");
        switch (name, call)
        {
            case ("first", _) or ("unanswered", 1):
                reply.Cut();
                return;
            case ("timeout", 1) or ("abandoned", _):
                // The SDK gives up, and asks again by itself; or the application has had enough.
                await reply.StallAsync();
                return;
            case ("unanswered" or "timeout", _):
                Name(reply, "joined");
                await SendAsync(reply, 0, s_events.Length);
                await reply.EventAsync("[DONE]");
                return;
            case ("whole", _):
                // An object that breaks off.
                var body = Encoding.UTF8.GetBytes("""{"id":"chatcmpl-a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a😀c"},"finish_reason":"stop"}]}""");
                reply.Response.ContentType = "application/json";
                reply.Response.ContentLength = body.Length;
                if (call > 1) Name(reply, "replayed");
                await reply.SendAsync(body.AsMemory(0, call > 1 ? body.Length : 60));
                if (call == 1) await reply.CutAsync();
                return;
            case ("early", 1):
                await reply.SendAsync(": keep-alive\n\n");
                await reply.CutAsync();
                return;
            case ("silent", 1):
                await SendAsync(reply, 0, 3);
                await reply.StallAsync();
                return;
            case ("middle", 1):
                // Line ends as some proxies make them, comments, and half a character.
                await SendAsync(reply, 0, 2, "\r\n");
                var half = Encoding.UTF8.GetBytes($": still here\r\n\r\ndata: {s_events[2]}\r\n\r\n");
                await reply.SendAsync(half.AsMemory(0, half.AsSpan().IndexOf((byte)0xF0) + 2));
                await reply.CutAsync();
                return;
            case ("error" or "error-clean" or "stopped" or "stopped-stubborn" or "stopped-404", 1):
                var code = name.StartsWith("stopped", StringComparison.Ordinal) ? "\"server_shutdown\"" : "null";
                await SendAsync(reply, 0, 3);
                await reply.EventAsync($$$"""{"error":{"message":"It failed.","type":"server_error","param":null,"code":{{{code}}}}}""");
                if (name != "error-clean") await reply.CutAsync();
                return;
            case ("stopped-spaced", 1):
                // The same to a parser of JSON: a server or a proxy may write it so.
                await SendAsync(reply, 0, 3);
                await reply.EventAsync("""{ "error" : { "code" : "server\u005fshutdown", "message" : "It stops." } }""");
                await reply.CutAsync();
                return;
            case ("stopped-lines", 1):
                // One event: its lines are joined.
                await SendAsync(reply, 0, 3);
                await reply.SendAsync("data: {\"error\":\ndata: {\"code\":\"server_shutdown\"}}\n\n");
                await reply.CutAsync();
                return;
            case ("error-within", 1):
                // The code is another one; what it looks like is elsewhere.
                await SendAsync(reply, 0, 3);
                await reply.EventAsync("""{"error":{"message":"It failed.","type":"server_error","param":{"code":"server_shutdown"},"code":null}}""");
                await reply.CutAsync();
                return;
            case ("leave" or "leave-key", _):
                await SendAsync(reply, 0, 2);
                await reply.StallAsync();
                return;
            case (_, 1):
                await SendAsync(reply, 0, 3);
                if (!name.Contains("clean", StringComparison.Ordinal)) await reply.CutAsync();
                return;
            case ("other", _):
                Name(reply, "resumed", "chatcmpl-b");
                break;
            case ("created", _):
                Name(reply, "created");
                break;
            case ("plain", _):
                // A server that is no Sluice stands there now.
                break;
            case ("stubborn" or "stopped-stubborn", _) or ("draining", 2) or ("late", _):
                await RefuseAsync(reply, 503, (name, call) switch { ("late", _) => "3600", ("draining", _) => "1", _ => "0" });
                return;
            case ("429-final", _):
                reply.Response.Headers["x-should-retry"] = "false";
                await RefuseAsync(reply, 429, "0");
                return;
            case ("404" or "409" or "410" or "422" or "clean-404" or "stopped-404", _):
                await RefuseAsync(reply, int.Parse(name[^3..], System.Globalization.CultureInfo.InvariantCulture), "0");
                return;
            default:
                Name(reply, "resumed");
                break;
        }
        await SendAsync(reply, int.Parse(reply.Call.Headers["Last-Event-ID"].Split(':')[1], System.Globalization.CultureInfo.InvariantCulture), s_events.Length);
        await reply.EventAsync("[DONE]");
    }

    private static void Name(UpstreamReply reply, string attempt, string id = Id)
    {
        reply.Response.Headers["Sluice-Stream-Id"] = id;
        reply.Response.Headers["Sluice-Stream-Attempt"] = attempt;
    }

    private static Task RefuseAsync(UpstreamReply reply, int status, string retryAfter) =>
        ScriptedUpstream.Refuses(status, """{"error":{"message":"no","type":"server_error","param":null,"code":null}}""", ("Retry-After", retryAfter))(reply);

    private static async Task SendAsync(UpstreamReply reply, int start, int end, string newLine = "\n")
    {
        foreach (var item in s_events[start..end]) await reply.SendAsync($"data: {item}{newLine}{newLine}");
    }
}
