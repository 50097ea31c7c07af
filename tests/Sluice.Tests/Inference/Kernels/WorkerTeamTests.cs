using Sluice.Inference.Kernels;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

public sealed class WorkerTeamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_item_of_every_phase_is_taken_once_and_phases_do_not_overlap(int threadCount)
    {
        using var team = new WorkerTeam(threadCount);
        var job = new CountingJob(team);
        for (var round = 0; round < 200; round++)
        {
            team.Run(job);
            Assert.All(job.Taken, count => Assert.Equal(round + 1, count));
        }

        Assert.Equal(0, job.Overlaps);
    }

    private sealed class CountingJob(WorkerTeam team) : ITeamJob
    {
        private const int Items = 37;
        private const int Phases = 3;
        private int _finished;
        private int _overlaps;

        public int[] Taken { get; } = new int[Items * Phases];

        public int Overlaps => Volatile.Read(ref _overlaps);

        public void Execute(int threadIndex)
        {
            var before = Volatile.Read(ref _finished) / (Items * Phases) * Items * Phases;
            for (var phase = 0; phase < Phases; phase++)
            {
                for (var item = team.Claim(1); item < Items; item = team.Claim(1))
                {
                    if (Volatile.Read(ref _finished) - before < phase * Items)
                    {
                        Interlocked.Increment(ref _overlaps);
                    }

                    Interlocked.Increment(ref Taken[(phase * Items) + item]);
                    Interlocked.Increment(ref _finished);
                }

                team.Meet();
            }
        }
    }
}
