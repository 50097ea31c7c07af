using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Sluice.Server.Configuration;
using Sluice.Server.Ledger;
using Sluice.Server.Metering;
using Sluice.Tests.Server.Storage;

namespace Sluice.Tests.Simulation;

/// <summary>
/// Keys with budgets in a simulation, and the ledger in a file that outlives its processes: any access to it may fail, before or after a commit
/// has taken effect, or be the last one of a process. It draws from a seed of its own, so that worlds without it stay what they were.
/// </summary>
internal sealed class SimMoney : IDisposable
{
    private readonly SimWorld _world;
    private readonly Random _random;
    private readonly string _folder;
    private readonly bool _isStrict;
    private readonly bool _fails;
    private readonly bool _isKilled;
    private readonly int[] _budgets;
    private readonly int? _parallel;
    private readonly HashSet<string> _cut = new(StringComparer.Ordinal);

    private SimMoney(SimWorld world, Random random)
    {
        (_world, _random) = (world, random);
        _folder = Directory.CreateTempSubdirectory("sluice-money-").FullName;
        (_isStrict, _fails, _isKilled) = (random.Next(2) == 0, random.Next(2) == 0, random.Next(3) == 0);
        _budgets = [.. Enumerable.Range(0, 3).Select(_ => random.Next(3) == 0 ? 100_000 : random.Next(60, 600))];
        _parallel = random.Next(4) == 0 ? random.Next(2, 5) : null;
    }

    /// <summary>Whether an access to the ledger may fail, if only because the process ends in it and a client still hears of that.</summary>
    public bool HasFaults => _fails || _isKilled;

    private string Path => System.IO.Path.Combine(_folder, "ledger.db");

    public static SimMoney? TryCreate(SimWorld world, int seed)
    {
        var random = new Random(unchecked((seed * 31) + 7));
        return random.Next(3) == 0 ? new SimMoney(world, random) : null;
    }

    public SluiceOptions Configure(SluiceOptions options)
    {
        var parallel = _parallel is { } most ? $", parallel: {most}" : "";
        var metered = ConfigurationFile.Parse(
            $"ledger: {{path: {Path}}}\nhub: {{budget: {{tokens: 10000000, per: day}}}}\nprojects: [{{id: p, budget: {{tokens: 10000000, per: month}}}}]\nkeys:\n"
            + string.Concat(_budgets.Select((budget, key) => $"  - {{name: key-{key}, key: key-{key}, project: p, budget: {{tokens: {budget}, per: total}}{parallel}}}\n")),
            "sluice.yaml", static _ => null);
        return options with { ApiKeys = [], Keys = metered.Keys, Projects = metered.Projects, Hub = metered.Hub, Ledger = metered.Ledger };
    }

    public LedgerWriter CreateWriter(SimNode node, TimeProvider time, ILoggerFactory loggers) => new(
        new LedgerFile(Path, isStrict: false, step => Access(node, step)), _isStrict, _world.Limits, time, loggers.CreateLogger("ledger"), new InlineScheduler());

    /// <summary>A client was told that a budget has ended.</summary>
    public void NoteCut(string id) => _cut.Add(id);

    /// <summary>After every turn of the scheduler: nobody has more than there is.</summary>
    public void CheckStep(SimNode node)
    {
        if (node.IsDead) return;
        foreach (var scope in node.Limiter.Scopes)
        {
            foreach (var meter in scope.Meters)
            {
                if (meter.Held < 0 || meter.HoldCount < 0 || scope.Running < 0) _world.Violate($"T28: {scope.Word} {scope.Id} holds {meter.Held} for {meter.HoldCount} of {scope.Running} answers");
                // What a kill has taken from memory was made, and is settled afterwards.
                if (scope.Kind == ScopeKind.Key && !_world.HasCrashed && meter.Settled + meter.Held > meter.Limit && IsEngineAlone(scope.Id))
                    _world.Violate($"T21: {scope.Id} has settled {meter.Settled} and holds {meter.Held} of {meter.Limit}");
            }
            if (_parallel is { } most && scope.Kind == ScopeKind.Key && scope.Running > most && !_world.HasCrashed && _world.EndCount == 0) _world.Violate($"T19: {scope.Running} answers of {scope.Id} run, of {most}");
        }
    }

    // The engine asks before each token. What an upstream states at the end may be more than its events were, so it has no bound here.
    private bool IsEngineAlone(string key) => !_world.Stories.Any(story => story.Principal == key && story.Model != SimWorld.LocalModel);

    /// <summary>When nothing is left to do: what is settled is what is written down, and of every answer once.</summary>
    public void CheckRest(SimNode? node)
    {
        using var file = new LedgerFile(Path);
        if (file.FindDifference() is { } difference) _world.Violate($"T50: {difference}");
        if (node is { IsDead: false } && !_world.IsStopping) CheckMeters(node, file);
        foreach (var id in ReadIds())
        {
            var (row, attempts) = (file.FindAnswer(id)!, file.ReadAttempts(id));
            if (!attempts.Select(static attempt => attempt.Number).SequenceEqual(Enumerable.Range(0, attempts.Count))) _world.Violate($"T37: attempts of {id} are {string.Join(", ", attempts)}");
            if (row.Ended is not null && attempts.Sum(static attempt => attempt.ChargedTokens) != row.Usage.TotalTokens)
                _world.Violate($"T50: {id} has {row.Usage.TotalTokens} tokens, and its attempts are charged {attempts.Sum(static attempt => attempt.ChargedTokens)}: {row}\n{string.Join('\n', attempts)}");
        }
        foreach (var trace in _world.Ledger.Answers.Where(static trace => trace.IsStarted || trace.DoneAt is not null))
        {
            var row = file.FindAnswer(trace.Id);
            if (row is null && (_isStrict || !_world.HasCrashed)) _world.Violate($"T51: {trace.Id} of story {trace.Story.Number} has no row");
            if (row is not { EndedBy: "completed", IsEstimated: false } || trace.DoneAt is null || _cut.Contains(trace.Id)) continue;
            if ((row.Usage.PromptTokens, row.Usage.CompletionTokens) != (5, trace.Story.TokenCount))
                _world.Violate($"T34: {trace.Id} of story {trace.Story.Number} has {row.Usage}, and was {trace.Story.TokenCount} tokens");
        }
        _world.Count(_cut.Count > 0 ? "ledger with cuts" : "ledger");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private void CheckMeters(SimNode node, LedgerFile file)
    {
        if (file.ReadOpen() is [var open, ..]) _world.Violate($"T28: {open.Id} is open for ever: {open}");
        foreach (var scope in node.Limiter.Scopes)
        {
            if (scope.Running != 0) _world.Violate($"T18: {scope.Running} answers of {scope.Word} {scope.Id} run for ever");
            foreach (var meter in scope.Meters)
            {
                // One that nobody has looked at since a restart is counted then.
                if (!meter.IsCounted) continue;
                var settled = file.Count(scope.Kind == ScopeKind.Hub ? null : scope.Word, scope.Id, meter.Window.Start.ToUnixTimeMilliseconds(), isMoney: false);
                if ((meter.Settled, meter.Held, meter.HoldCount) != (settled, 0, 0))
                    _world.Violate($"T29: {scope.Word} {scope.Id} has settled {meter.Settled} and holds {meter.Held} for {meter.HoldCount} answers, and the rows say {settled}");
            }
        }
    }

    private List<string> ReadIds()
    {
        var ids = new List<string>();
        using var connection = new SqliteConnection($"Data Source={Path};Mode=ReadOnly;Pooling=false");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "select id from usage_answer order by id";
        using var rows = command.ExecuteReader();
        while (rows.Read()) ids.Add(rows.GetString(0));
        return ids;
    }

    private void Access(SimNode node, string step)
    {
        // Nothing that a process does has an effect behind its end.
        if (node.IsDead) throw new LedgerException("The process has ended.");
        if (node.IsStarting) return;
        if (_isKilled && _random.Next(300) == 0 && !_world.IsStopping)
        {
            _world.Count(step is "committed" ? "killed behind a commit of the ledger" : "killed at the ledger");
            node.Kill();
            _world.Spawn(_world.CrashAsync);
            throw new LedgerException("The process ends here.");
        }
        if (!_fails || _random.Next(40) > 0) return;
        _world.Count($"ledger fails {(step is "committed" ? "behind a commit" : "in between")}");
        throw new LedgerException($"The ledger fails at {step}.");
    }
}
