using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Server.Answers;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Server.Serving;
using Sluice.Server.Storage;

namespace Sluice.Server.Cluster;

/// <summary>Who belongs to the cluster: renews this hub's lease, and knows the other hubs. Thread-safe.</summary>
/// <param name="store">The cluster's.</param>
/// <param name="url">Where the others reach this hub.</param>
/// <param name="hub">Has the models.</param>
/// <param name="answers">Those that run are counted.</param>
/// <param name="limits">Bounds.</param>
/// <param name="time">Clock.</param>
/// <param name="logger">Told of hubs that come and go, and of a database that can't be reached.</param>
internal sealed partial class ClusterMembers(
    PostgresAnswerStore store, string url, Hub hub, AnswerTable answers, Limits limits, TimeProvider time, ILogger<ClusterMembers> logger) : IHostedService, IDisposable
{
    private volatile IReadOnlyList<ClusterNode> _nodes = [];
    private volatile bool _isDraining;
    private volatile bool _isLate;
    private int _isRenewing;
    private ITimer? _timer;

    /// <summary>Id of this hub.</summary>
    public Guid Self => store.Node;

    /// <summary>Whether the database could not be reached last time.</summary>
    public bool IsLate => _isLate;

    /// <summary>Whether this hub is about to stop.</summary>
    public bool IsDraining => _isDraining;

    /// <summary>Hubs whose lease runs, this one included.</summary>
    public int AliveCount => _nodes.Count(static node => node.IsAlive);

    /// <summary>The other hubs, as far as their leases run.</summary>
    public IReadOnlyList<ClusterNode> Others => [.. _nodes.Where(node => node.IsAlive && node.Id != Self)];

    /// <summary>Another hub, also one whose lease has ended not long ago.</summary>
    public ClusterNode? Find(Guid id) => id == Self ? null : _nodes.FirstOrDefault(node => node.Id == id);

    /// <summary>Other hubs that could go on with an answer of the engine, those with the least to do first.</summary>
    /// <param name="modelId">Whose it is.</param>
    /// <param name="isa">The instruction set that it has to be; null for any.</param>
    public IReadOnlyList<ClusterNode> FindAble(string modelId, string? isa) =>
    [
        .. Others.Where(node => !node.IsDraining && node.Models.Contains(modelId) && (isa is null || node.Isa == isa)).OrderBy(static node => node.Running),
    ];

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await RenewAsync(limits.ClusterLease);
        _timer = time.CreateTimer(static state => _ = ((ClusterMembers)state!).TickAsync(), this, limits.ClusterRenew, limits.ClusterRenew);
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    /// <summary>Tells the others that this hub is about to stop.</summary>
    public Task DrainAsync()
    {
        _isDraining = true;
        return RenewAsync(limits.ClusterLease);
    }

    /// <summary>The lease ends now.</summary>
    public Task LeaveAsync()
    {
        Dispose();
        return RenewAsync(TimeSpan.Zero);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer?.Dispose();

    private async Task TickAsync()
    {
        if (Interlocked.Exchange(ref _isRenewing, 1) != 0) return;
        try
        {
            await RenewAsync(limits.ClusterLease);
        }
        finally
        {
            Volatile.Write(ref _isRenewing, 0);
        }
    }

    // Never throws.
    private async Task RenewAsync(TimeSpan lease)
    {
        var self = new ClusterNode(store.Node, url)
        {
            Version = typeof(ClusterMembers).Assembly.GetName().Version?.ToString(3) ?? "",
            Isa = store.Isa,
            Models = [.. hub.Catalog.Models.OfType<LocalModel>().Select(static model => model.Id)],
            Running = answers.RunningCount,
            IsDraining = _isDraining,
            IsAlive = true,
            LeaseSeconds = 0,
        };
        try
        {
            var before = _nodes;
            _nodes = await store.RenewAsync(self, lease, CancellationToken.None);
            if (_isLate) LogBack();
            _isLate = false;
            foreach (var node in _nodes)
            {
                var known = before.FirstOrDefault(known => known.Id == node.Id);
                if (node.Id == Self || known?.IsAlive == node.IsAlive || (known is null && !node.IsAlive)) continue;
                if (node.IsAlive) LogCame(node.Id, node.Url, node.Version, node.Isa);
                else LogWent(node.Id, node.Url);
            }
        }
        catch (StoreException exception)
        {
            // What runs goes on: a lease that can't be renewed stops nobody.
            if (!_isLate) LogLate(exception.Message);
            _isLate = true;
        }
#pragma warning disable CA1031 // Nobody waits for this, and the next renewal begins anew.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (!_isLate) LogLate(exception.Message);
            _isLate = true;
        }
    }

    [LoggerMessage(1, LogLevel.Information, "The hub {Node} at {Url} belongs to the cluster: version {Version}, {Isa}.")]
    private partial void LogCame(Guid node, string url, string version, string isa);

    [LoggerMessage(2, LogLevel.Information, "The hub {Node} at {Url} has left the cluster.")]
    private partial void LogWent(Guid node, string url);

    [LoggerMessage(3, LogLevel.Error, "This hub can't renew its place in the cluster. {Message} What runs goes on.")]
    private partial void LogLate(string message);

    [LoggerMessage(4, LogLevel.Warning, "The database of the cluster can be reached again.")]
    private partial void LogBack();
}
