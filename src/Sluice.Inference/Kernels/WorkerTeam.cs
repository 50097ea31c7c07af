namespace Sluice.Inference.Kernels;

/// <summary>Work that all threads of a <see cref="WorkerTeam"/> run together.</summary>
internal interface ITeamJob
{
    /// <summary>Runs once on every thread; must not throw.</summary>
    /// <param name="threadIndex">0 is the calling thread.</param>
    void Execute(int threadIndex);
}

/// <summary>
/// A fixed set of threads that run one job at a time, the caller among them. Inside a job they share out items with <see cref="Claim"/> and
/// meet at <see cref="Meet"/>. Between jobs the threads spin shortly (the next token usually follows at once), then sleep.
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

    private int _arrived;
    private volatile int _meeting;
    private int _claimed;

    /// <param name="threadCount">Threads including the caller, at least 1.</param>
    public WorkerTeam(int threadCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threadCount, 1);
        ThreadCount = threadCount;
        _threads = new Thread[threadCount - 1];
        _wakeups = new SemaphoreSlim[threadCount - 1];
        _asleep = new int[threadCount - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int index = i;
            _wakeups[i] = new SemaphoreSlim(0);
            _threads[i] = new Thread(() => Work(index)) { IsBackground = true, Name = $"sluice-worker-{i + 1}" };
            _threads[i].Start();
        }
    }

    public int ThreadCount { get; }

    /// <summary>Runs the job on all threads and returns when all have left it.</summary>
    public void Run(ITeamJob job)
    {
        _claimed = 0;
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
        Meet();
    }

    /// <summary>Waits until every thread has come here; then item claims start again from 0.</summary>
    public void Meet()
    {
        if (ThreadCount == 1)
        {
            _claimed = 0;
            return;
        }

        int meeting = _meeting;
        if (Interlocked.Increment(ref _arrived) == ThreadCount)
        {
            _arrived = 0;
            _claimed = 0;
            _meeting = meeting + 1;
            return;
        }

        int spins = 0;
        while (_meeting == meeting)
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

    /// <summary>Takes the next <paramref name="count"/> items; the first of them is returned and may lie beyond the last item there is.</summary>
    public int Claim(int count) => Interlocked.Add(ref _claimed, count) - count;

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
            Meet();
        }
    }
}
