namespace Sluice.Tests.Simulation;

/// <summary>What came of a seed.</summary>
/// <param name="Seed">It.</param>
/// <param name="Violation">The first thing that was wrong; null when nothing was.</param>
/// <param name="Trace">Of all that happened.</param>
/// <param name="StepCount">Turns of the scheduler.</param>
internal sealed record SimOutcome(int Seed, string? Violation, ulong Trace, long StepCount)
{
    /// <summary>What has happened how often.</summary>
    public required IReadOnlyDictionary<string, int> Tally { get; init; }
}

/// <summary>One world from its seed to its rest.</summary>
internal static class SimRun
{
    public static SimOutcome Run(int seed)
    {
        var outside = SynchronizationContext.Current;
        var world = new SimWorld(seed);
        try
        {
            SynchronizationContext.SetSynchronizationContext(world.Scheduler);
            var storyCount = world.Random.Next(2, 9);
            for (var i = 0; i < storyCount; i++)
            {
                var story = new Story(world.Stories.Count, world.Random, world.HasUpstreamFaults);
                world.Stories.Add(story);
                world.Spawn(async () =>
                {
                    await world.DelayAsync(5000);
                    new SimBystanders(world, story).Send();
                    await new SimClient(world, story).FollowAsync();
                });
            }
            if (world.Random.Next(10) == 0) world.Spawn(async () =>
            {
                await world.DelayAsync(15_000);
                await world.StopAsync(restarts: world.Random.Next(3) > 0);
            });
            for (var i = world.Random.Next(6) - 3; i > 0; i--) world.Spawn(async () =>
            {
                await world.DelayAsync(20_000);
                await world.CrashAsync();
            });
            world.Run();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(outside);
            world.Dispose();
        }
        return new SimOutcome(seed, world.Violation, world.Scheduler.Trace, world.Scheduler.StepCount) { Tally = world.Tally };
    }
}
