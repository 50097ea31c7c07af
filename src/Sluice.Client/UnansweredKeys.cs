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

    private readonly ConcurrentDictionary<string, Exchange> _exchanges = new(StringComparer.Ordinal);

    /// <summary>The key of such a request, which is then nobody else's.</summary>
    public string? Take(string identity) => _exchanges.TryRemove(identity, out var exchange) ? exchange.Key : null;

    /// <param name="exchange">Has got no answer.</param>
    /// <param name="cancels">Whether the application has cancelled it.</param>
    public void Keep(Exchange exchange, bool cancels)
    {
        if (!exchange.IsOwnKey) return;
        _exchanges[exchange.Identity] = exchange;
        _ = ForgetAsync(exchange, cancels && exchange.Cancels);
    }

    private async Task ForgetAsync(Exchange exchange, bool cancels)
    {
        await Task.Delay(cancels ? s_cancelAfter : s_keep, exchange.Handler.Time, CancellationToken.None).ConfigureAwait(false);
        if (_exchanges.TryRemove(KeyValuePair.Create(exchange.Identity, exchange)) && cancels) await exchange.CancelAsync().ConfigureAwait(false);
    }
}
