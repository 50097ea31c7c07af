using System.Net.Sockets;
using System.Text;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Endpoints;

/// <summary>More clients than there are places: idle connections go first, and then new ones are refused.</summary>
public sealed class ConnectionBoundTests
{
    private const string Get = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_connection_that_was_idle_for_longest_gives_its_place()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), limits: UpstreamHub.QuickLimits with { ConnectionsMax = 3, ConnectionIdle = TimeSpan.FromMilliseconds(50) });
        using var first = await ConnectAsync(hub);
        using var second = await ConnectAsync(hub);
        using var third = await ConnectAsync(hub);
        foreach (var client in (TcpClient[])[second, third, first])
        {
            Assert.StartsWith("HTTP/1.1 200", await AskAsync(client, Get), StringComparison.Ordinal);
            // A request ends a moment after its response has come.
            await Task.Delay(100, Cancellation);
        }
        using var fourth = await ConnectAsync(hub);
        Assert.StartsWith("HTTP/1.1 200", await AskAsync(fourth, Get), StringComparison.Ordinal);
        Assert.Equal("", await AskAsync(second, ""));
        foreach (var client in (TcpClient[])[third, first]) Assert.StartsWith("HTTP/1.1 200", await AskAsync(client, Get), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_all_are_busy_a_new_one_is_refused_and_those_stay()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await open.Task;
            await reply.EventAsync(ScriptedUpstream.Finish());
            await reply.EventAsync("[DONE]");
        });
        var log = new LogLines();
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), limits: UpstreamHub.QuickLimits with { ConnectionsMax = 2, ConnectionIdle = TimeSpan.FromMilliseconds(50) }, log: log);
        using var first = await hub.PostAsync(UpstreamHub.Ask());
        using var second = await hub.PostAsync(UpstreamHub.Ask());
        for (var i = 0; i < 3; i++)
        {
            using var third = await ConnectAsync(hub);
            var answer = await AskAsync(third, "");
            Assert.StartsWith("HTTP/1.1 503 ", answer, StringComparison.Ordinal);
            Assert.Contains("Retry-After: 1\r\n", answer, StringComparison.Ordinal);
            Assert.Contains("\"type\":\"server_error\"", answer, StringComparison.Ordinal);
        }
        Assert.Single(log.Lines, line => line.StartsWith("Warning: All 2 connections are busy", StringComparison.Ordinal));
        open.SetResult();
        foreach (var response in (HttpResponseMessage[])[first, second]) Assert.Equal("[DONE]", (await UpstreamHub.EventsAsync(response))[^1]);
        await Task.Delay(100, Cancellation);
        using var later = await ConnectAsync(hub);
        Assert.StartsWith("HTTP/1.1 200", await AskAsync(later, Get), StringComparison.Ordinal);
    }

    private static async Task<TcpClient> ConnectAsync(UpstreamHub hub)
    {
        var (client, address) = (new TcpClient(), new Uri(hub.Address));
        await client.ConnectAsync(address.Host, address.Port, Cancellation);
        return client;
    }

    // What comes at once; nothing where the connection ends.
    private static async Task<string> AskAsync(TcpClient client, string request)
    {
        var buffer = new byte[64 << 10];
        try
        {
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), Cancellation);
            var count = await client.GetStream().ReadAsync(buffer, Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
            return Encoding.ASCII.GetString(buffer, 0, count);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
