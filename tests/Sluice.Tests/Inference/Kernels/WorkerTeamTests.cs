using Sluice.Inference.Kernels;
using Xunit;

namespace Sluice.Tests.Inference.Kernels;

public sealed class WorkerTeamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_item_of_every_phase_is_done_once_and_phases_do_not_overlap(int threadCount)
    {
        using var team = new WorkerTeam(threadCount);
        for (int run = 0; run < 200; run++)
        {
            var job = new PhasedJob(team);
            team.Run(job);
            Assert.Equal(PhasedJob.PhaseCount * PhasedJob.ItemCount, job.DoneCount);
            Assert.Equal(0, job.OverlapCount);
        }
    }

    private sealed class PhasedJob(WorkerTeam team) : ITeamJob
    {
        public const int PhaseCount = 6;
        public const int ItemCount = 37;
        private int _done;
        private int _overlaps;

        public int DoneCount => _done;

        public int OverlapCount => _overlaps;

        public void Execute(int threadIndex)
        {
            for (int phase = 0; phase < PhaseCount; phase++)
            {
                for (int first = team.Claim(3); first < ItemCount; first = team.Claim(3))
                {
                    int count = Math.Min(3, ItemCount - first);
                    int before = Interlocked.Add(ref _done, count) - count;
                    if (before < phase * ItemCount || before >= (phase + 1) * ItemCount)
                    {
                        Interlocked.Increment(ref _overlaps);
                    }
                }

                team.Meet();
            }
        }
    }
}
