using Sluice.Protocol.Chat;
using Sluice.Server.Endpoints;
using Sluice.Server.Runtime;
using Sluice.Streaming;
using Xunit;

namespace Sluice.Tests.Simulation;

/// <summary>A thousand connections that are read by nobody, on one thread and a clock of their own: counts and bytes, no times.</summary>
public sealed class StalledReaderTests
{
    private const int ReaderCount = 1_000;
    private const int EventCount = 2_000;

    [Fact]
    public void A_thousand_stalled_readers_cost_a_buffer_each_never_hold_up_the_producer_and_are_cut_off()
    {
        var outside = SynchronizationContext.Current;
        var world = new SimWorld(1);
        var limits = new Limits();
        using var log = new StreamLog(limits.Streams with { ReadersPerLogMax = ReaderCount });
        var text = new byte[500];
        "data: "u8.CopyTo(text);
        text.AsSpan(6).Fill((byte)'x');
        "\n\n"u8.CopyTo(text.AsSpan(^2));
        try
        {
            SynchronizationContext.SetSynchronizationContext(world.Scheduler);
            var connections = new List<SimConnection>();
            for (var i = 0; i < ReaderCount; i++)
            {
                var connection = new SimConnection(world, "GET", "/", []);
                connections.Add(connection);
                _ = connection.ServeAsync(async context =>
                {
                    using var reader = log.TryOpenReader()!;
                    await using var left = context.RequestAborted.UnsafeRegister(static state => ((StreamLogReader)state!).Wake(), reader);
                    await new StreamReply(context, ChatDialect.Instance, log, reader, limits, world.Clock).WriteAsync();
                });
            }
            var before = world.Clock.Elapsed;
            for (var i = 0; i < EventCount; i++)
            {
                // No append waits: it is one call, and nothing but this loop runs in it.
                var steps = world.Scheduler.StepCount;
                log.Append(text);
                Assert.Equal(steps, world.Scheduler.StepCount);
                if (i % 100 == 0) RunReady(world);
            }
            RunReady(world);
            Assert.Equal(before, world.Clock.Elapsed);
            Assert.Equal(EventCount, log.EventCount);
            // The log keeps its one bound for all of them, and each has what its connection takes and one batch.
            Assert.InRange(log.HeldBytes, 1, limits.Streams.HotBytes * 5 / 4);
            foreach (var connection in connections) Assert.InRange(connection.UnreadBytes, 1, world.PipeBytes + limits.ReadBatchBytes);
            Assert.All(connections, static connection => Assert.True(connection.IsOpen));
            // A write that is stuck is looked at with each heartbeat.
            for (var passed = TimeSpan.Zero; passed <= limits.WriteStalled + limits.HeartbeatInterval; passed += limits.HeartbeatInterval)
            {
                world.Clock.Advance(limits.HeartbeatInterval);
                RunReady(world);
            }
            Assert.All(connections, static connection => Assert.False(connection.IsOpen));
            Assert.Equal(0, world.Clock.PendingCount);
            Assert.Null(world.Violation);
            Assert.Null(world.Scheduler.Escape);
            log.Complete();
            using var late = log.TryOpenReader(EventCount);
            Assert.NotNull(late);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outside);
            world.Dispose();
        }
    }

    private static void RunReady(SimWorld world)
    {
        while (!world.Scheduler.IsIdle) world.Scheduler.RunOne();
    }
}
