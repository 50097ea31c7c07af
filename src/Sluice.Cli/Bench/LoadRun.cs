namespace Sluice.Cli.Bench;

/// <summary>How much is asked at a time, and for how long.</summary>
/// <param name="Concurrency">Answers at a time; with a rate the most there may be.</param>
/// <param name="RequestsPerSecond">Mean of a Poisson process; null starts a request when another one has ended.</param>
/// <param name="Requests">To be made in all; null where the time decides.</param>
/// <param name="Duration">After which none is started any more; null where the number decides.</param>
/// <param name="WarmUp">Requests before, which are not counted.</param>
/// <param name="Timeout">For one answer.</param>
/// <param name="Seed">Of the arrivals.</param>
internal sealed record LoadShape(int Concurrency, double? RequestsPerSecond, int? Requests, TimeSpan? Duration, int WarmUp, TimeSpan Timeout, int Seed);

/// <summary>One run against one endpoint.</summary>
internal sealed class LoadRun(HttpClient http, BenchEndpoint endpoint, Workload workload, LoadShape shape, GoodputLimits? goodput, TimeProvider time)
{
    private StreamMeasure _measure = null!;
    private long _started;
    private int _next;
    private int _run;

    /// <summary>What has been measured so far; that of the warm-up first.</summary>
    public RunCounts Counts { get; private set; } = new(goodput);

    /// <summary>Runs warm-up and measurement.</summary>
    /// <param name="run">Its number: no two runs have the same words. The warm-up has those of the run -1 - <paramref name="run"/>.</param>
    /// <param name="cancellation">Ends it: what was measured until then is the result.</param>
    public async Task<RunResult> RunAsync(int run, CancellationToken cancellation)
    {
        if (shape.WarmUp > 0)
        {
            Begin(-1 - run);
            await CloseLoopAsync(shape.WarmUp, null, cancellation);
        }
        Begin(run);
        var cpu = Environment.CpuUsage.TotalTime;
        await (shape.RequestsPerSecond is { } rate ? OpenLoopAsync(rate, cancellation) : CloseLoopAsync(shape.Requests, shape.Duration, cancellation));
        return new RunResult(Counts, time.GetElapsedTime(_started), Environment.CpuUsage.TotalTime - cpu, cancellation.IsCancellationRequested);
    }

    private void Begin(int run)
    {
        Counts = new RunCounts(goodput);
        _measure = new StreamMeasure(http, endpoint, Counts, shape.Timeout, time);
        (_run, _next) = (run, 0);
        _started = time.GetTimestamp();
    }

    // As many askers as answers at a time: each asks again when it has its answer.
    private Task CloseLoopAsync(int? requests, TimeSpan? duration, CancellationToken cancellation)
    {
        return Task.WhenAll(Enumerable.Range(0, shape.Concurrency).Select(_ => AskAsync()));

        async Task AskAsync()
        {
            // Each asker may be on a thread of its own from the start.
            await Task.Yield();
            while (!cancellation.IsCancellationRequested && !(time.GetElapsedTime(_started) >= duration))
            {
                var number = Interlocked.Increment(ref _next) - 1;
                if (number >= requests) return;
                await MakeAsync(number, null, cancellation);
            }
        }
    }

    // Requests come when they come, however long the answers take: a slow server does not slow down those who ask.
    private async Task OpenLoopAsync(double rate, CancellationToken cancellation)
    {
        var random = new Random(shape.Seed);
        using var places = new SemaphoreSlim(shape.Concurrency);
        var running = new List<Task>();
        var due = TimeSpan.Zero;
        for (var number = 0; !(number >= shape.Requests) && !cancellation.IsCancellationRequested; number++)
        {
            due += TimeSpan.FromSeconds(-Math.Log(1 - random.NextDouble()) / rate);
            if (due >= shape.Duration) break;
            if (due - time.GetElapsedTime(_started) is { Ticks: > 0 } wait) await Task.Delay(wait, time, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (cancellation.IsCancellationRequested) break;
            // One that has to wait for a place began when it was due: its client has waited as well.
            long? dueAt = null;
            if (!places.Wait(0, CancellationToken.None))
            {
                dueAt = _started + (long)(due.TotalSeconds * time.TimestampFrequency);
                await places.WaitAsync(CancellationToken.None);
                Counts.Queued.Add(time.GetElapsedTime(dueAt.Value));
            }
            running.Add(MakeOneAsync(number, dueAt));
            running.RemoveAll(static task => task.IsCompletedSuccessfully);
        }
        await Task.WhenAll(running);

        async Task MakeOneAsync(int number, long? dueAt)
        {
            await Task.Yield();
            await MakeAsync(number, dueAt, cancellation);
            places.Release();
        }
    }

    private async Task MakeAsync(int number, long? start, CancellationToken cancellation)
    {
        var body = workload.BodyOf(number, _run, endpoint.Model);
        Counts.Start();
        try
        {
            Counts.End(await _measure.RunAsync(body, start ?? time.GetTimestamp(), cancellation));
        }
        catch (OperationCanceledException)
        {
            // The measurement ends here; an answer in the middle of its stream is neither complete nor failed.
        }
    }
}
