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

    [Fact]
    public void A_thread_goes_through_its_own_part_in_order_before_it_helps_others()
    {
        using var team = new WorkerTeam(3);
        var taken = new List<(int First, int End)>();
        while (team.TryClaim(1, 10, 3, out var first, out var end))
        {
            taken.Add((first, end));
        }

        // Parts of four: 0 to 3, 4 to 7, 8 and 9.
        Assert.Equal([(4, 7), (7, 8), (8, 10), (0, 3), (3, 4)], taken);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    public void More_threads_than_items_leave_none_over(int items)
    {
        using var team = new WorkerTeam(4);
        var taken = new List<int>();
        while (team.TryClaim(3, items, 2, out var first, out var end))
        {
            taken.AddRange(Enumerable.Range(first, end - first));
        }

        Assert.Equal(Enumerable.Range(0, items), taken.Order());
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
                while (team.TryClaim(threadIndex, Items, 1 + phase, out var first, out var end))
                {
                    if (Volatile.Read(ref _finished) - before < phase * Items)
                    {
                        Interlocked.Increment(ref _overlaps);
                    }

                    for (var item = first; item < end; item++)
                    {
                        Interlocked.Increment(ref Taken[(phase * Items) + item]);
                        Interlocked.Increment(ref _finished);
                    }
                }

                team.Barrier();
            }
        }
    }
}
