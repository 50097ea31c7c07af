using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Sluice.Testing;
using Sluice.Testing.Faults;
using Xunit;

namespace Sluice.ConformanceTests.Harness;

/// <summary>
/// Two hubs behind proxies that break connections. One has a model of its own that repeats what it is told, the other an upstream that says and
/// calls what it is told: a message of <c>[text, arguments]</c>.
/// </summary>
public sealed class DroppingHubs : IAsyncDisposable
{
    private static readonly JavaScriptEncoder s_encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
    private readonly ScriptedUpstream _upstream;
    private readonly FaultProxy _echo;
    private readonly FaultProxy _tools;

    private DroppingHubs(TestHub hub, TestHub toolHub, ScriptedUpstream upstream, int seed)
    {
        (Hub, ToolHub, _upstream) = (hub, toolHub, upstream);
        (_echo, _tools) = (FaultProxy.Start(hub.Address, Plan), FaultProxy.Start(toolHub.Address, Plan));

        ConnectionPlan Plan(int connection) => ConnectionPlan.Draw(seed, connection, bytesMax: 4000);
    }

    /// <summary>The one with a model of its own, called <c>scripted</c>.</summary>
    public TestHub Hub { get; }

    /// <summary>The one with an upstream, whose model is called <c>m</c>.</summary>
    public TestHub ToolHub { get; }

    /// <summary>Where the first one's API begins, through its proxy.</summary>
    public string EchoUrl => new Uri(_echo.Address, "v1").ToString();

    /// <summary>Where the second one's API begins, through its proxy.</summary>
    public string ToolsUrl => new Uri(_tools.Address, "v1").ToString();

    /// <summary>Connections broken so far.</summary>
    public int FaultCount => _echo.FaultCount + _tools.FaultCount;

    /// <summary>Calls of the upstream: as many as requests that were made of it, or more.</summary>
    public int UpstreamCallCount => _upstream.Calls.Count;

    public static async Task<DroppingHubs> StartAsync(int seed)
    {
        var upstream = await ScriptedUpstream.StartAsync(SayAsync);
        var hub = await TestHub.StartScriptedAsync();
        return new DroppingHubs(hub, await TestHub.StartConfiguredAsync($"  - {{id: m, upstreams: [{{url: \"{upstream.Url}\"}}]}}\n"), upstream, seed);
    }

    /// <summary>Lets a client converse until so many connections have been broken.</summary>
    public async Task BreakAsync(int count, Func<int, Task> converse)
    {
        while (FaultCount < count) await converse(int.Clamp((count - FaultCount) / 4, 6, 500));
        // Nothing but the connections went wrong; Kestrel says so of those that break within a request.
        var complaints = string.Join('\n', Hub.Complaints.Concat(ToolHub.Complaints).Where(line => !line.Contains("Connection id", StringComparison.Ordinal)));
        Assert.True(complaints.Length == 0, complaints);
    }

    public async ValueTask DisposeAsync()
    {
        await _echo.DisposeAsync();
        await _tools.DisposeAsync();
        await Hub.DisposeAsync();
        await ToolHub.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    private static async Task SayAsync(UpstreamReply reply)
    {
        var message = Json.Parse(reply.Call.Body).GetProperty("messages")[0].Text("content")!;
        var (text, arguments) = (Json.Parse(message)[0].GetString()!, Json.Parse(message)[1].GetString()!);
        await reply.EventAsync(ScriptedUpstream.Role());
        foreach (var piece in Pieces(text)) await reply.EventAsync(ScriptedUpstream.Text(piece));
        await reply.EventAsync(Call("""{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}"""));
        foreach (var piece in Pieces(arguments)) await reply.EventAsync(Call($$$"""{"index":0,"function":{"arguments":"{{{piece}}}"}}"""));
        await reply.EventAsync(ScriptedUpstream.Finish("tool_calls"));
        await reply.EventAsync(ScriptedUpstream.Usage());
        await reply.EventAsync("[DONE]");
    }

    private static string Call(string call) => ScriptedUpstream.Chunk($$"""{"index":0,"delta":{"tool_calls":[{{call}}]},"logprobs":null,"finish_reason":null}""");

    // Up to three characters each, escaped.
    private static IEnumerable<string> Pieces(string text)
    {
        var starts = StringInfo.ParseCombiningCharacters(text);
        for (var i = 0; i < starts.Length; i += 3)
        {
            var end = i + 3 < starts.Length ? starts[i + 3] : text.Length;
            yield return JsonEncodedText.Encode(text[starts[i]..end], s_encoder).ToString();
        }
    }
}
