using System.Security.Cryptography;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;

namespace Sluice.Server.Access;

/// <summary>The keys that commands have made, as the ledger has them. Thread-safe: what changes is one reference.</summary>
/// <param name="limiter">Makes their accounts.</param>
internal sealed class KeyRing(Limiter limiter)
{
    private sealed record Entry(KeyRow Row, Caller Caller);

    private readonly Lock _lock = new();
    private IReadOnlyList<KeyRow> _rows = [];
    private IReadOnlyList<ProjectOptions> _projects = [];
    private SluiceOptions _options = new();
    private volatile Dictionary<string, Entry> _entries = [];
    private volatile bool _hasHadKeys;

    /// <summary>Whether there has ever been one: then the hub is open to nobody without a key.</summary>
    public bool IsEmpty => !_hasHadKeys;

    /// <summary>Takes over the ledger's keys and projects.</summary>
    public void Load(IReadOnlyList<KeyRow> rows, IEnumerable<(string Id, StoredLimits Limits)> projects)
    {
        lock (_lock)
        {
            (_rows, _projects) = (rows, [.. projects.Select(static project => new ProjectOptions(project.Id, project.Limits.ToOptions()))]);
            _hasHadKeys |= rows.Count > 0;
            Build();
        }
    }

    /// <summary>Takes over a configuration, whose projects and hub hold for these keys too.</summary>
    public void Apply(SluiceOptions options)
    {
        lock (_lock)
        {
            _options = options;
            Build();
        }
    }

    /// <summary>Who asks with a key that the hub has made; null where it has not, or the key opens nothing any more.</summary>
    public Caller? Find(string key, DateTimeOffset now)
    {
        if (IssuedKey.FindId(key) is not { } id || !_entries.TryGetValue(id, out var entry)) return null;
        var (hash, row, time) = (IssuedKey.HashOf(key), entry.Row, now.ToUnixTimeMilliseconds());
        if (row.Revoked is not null) return null;
        if (CryptographicOperations.FixedTimeEquals(hash, row.Hash)) return entry.Caller;
        var isFormer = row.FormerHash is { } former && time < row.FormerUntil && CryptographicOperations.FixedTimeEquals(hash, former);
        return isFormer ? entry.Caller : null;
    }

    // Under the lock. A project of the file goes before one of the ledger with its name.
    private void Build()
    {
        var projects = _options.Projects.Concat(_projects).ToList();
        var entries = new Dictionary<string, Entry>(_rows.Count, StringComparer.Ordinal);
        Add(entries, projects);
        _entries = entries;
    }

    private void Add(Dictionary<string, Entry> entries, List<ProjectOptions> projects)
    {
        foreach (var row in _rows)
        {
            var options = new KeyOptions(row.Id, "")
            {
                Project = row.Project,
                Limits = row.Limits.ToOptions(),
                Models = row.Limits.Models,
                Tags = row.Limits.Tags,
                OnExhausted = row.Limits.OnExhausted,
                Expires = row.Expires is { } expires ? DateTimeOffset.FromUnixTimeMilliseconds(expires) : null,
            };
            entries[row.Id] = new Entry(row, new Caller(row.Id) { Account = limiter.CreateAccount(options, row.Name, projects, _options.Hub) });
        }
    }
}
