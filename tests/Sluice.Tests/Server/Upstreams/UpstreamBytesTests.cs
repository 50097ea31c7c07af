using System.Net;
using System.Net.Sockets;
using System.Text;
using Sluice.Server.Runtime;
using Sluice.Testing;
using Sluice.Tests.Server.Routing;
using Xunit;

namespace Sluice.Tests.Server.Upstreams;

/// <summary>Bursts, large events, slow clients, many streams at a time, and the connections that all of it goes by.</summary>
public sealed class UpstreamBytesTests
{
    private static CancellationToken Patience => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    // However slow this machine is, its client is not.
    private static readonly Limits s_patient = UpstreamHub.QuickLimits with { ReaderGrace = TimeSpan.FromMinutes(1) };

    private static string Event(string frame) => $"data: {frame}\n\n";

    [Fact]
    public async Task A_burst_many_times_larger_than_the_log_arrives_whole()
    {
        string[] frames = [ScriptedUpstream.Role(), .. Enumerable.Range(0, 30_000).Select(i => ScriptedUpstream.Text($"token {i} ")), ScriptedUpstream.Finish()];
        var bytes = Encoding.UTF8.GetBytes(string.Concat(frames.Select(Event)) + "data: [DONE]\n\n");
        Assert.True(bytes.Length > 4 * UpstreamHub.QuickLimits.Streams.HotBytes);
        await using var upstream = await ScriptedUpstream.StartAsync(reply => reply.SendAsync(bytes));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), limits: s_patient);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([.. frames, "[DONE]"], await UpstreamHub.EventsAsync(response));
    }

    [Fact]
    public async Task S08_a_rescue_that_comes_in_a_burst_arrives_whole()
    {
        string[] texts = [.. Enumerable.Range(0, 20_000).Select(i => $"token {i} ")];
        await using var first = await ScriptedUpstream.StartAsync(async reply =>
        {
            foreach (var frame in (string[])[ScriptedUpstream.Role(), ScriptedUpstream.Text(texts[0])]) await reply.EventAsync(frame);
            await reply.CutAsync();
        });
        string[] frames = [ScriptedUpstream.Role(), .. texts.Select(text => ScriptedUpstream.Text(text)), ScriptedUpstream.Finish()];
        await using var second = await ScriptedUpstream.StartAsync(reply => reply.SendAsync(string.Concat(frames.Select(Event)) + "data: [DONE]\n\n"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", first, second), limits: s_patient);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([.. frames, "[DONE]"], await UpstreamHub.EventsAsync(response));
    }

    [Theory]
    [InlineData("content", 1)]
    [InlineData("content", 5)]
    [InlineData("images", 5)]
    public async Task C04_events_larger_than_the_log_arrive_whole(string member, int count)
    {
        // An image in base64 is one such event.
        var value = member == "images" ? $"[\"{new string('A', 2 << 20)}\"]" : $"\"{new string('a', 2 << 20)}\"";
        var large = ScriptedUpstream.Chunk($$"""{"index":0,"delta":{"{{member}}":{{value}}},"finish_reason":null}""");
        string[] frames = [ScriptedUpstream.Role(), .. Enumerable.Repeat(large, count), ScriptedUpstream.Finish()];
        await using var upstream = await ScriptedUpstream.StartAsync(reply => reply.SendAsync(string.Concat(frames.Select(Event)) + "data: [DONE]\n\n"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), limits: s_patient);
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal([.. frames, "[DONE]"], await UpstreamHub.EventsAsync(response));
    }

    [Fact]
    public async Task A_line_beyond_32_MiB_is_refused_and_not_read_on()
    {
        var sent = 0L;
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            var megabyte = new byte[1 << 20];
            Array.Fill(megabyte, (byte)'x');
            await reply.SendAsync("data: ");
            for (; !reply.Aborted.IsCancellationRequested; sent++) await reply.SendAsync(megabyte);
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    retries: 0\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Contains("\"upstream_invalid_event\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await upstream.Calls.Single().Aborted.WaitAsync(Patience);
        Assert.True(sent >= 32, $"{sent} MiB");
    }

    [Fact]
    public async Task An_answer_that_is_held_until_its_end_has_a_bound()
    {
        var megabyte = Encoding.UTF8.GetBytes(Event(ScriptedUpstream.Text(new string('x', 1 << 20))));
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            while (!reply.Aborted.IsCancellationRequested) await reply.SendAsync(megabyte);
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream) + "    retries: 0\n");
        using var response = await hub.PostAsync(UpstreamHub.Ask(stream: false), Patience);
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Contains("\"upstream_invalid_event\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await upstream.Calls.Single().Aborted.WaitAsync(Patience);
    }

    [Fact]
    public async Task R10_a_client_that_reads_nothing_holds_up_neither_the_upstream_nor_others()
    {
        var frame = Event(ScriptedUpstream.Text(new string('x', 4000)));
        var block = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(frame, 16)));
        var isSent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(
            async reply =>
            {
                await reply.EventAsync(ScriptedUpstream.Role());
                // 32 MiB: far more than the log and all buffers on the way hold.
                for (var i = 0; i < 500; i++) await reply.SendAsync(block);
                await reply.EventAsync(ScriptedUpstream.Finish());
                await reply.EventAsync("[DONE]");
                isSent.SetResult();
            },
            ScriptedUpstream.Says("ok"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream), limits: UpstreamHub.QuickLimits with { ReaderGrace = TimeSpan.FromMilliseconds(50) });
        using var slow = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 8 << 10 };
        var address = new Uri(hub.Address);
        await slow.ConnectAsync(address.Host, address.Port, Patience);
        var body = UpstreamHub.Ask();
        await slow.SendAsync(Encoding.UTF8.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"), Patience);
        await isSent.Task.WaitAsync(Patience);
        Assert.False(upstream.Calls[0].Aborted.IsCompleted);

        using var response = await hub.PostAsync(UpstreamHub.Ask());
        Assert.Contains(ScriptedUpstream.Text("ok"), await UpstreamHub.EventsAsync(response));

        // What it reads at last is no whole answer.
        var received = new MemoryStream();
        var buffer = new byte[1 << 16];
        try
        {
            int read;
            while ((read = await slow.ReceiveAsync(buffer, Patience)) > 0) received.Write(buffer, 0, read);
        }
        catch (SocketException)
        {
            // The connection was broken off.
        }
        var text = Encoding.UTF8.GetString(received.ToArray());
        Assert.StartsWith("HTTP/1.1 200", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.True(received.Length < 20 << 20, $"{received.Length} bytes");
    }

    [Fact]
    public async Task T16_two_hundred_streams_at_a_time_arrive_byte_by_byte()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            var tag = reply.Call.Body[(reply.Call.Body.IndexOf("tag-", StringComparison.Ordinal) + 4)..][..3];
            foreach (var frame in Frames(tag))
            {
                await reply.EventAsync(frame);
                await Task.Yield();
            }
            await reply.EventAsync("[DONE]");
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        var answers = await Task.WhenAll(Enumerable.Range(100, 200).Select(async tag =>
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask(more: $",\"user\":\"tag-{tag}\""));
            return (Tag: tag, Events: await UpstreamHub.EventsAsync(response));
        }));
        Assert.All(answers, answer => Assert.Equal([.. Frames($"{answer.Tag}"), "[DONE]"], answer.Events));
        Assert.Equal(200, upstream.Calls.Count);

        static IEnumerable<string> Frames(string tag) =>
            [ScriptedUpstream.Role(), .. Enumerable.Range(0, 40).Select(i => ScriptedUpstream.Text($"{tag}:{i} ü🙂")), ScriptedUpstream.Finish()];
    }

    [Fact]
    public async Task Twenty_requests_one_after_the_other_share_a_connection()
    {
        await using var upstream = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("x"));
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        for (var i = 0; i < 20; i++)
        {
            using var response = await hub.PostAsync(UpstreamHub.Ask());
            await UpstreamHub.EventsAsync(response);
        }
        // The end of a body may come a moment too late for its connection to be taken again.
        Assert.InRange(upstream.Calls.Select(call => call.Connection).Distinct().Count(), 1, 4);
    }

    [Fact]
    public async Task Nagle_is_off_on_every_connection()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("Finds the sockets of this process in /proc.");
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await ScriptedUpstream.StartAsync(async reply =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await reply.EventAsync(ScriptedUpstream.Text("a"));
            await go.Task;
        });
        await using var hub = await UpstreamHub.StartAsync(UpstreamHub.Model("m", upstream));
        using var response = await hub.PostAsync(UpstreamHub.Ask());
        int[] ports = [new Uri(hub.Address).Port, new Uri(upstream.Root).Port];
        var seen = new List<(bool IsHub, bool IsAccepted, bool NoDelay)>();
        foreach (var file in Directory.EnumerateFiles("/proc/self/fd"))
        {
            if (new FileInfo(file).LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) != true) continue;
            var socket = new Socket(new SafeSocketHandle(int.Parse(Path.GetFileName(file), System.Globalization.CultureInfo.InvariantCulture), ownsHandle: false));
#pragma warning disable CA1816 // The descriptor belongs to another: neither a call nor the collector may close it.
            GC.SuppressFinalize(socket);
#pragma warning restore CA1816
            if (socket is not { SocketType: SocketType.Stream, Connected: true, LocalEndPoint: IPEndPoint local, RemoteEndPoint: IPEndPoint remote }) continue;
            foreach (var port in ports.Where(port => local.Port == port || remote.Port == port)) seen.Add((port == ports[0], local.Port == port, socket.NoDelay));
        }
        go.SetResult();
        // The client's, the hub's two, and the upstream's.
        Assert.Equal(4, seen.Select(item => (item.IsHub, item.IsAccepted)).Distinct().Count());
        Assert.All(seen, item => Assert.True(item.NoDelay));
    }

    [Fact]
    public async Task R06_an_address_that_takes_no_connection_is_left_and_not_asked_again()
    {
        // A backlog that is full lets further connections wait for ever.
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var waiting = new List<Socket>();
        for (var i = 0; i < 4; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            _ = socket.ConnectAsync(listener.LocalEndPoint!).ContinueWith(static task => _ = task.Exception, TaskScheduler.Default);
            waiting.Add(socket);
        }
        try
        {
            var full = $"{{url: \"http://{listener.LocalEndPoint}/v1\"}}";
            await using var other = await ScriptedUpstream.StartAsync(ScriptedUpstream.Says("ok"));
            await using var hub = await UpstreamHub.StartAsync(
                $"  - id: m\n    upstreams: [{full}, {{url: \"{other.Url}\"}}]\n    timeouts: {{connect: 100ms}}\n"
                + $"  - id: alone\n    upstreams: [{full}]\n    timeouts: {{connect: 100ms}}\n");
            using var response = await hub.PostAsync(UpstreamHub.Ask());
            Assert.Contains(ScriptedUpstream.Text("ok"), await UpstreamHub.EventsAsync(response));
            using var refused = await hub.PostAsync(UpstreamHub.Ask("alone"));
            Assert.Equal(HttpStatusCode.GatewayTimeout, refused.StatusCode);
            Assert.Equal(
                """{"error":{"message":"The model's server took no connection in time.","type":"server_error","param":null,"code":"upstream_timeout"}}""",
                await refused.Content.ReadAsStringAsync(Patience));
        }
        finally
        {
            foreach (var socket in waiting) socket.Dispose();
        }
    }
}
