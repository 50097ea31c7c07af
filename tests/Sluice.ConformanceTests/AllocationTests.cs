using System.Net.Sockets;
using System.Text;
using Sluice.ConformanceTests.Harness;
using Sluice.Testing;
using Sluice.Testing.Scripting;
using Xunit;

namespace Sluice.ConformanceTests;

/// <summary>Runs alone, for what the process allocates is counted.</summary>
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
public sealed class AllocationCollection;

/// <summary>What one token costs in the memory and the threads of the whole process, from the engine's scheduler to the socket.</summary>
[Collection(nameof(AllocationTests))]
public sealed class AllocationTests
{
    // The scheduler plans a step in a few small arrays, shared by all streams of the batch; events, log and socket add nothing.
    // Measured as 630 bytes; the rest is for what the runtime does beside it.
    private const int BytesPerTokenMax = 1000;

    // A reply that waits is woken by one work item, on which it writes to the socket itself. A second one would be a change of threads on the way
    // of each token; the rest is for what the runtime does beside it.
    private const double WorkItemsPerTokenMax = 1.5;

    [Fact]
    public async Task A_token_of_a_stream_stays_within_its_budget()
    {
        await using var hub = await TestHub.StartScriptedAsync();
        using var client = new ApiClient(hub);
        var gates = (Middle: new Gate(), End: new Gate());
        hub.Scripts["warm"] = new Script().Say(new string('a', 2000));
        await client.StreamAsync("warm");

        // Some 400 KB of events: less than a log keeps, so that a slow machine's reader loses nothing.
        const int TokenCount = 2000;
        hub.Scripts["long"] = new Script().Say(" one").Wait(gates.Middle).Say(new string('a', TokenCount)).Wait(gates.End).Say(" two");
        var body = client.Chat("long", "\"stream\":true");
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(hub.Address.Host, hub.Address.Port);
        await socket.SendAsync(Encoding.UTF8.GetBytes(
            $"POST {ApiClient.ChatPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        await gates.Middle.Reached;
        var reading = Task.Factory.StartNew(() => Drain(socket), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        var before = GC.GetTotalAllocatedBytes(precise: true);
        gates.Middle.Open();
        await gates.End.Reached;
        var perToken = (GC.GetTotalAllocatedBytes(precise: true) - before) / TokenCount;

        gates.End.Open();
        Assert.InRange(perToken, 0, BytesPerTokenMax);
        Assert.True(await reading > TokenCount * 100L);
    }

    [Fact]
    public async Task A_token_that_a_reader_waits_for_wakes_one_thread_of_the_pool()
    {
        const int TokenCount = 100;
        await using var hub = await TestHub.StartScriptedAsync();
        using var client = new ApiClient(hub);
        hub.Scripts["warm"] = new Script().Say(new string('a', 200));
        await client.StreamAsync("warm");
        var gates = Enumerable.Range(0, TokenCount + 1).Select(_ => new Gate()).ToArray();
        var script = new Script().Say("b");
        foreach (var gate in gates) script = script.Wait(gate).Say("a");
        hub.Scripts["paced"] = script;
        var body = client.Chat("paced", "\"stream\":true");
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        // Once used asynchronously, a socket would go on to use the pool.
        socket.Connect(hub.Address.Host, hub.Address.Port);
        socket.Send(Encoding.UTF8.GetBytes(
            $"POST {ApiClient.ChatPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));

        // A thread of its own reads, so that only the hub uses the pool: each token is let go when the one before has come, so no two share a wake.
        var perToken = await Task.Factory.StartNew(() =>
        {
            var buffer = new byte[1 << 16];
            var length = 0;
            void ReadUntil(ReadOnlySpan<byte> text, int count)
            {
                while (buffer.AsSpan(0, length).Count(text) < count) length += socket.Receive(buffer.AsSpan(length));
            }
            ReadUntil("\"content\":\"b\""u8, 1);
            var before = 0L;
            for (var i = 0; i < TokenCount; i++)
            {
                gates[i].Reached.Wait();
                if (i == TokenCount / 10) before = ThreadPool.CompletedWorkItemCount;
                gates[i].Open();
                ReadUntil("\"content\":\"a\""u8, i + 1);
            }
            return (ThreadPool.CompletedWorkItemCount - before) / (TokenCount * 0.9);
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        gates[^1].Open();
        Assert.InRange(perToken, 0.1, WorkItemsPerTokenMax);
        Drain(socket);
    }

    private static long Drain(Socket socket)
    {
        var buffer = new byte[1 << 16];
        long total = 0;
        while (true)
        {
            var count = socket.Receive(buffer);
            total += count;
            if (count == 0 || buffer.AsSpan(0, count).EndsWith("0\r\n\r\n"u8)) return total;
        }
    }
}
