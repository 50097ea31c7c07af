using System.Collections.Concurrent;

namespace Sluice.Testing.Faults;

/// <summary>A server of a model that always gives the same answer of <see cref="TokenCount"/> tokens, in the way that a script says. Every time is the given clock's.</summary>
public sealed class FaultyServer : IAsyncDisposable
{
    /// <summary>Tokens of the healthy answer.</summary>
    public const int TokenCount = 60;

    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(10);
    private static readonly string[] s_tokens = [.. Enumerable.Range(1, TokenCount).Select(number => $"token{number} ")];

    private readonly TimeProvider _time;
    private readonly string _model;
    private readonly ConcurrentQueue<TimeSpan> _calls = new();
    private readonly long _started;
    private ScriptedUpstream? _server;

    private FaultyServer(string model, TimeProvider time)
    {
        _model = model;
        _time = time;
        _started = time.GetTimestamp();
    }

    /// <summary>The healthy answer.</summary>
    public static string Answer { get; } = string.Concat(s_tokens);

    /// <summary>Where its API begins.</summary>
    public string Url => _server!.Url;

    /// <summary>When it was asked, since its start.</summary>
    public IReadOnlyList<TimeSpan> Calls => [.. _calls];

    /// <summary>Since its start.</summary>
    public TimeSpan Elapsed => _time.GetElapsedTime(_started);

    /// <param name="model">The name that it answers by.</param>
    /// <param name="time">Its clock.</param>
    /// <param name="script">Given the number of the call, from 1, what becomes of it.</param>
    public static async Task<FaultyServer> StartAsync(string model, TimeProvider time, Func<FaultyServer, int, UpstreamReply, Task> script)
    {
        var server = new FaultyServer(model, time);
        server._server = await ScriptedUpstream.StartAsync(reply =>
        {
            server._calls.Enqueue(server.Elapsed);
            return script(server, server._calls.Count, reply);
        });
        return server;
    }

    /// <summary>The body of the last call.</summary>
    public string LastBody => _server!.Calls[^1].Body;

    /// <summary>The whole answer, with usage.</summary>
    public async Task AnswerAsync(UpstreamReply reply)
    {
        await TokensAsync(reply, 0, TokenCount);
        await EndAsync(reply);
        await reply.EventAsync("[DONE]");
    }

    /// <summary>A part of the answer; the role comes before the first.</summary>
    public async Task TokensAsync(UpstreamReply reply, int first, int end)
    {
        if (first == 0) await reply.EventAsync(Rename(ScriptedUpstream.Role()));
        for (var i = first; i < end; i++)
        {
            await DelayAsync(s_pace, reply);
            await reply.EventAsync(Rename(ScriptedUpstream.Text(s_tokens[i])));
        }
    }

    /// <summary>Finish reason and usage.</summary>
    public async Task EndAsync(UpstreamReply reply)
    {
        await reply.EventAsync(Rename(ScriptedUpstream.Finish()));
        await reply.EventAsync(Rename(ScriptedUpstream.Usage(7, TokenCount)));
    }

    /// <summary>An error object.</summary>
    public static Task RefuseAsync(UpstreamReply reply, int status, string message, string type, string code, params (string Name, string Value)[] headers) =>
        ScriptedUpstream.Refuses(status, $$$"""{"error":{"message":"{{{message}}}","type":"{{{type}}}","param":null,"code":"{{{code}}}"}}""", headers)(reply);

    /// <summary>Waits, or until the caller has left.</summary>
    public async Task DelayAsync(TimeSpan time, UpstreamReply reply) =>
        await Task.Delay(time, _time, reply.Aborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _server!.DisposeAsync();

    private string Rename(string frame) => frame.Replace("\"m\"", $"\"{_model}\"", StringComparison.Ordinal);
}
