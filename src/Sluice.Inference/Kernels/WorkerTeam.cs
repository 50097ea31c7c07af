using System.Runtime.InteropServices;

namespace Sluice.Inference.Kernels;

/// <summary>Work that all threads of a <see cref="WorkerTeam"/> run together.</summary>
internal interface ITeamJob
{
    /// <summary>Runs once on every thread; must not throw.</summary>
    /// <param name="threadIndex">0 is the calling thread.</param>
    void Execute(int threadIndex);
}

/// <summary>
/// A fixed set of threads that run one job at a time, the caller among them. Inside a job they share out items with <see cref="TryClaim"/> and
/// meet at <see cref="Barrier"/>. Between jobs the threads spin shortly (the next token usually follows at once), then sleep.
/// One caller at a time.
/// </summary>
internal sealed class WorkerTeam : IDisposable
{
    // About 30 µs: longer than the gap between two steps of a busy engine, short against a scheduler's time slice.
    private const int SpinsBeforeSleep = 1500;
    private const int SpinsBeforeYield = 400;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim[] _wakeups;
    private readonly int[] _asleep;
    private ITeamJob? _job;
    private volatile int _jobNumber;
    private volatile bool _stopping;

    // Every counter has a cache line (and the one that the processor fetches beside it) to itself: threads that count don't wait for each other.
    private readonly PaddedCounter[] _claimed;
    private PaddedCounter _arrived;
    private PaddedCounter _barrier;

    /// <param name="threadCount">Threads including the caller, at least 1.</param>
    public WorkerTeam(int threadCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threadCount, 1);
        ThreadCount = threadCount;
        _threads = new Thread[threadCount - 1];
        _wakeups = new SemaphoreSlim[threadCount - 1];
        _asleep = new int[threadCount - 1];
        _claimed = new PaddedCounter[threadCount];
        for (int i = 0; i < _threads.Length; i++)
        {
            int index = i;
            _wakeups[i] = new SemaphoreSlim(0);
            _threads[i] = new Thread(() => Work(index)) { IsBackground = true, Name = $"sluice-worker-{i + 1}" };
            _threads[i].Start();
        }
    }

    public int ThreadCount { get; }

    /// <summary>How often all threads have met since the start; a lone thread meets nobody. Wraps around.</summary>
    public int BarrierCount => Volatile.Read(ref _barrier.Value);

    /// <summary>Runs the job on all threads and returns when all have left it.</summary>
    public void Run(ITeamJob job)
    {
        Array.Clear(_claimed);
        _job = job;
        _jobNumber++;
        for (int i = 0; i < _threads.Length; i++)
        {
            if (Interlocked.Exchange(ref _asleep[i], 0) == 1)
            {
                _wakeups[i].Release();
            }
        }

        job.Execute(0);
        Barrier();
    }

    /// <summary>Waits until every thread has come here; then item claims start again.</summary>
    public void Barrier()
    {
        if (ThreadCount == 1)
        {
            Array.Clear(_claimed);
            return;
        }

        int meeting = Volatile.Read(ref _barrier.Value);
        if (Interlocked.Increment(ref _arrived.Value) == ThreadCount)
        {
            _arrived.Value = 0;
            Array.Clear(_claimed);
            Volatile.Write(ref _barrier.Value, meeting + 1);
            return;
        }

        int spins = 0;
        while (Volatile.Read(ref _barrier.Value) == meeting)
        {
            if (++spins < SpinsBeforeYield)
            {
                Thread.SpinWait(1);
            }
            else
            {
                Thread.Yield();
            }
        }
    }

    /// <summary>
    /// Takes some of the items 0 … <paramref name="total"/> - 1 of the present phase. Each thread goes through a part of its own from front to
    /// back, so that it reads memory in order and alone, and then helps the others with theirs.
    /// </summary>
    /// <param name="threadIndex">The calling thread, as given to <see cref="ITeamJob.Execute"/>.</param>
    /// <param name="total">Items of the phase, the same for all threads.</param>
    /// <param name="count">Most items to take at once, at least 1.</param>
    /// <param name="first">The first item taken.</param>
    /// <param name="end">One behind the last item taken.</param>
    /// <returns>False when all items are taken.</returns>
    public bool TryClaim(int threadIndex, int total, int count, out int first, out int end)
    {
        int part = (total + ThreadCount - 1) / ThreadCount;
        for (int i = 0; i < ThreadCount; i++)
        {
            int owner = threadIndex + i < ThreadCount ? threadIndex + i : threadIndex + i - ThreadCount;
            int partEnd = Math.Min((owner + 1) * part, total);
            ref int claimed = ref _claimed[owner].Value;
            if ((owner * part) + Volatile.Read(ref claimed) >= partEnd)
            {
                continue;
            }

            first = (owner * part) + Interlocked.Add(ref claimed, count) - count;
            if (first < partEnd)
            {
                end = Math.Min(first + count, partEnd);
                return true;
            }
        }

        first = end = total;
        return false;
    }

    public void Dispose()
    {
        _stopping = true;
        _jobNumber++;
        foreach (SemaphoreSlim wakeup in _wakeups)
        {
            wakeup.Release();
        }

        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        foreach (SemaphoreSlim wakeup in _wakeups)
        {
            wakeup.Dispose();
        }
    }

    private void Work(int index)
    {
        int seen = 0;
        while (true)
        {
            int spins = 0;
            while (_jobNumber == seen)
            {
                if (++spins < SpinsBeforeSleep)
                {
                    Thread.SpinWait(1);
                    continue;
                }

                Interlocked.Exchange(ref _asleep[index], 1);
                if (_jobNumber != seen)
                {
                    // The job came between the last look and going to sleep; whoever clears the flag owns the wake-up.
                    if (Interlocked.Exchange(ref _asleep[index], 0) == 0)
                    {
                        _wakeups[index].Wait();
                    }

                    break;
                }

                _wakeups[index].Wait();
            }

            seen = _jobNumber;
            if (_stopping)
            {
                return;
            }

            _job!.Execute(index + 1);
            Barrier();
        }
    }

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct PaddedCounter
    {
        [FieldOffset(64)]
        public int Value;
    }
}
