using System.Collections.Concurrent;

namespace Sluice.Client;

/// <summary>
/// Keys of requests that got no answer. An equal request soon after is the automatic retry of an SDK: with the same key it joins what is being made, which
/// nobody has seen. Thread-safe.
/// </summary>
internal sealed class UnansweredKeys
{
    // Until the last automatic retry, with its waits.
    private static readonly TimeSpan s_keep = TimeSpan.FromSeconds(15);

    // A cancelled call may be the timeout of an SDK, which asks again sooner than this; if nobody does, the work is to end.
    private static readonly TimeSpan s_cancelAfter = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, (Exchange Exchange, bool Cancels)> _kept = new(StringComparer.Ordinal);

    /// <summary>The key of such a request, which is then nobody else's.</summary>
    public string? Take(string identity) => _kept.TryRemove(identity, out var kept) ? kept.Exchange.Key : null;

    /// <param name="exchange">Has got no answer.</param>
    /// <param name="cancels">Whether the application has cancelled it.</param>
    public void Keep(Exchange exchange, bool cancels)
    {
        if (!exchange.IsOwnKey) return;
        var kept = (exchange, cancels && exchange.Cancels);
        while (!_kept.TryAdd(exchange.Identity, kept))
        {
            // Nobody can take the key that gives way, so nobody joins its answer.
            if (_kept.TryRemove(exchange.Identity, out var other) && other.Cancels) _ = other.Exchange.CancelAsync();
        }
        _ = ForgetAsync(kept);
    }

    private async Task ForgetAsync((Exchange Exchange, bool Cancels) kept)
    {
        var (exchange, cancels) = kept;
        await Task.Delay(cancels ? s_cancelAfter : s_keep, exchange.Handler.Time, CancellationToken.None).ConfigureAwait(false);
        if (_kept.TryRemove(KeyValuePair.Create(exchange.Identity, kept)) && cancels) await exchange.CancelAsync().ConfigureAwait(false);
    }
}
