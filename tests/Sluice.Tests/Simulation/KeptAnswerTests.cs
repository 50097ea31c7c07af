using System.Runtime.CompilerServices;
using Xunit;

namespace Sluice.Tests.Simulation;

/// <summary>What is kept of an answer after its end: its events and its name, not the request that it came of.</summary>
public sealed class KeptAnswerTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_ended_answer_lets_go_of_its_request(bool hasKey)
    {
        var outside = SynchronizationContext.Current;
        var world = new SimWorld(1);
        try
        {
            SynchronizationContext.SetSynchronizationContext(world.Scheduler);
            var (context, body) = Ask(world, hasKey);
            Assert.Equal(1, world.AnswerCount);
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            Assert.Equal((false, false), (context.TryGetTarget(out _), body.TryGetTarget(out _)));
            Assert.Equal(1, world.AnswerCount);
            Assert.Null(world.Violation);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outside);
            world.Dispose();
        }
    }

    // A method of its own, so that the stack holds nothing.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (WeakReference<object> Context, WeakReference<object> Body) Ask(SimWorld world, bool hasKey)
    {
        var story = new Story(0, new Random(1), hasUpstreamFaults: false, isStream: true, "key-0");
        world.Stories.Add(story);
        byte[] body = [.. story.Body];
        var headers = hasKey ? new (string, string)[] { ("Authorization", "Bearer key-0"), ("Idempotency-Key", "k") } : [("Authorization", "Bearer key-0")];
        var connection = new SimConnection(world, "POST", "/v1/chat/completions", body, headers);
        _ = world.ServeAsync(connection);
        _ = connection.ReadToEndAsync();
        // Until it has been answered, and no timer of it is left.
        while (connection.IsOpen || !world.Scheduler.IsIdle)
        {
            if (world.Scheduler.IsIdle) Assert.True(world.Clock.AdvanceToNext());
            else world.Scheduler.RunOne();
        }
        Assert.Equal(200, connection.StatusCode);
        return (new WeakReference<object>(connection.Context), new WeakReference<object>(body));
    }
}
