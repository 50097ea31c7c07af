using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Upstreams;

/// <summary>
/// Lets clients follow an upstream that sends more at once than a log keeps. What it waits in all is bounded: after that the log drops what
/// it must, and a client that is still behind has lost its place. One producer at a time.
/// </summary>
/// <param name="log">What is appended to.</param>
/// <param name="grace">See <see cref="Limits.ReaderGrace"/>.</param>
/// <param name="time">Clock of the grace.</param>
internal sealed class ReaderGrace(StreamLog log, TimeSpan grace, TimeProvider time)
{
    private TimeSpan _rest = grace;

    /// <summary>Whether an append of that many bytes would take from a client what it has not read, and there is time left to wait.</summary>
    public bool IsNeeded(int bytes) => _rest > TimeSpan.Zero && log.FindLag(bytes) is not null;

    /// <summary>Waits until it would not, the time is used up, or nobody wants the stream any more; never throws.</summary>
    public async Task WaitAsync(int bytes, CancellationToken cancellation)
    {
        while (_rest > TimeSpan.Zero && !cancellation.IsCancellationRequested && log.FindLag(bytes) is { } moved)
        {
            // What was appended quietly is not known to those who wait for it.
            log.Publish();
            var from = time.GetTimestamp();
            await Waits.WaitAsync(moved, _rest, time, cancellation);
            _rest -= time.GetElapsedTime(from);
        }
    }
}
