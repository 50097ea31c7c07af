using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Access;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Server.Runtime;
using Sluice.Streaming;

namespace Sluice.Server.Answers;

/// <summary>
/// Takes over the keys, projects and top-ups that commands write into the ledger while the hub runs, within <see cref="Limits.LedgerPoll"/>;
/// and ends what runs for a key that is revoked.
/// </summary>
internal sealed partial class KeyWatch(
    LedgerWriter ledger, KeyRing ring, Limiter limiter, AnswerTable answers, Limits limits, TimeProvider time, ILogger<KeyWatch> logger)
    : IHostedService, IDisposable
{
    private readonly HashSet<string> _revoked = new(StringComparer.Ordinal);
    private ITimer? _timer;
    private (long, long) _version;
    private int _isLooking;
    private int _hasWritten;
    private bool _isFailing;
    private DateTimeOffset _nextSweep;
    private long _nextGrantEnd = long.MaxValue;

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        ledger.Claim();
        await LoadAsync();
        _timer = time.CreateTimer(static state => _ = ((KeyWatch)state!).LookAsync(), this, limits.LedgerPoll, limits.LedgerPoll);
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void Dispose() => _timer?.Dispose();

    /// <summary>This process has written into the ledger itself, which the file's version doesn't show to it.</summary>
    public void SetWritten() => Volatile.Write(ref _hasWritten, 1);

    // Never throws.
    private async Task LookAsync()
    {
        if (Interlocked.Exchange(ref _isLooking, 1) != 0) return;
        try
        {
            var version = await ledger.UseAsync(static file => file.ReadVersion());
            var isOwn = Interlocked.Exchange(ref _hasWritten, 0) != 0;
            if (isOwn || version != _version || time.GetUtcNow().ToUnixTimeMilliseconds() >= _nextGrantEnd) await LoadAsync();
            await SweepAsync();
            _isFailing = false;
        }
        catch (LedgerException exception)
        {
            if (!_isFailing) LogUnread(exception.Message);
            Volatile.Write(ref _hasWritten, 1);
            _isFailing = true;
        }
        catch (ObjectDisposedException)
        {
            // The hub stops.
        }
        finally
        {
            Volatile.Write(ref _isLooking, 0);
        }
    }

    // A few rows at a time, so that nobody waits long for the file.
    private async Task SweepAsync()
    {
        var now = time.GetUtcNow();
        if (now < _nextSweep) return;
        var (attempts, answers) = ((now - limits.LedgerAttempts).ToUnixTimeMilliseconds(), (now - limits.LedgerAnswers).ToUnixTimeMilliseconds());
        if (!await ledger.UseAsync(file => file.Sweep(attempts, answers))) _nextSweep = now.AddHours(1);
    }

    private async Task LoadAsync()
    {
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var (version, keys, projects, grants) = await ledger.UseAsync(
            file => (file.ReadVersion(), file.ReadKeys(), file.ReadProjects(), file.ReadGrants(now)));
        ring.Load(keys, projects);
        // Looked up for each of many thousands of keys.
        var sums = grants.GroupBy(static grant => (grant.Scope, grant.Id, grant.Unit)).ToDictionary(static group => group.Key, static group => group.Sum(static grant => grant.Amount));
        limiter.SetGrants((scope, meter) => sums.GetValueOrDefault((scope.Word, scope.Id, meter.Options.Unit)));
        // A top-up that runs out is looked at then, although nobody has written.
        _nextGrantEnd = grants.Count == 0 ? long.MaxValue : grants.Min(static grant => grant.Until);
        foreach (var key in keys)
        {
            if (key.Revoked is null || !_revoked.Add(key.Id) || _version == default) continue;
            LogRevoked(key.Id, key.Name, answers.CancelAllOf(key.Id, CancellationCause.Requested));
        }
        _version = version;
    }

    [LoggerMessage(1, LogLevel.Error, "{Message} Until then keys and top-ups stay what they are.")]
    private partial void LogUnread(string message);

    [LoggerMessage(2, LogLevel.Warning, "The key {Id} ({Name}) is revoked; {Count} of its answers were in progress and end.")]
    private partial void LogRevoked(string id, string name, int count);
}
