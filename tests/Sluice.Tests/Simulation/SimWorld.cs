using Sluice.Server.Configuration;
using Sluice.Server.Models;
using Sluice.Server.Runtime;
using Sluice.Streaming;
using Sluice.Tests.Server.Storage;

namespace Sluice.Tests.Simulation;

/// <summary>A hub between clients and upstreams, on one thread and with a clock of its own. A seed says all that happens.</summary>
internal sealed class SimWorld
{
    /// <summary>The model of the hub's own engine.</summary>
    public const string LocalModel = "local";

    private const string Models = """
        api_keys: [key-0, key-1, key-2]
        models:
          - {id: m1, retries: 1, upstreams: [{url: "http://u1"}]}
          - {id: m2, upstreams: [{url: "http://u1"}, {url: "http://u2"}]}
          - {id: m3, retries: 0, fallbacks: [m1], upstreams: [{url: "http://u3"}]}
          - {id: m4, upstreams: [{url: "http://u2", weight: 2}, {url: "http://u3", weight: 1}]}
          - {id: m5, rescue: false, upstreams: [{url: "http://u4", on_abort: drain}]}
          - {id: m6, retries: 0, upstreams: [{url: "http://u3"}]}
        """;

    private static readonly SluiceOptions s_options = ConfigurationFile.Parse(Models, "sluice.yaml", static _ => null);
    private static readonly ModelCatalog s_catalog = new(
    [
        .. ModelCatalog.Create(s_options, []).Models.Select(static model => model.Id == "m6" ? model with { Fallbacks = [LocalModel] } : model),
        new LocalModel(LocalModel, "/nowhere.gguf", 1, DateTimeOffset.UnixEpoch),
    ]);

    private readonly SluiceOptions _options;
    private readonly List<SimNode> _dead = [];
    private SimNode? _node;
    private readonly List<SimCall> _calls = [];
    private readonly List<SimConnection> _connections = [];
    private int _actorCount;

    public SimWorld(int seed)
    {
        Random = new Random(seed);
        Scheduler = new SimScheduler(Random);
        Clock = new SimClock(Scheduler);
        Ledger = new Ledger(this);
        HasUpstreamFaults = Random.Next(10) < 7;
        IsTight = Random.Next(4) == 0;
        PipeBytes = Random.Next(3) == 0 ? 600 : 64 << 10;
        Limits = IsTight
            ? new Limits
            {
                ReadBatchBytes = 512,
                KeptAnswersMax = Random.Next(1, 5),
                KeptBytesMax = Random.Next(4, 40) << 10,
                ReadersPerAnswer = Random.Next(1, 4),
                Retention = Random.Next(4) == 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(30),
                Streams = new StreamLimits { HotBytes = Random.Next(1, 5) << 10, SegmentBytes = 512, GenerationsMax = Random.Next(6, 12) },
                HotBytesMax = Random.Next(4, 20) << 10,
                HotBytesMin = 512,
                StoreBatchBytes = 2 << 10,
                SuspendedAnswersMax = Random.Next(1, 4),
                SuspendedRetention = TimeSpan.FromMinutes(1),
                Detached = TimeSpan.FromSeconds(4),
                DetachedContentMax = 6,
            }
            : new Limits();
        HasStoreFaults = Random.Next(3) == 0;
        if (Random.Next(2) == 0) Store = new MemoryAnswerStore();
        Money = SimMoney.TryCreate(this, seed);
        _options = Money?.Configure(s_options) ?? s_options;
        _node = new SimNode(this, _options, s_catalog, Store);
    }

    public Random Random { get; }

    public SimScheduler Scheduler { get; }

    public SimClock Clock { get; }

    public Limits Limits { get; }

    public Ledger Ledger { get; }

    /// <summary>What outlives a process; null where answers are kept in memory alone.</summary>
    public MemoryAnswerStore? Store { get; }

    /// <summary>Keys with budgets, and who used what; null where nothing is counted.</summary>
    public SimMoney? Money { get; }

    /// <summary>Whether the store may fail.</summary>
    public bool HasStoreFaults { get; }

    /// <summary>Processes that have ended.</summary>
    public int EndCount => _dead.Count;

    /// <summary>Whether one of them ended in the middle of its work.</summary>
    public bool HasCrashed { get; private set; }

    public List<Story> Stories { get; } = [];

    /// <summary>Whether any upstream may fail.</summary>
    public bool HasUpstreamFaults { get; }

    /// <summary>Whether everything that has a bound has a small one.</summary>
    public bool IsTight { get; }

    public bool IsStopping { get; private set; }

    /// <summary>Bytes of a connection that are on their way.</summary>
    public int PipeBytes { get; }

    /// <summary>The first thing that was wrong; null as long as nothing is.</summary>
    public string? Violation { get; private set; }

    public int ActorCount => _actorCount;

    /// <summary>What has happened how often: a simulation in which nothing happens finds nothing.</summary>
    public SortedDictionary<string, int> Tally { get; } = new(StringComparer.Ordinal);

    public void Count(string what) => Tally[what] = Tally.GetValueOrDefault(what) + 1;

    public void Violate(string what) => Violation ??= $"after {Clock.Elapsed.TotalSeconds:F3} s: {what}";

    public Task DelayAsync(int millisecondsMax, CancellationToken cancellation = default) =>
        Task.Delay(TimeSpan.FromMilliseconds(Random.Next(millisecondsMax + 1)), Clock, cancellation);

    /// <summary>Lets somebody act, at the scheduler's next turn.</summary>
    public void Spawn(Func<Task> act)
    {
        _actorCount++;
        Scheduler.Post(() => _ = ActAsync(act));
    }

    /// <summary>Sends a request, and lets the hub answer.</summary>
    public SimConnection Open(Story? story, string principal, string method, string target, byte[] body, params (string Name, string Value)[] headers)
    {
        var connection = new SimConnection(this, method, target, body, [("Authorization", $"Bearer {principal}"), .. headers]) { Story = story };
        _connections.Add(connection);
        story?.Connections.Add(connection);
        // On its way.
        Spawn(async () =>
        {
            await DelayAsync(Random.Next(10) == 0 ? 500 : 2);
            if (_node is null)
            {
                connection.Sever();
                return;
            }
            connection.Node = _node;
            _ = _node.ServeAsync(connection);
        });
        return connection;
    }

    /// <summary>Lets the hub answer a connection that the world doesn't know.</summary>
    public Task ServeAsync(SimConnection connection) => _node!.ServeAsync(connection);

    /// <summary>Answers that the hub knows.</summary>
    public int AnswerCount => _node!.Table.Count;

    /// <summary>The story that a request is of.</summary>
    public Story StoryOf(string body)
    {
        var start = body.IndexOf("story ", StringComparison.Ordinal) + 6;
        return Stories[int.Parse(body[start..body.IndexOf('.', start)], System.Globalization.CultureInfo.InvariantCulture)];
    }

    public void Begin(SimCall call)
    {
        _calls.Add(call);
        if (call.Story.Facts.Key is not null && call.Story.Model != "m5" && _calls.Count(other => other.Story == call.Story && other.IsWorking && !other.IsTold) > 1)
            Violate($"I3: two upstreams work for story {call.Story.Number}, which has a key: {string.Join(", ", _calls.Where(other => other.Story == call.Story))}");
    }

    public void NoteSilent(SimCall call) => call.IsSilent = true;

    public void EndWork(SimCall call) => call.IsWorking = false;

    public void End(SimCall call)
    {
        call.IsWorking = false;
        if (!_calls.Remove(call)) return;
        if (call.Held > Limits.ReaderGrace + Clock.Lag - call.LagBefore) Violate($"I5: an upstream of story {call.Story.Number} waited {call.Held} for readers");
    }

    /// <summary>Stops the hub as a signal does, and starts it again or not.</summary>
    public async Task StopAsync(bool restarts)
    {
        if (_node is not { } node || IsStopping) return;
        Count("node stops");
        IsStopping = true;
        await node.StopAsync();
        if (node.IsDead) return;
        if (_calls.Any(call => call.Node == node && call.IsWorking && call.Story.Model != "m5")) Violate("the hub has stopped, and an upstream works on");
        if (!restarts) return;
        // The rest of what clients are sent.
        await Task.Delay(TimeSpan.FromSeconds(5), Clock);
        End(node);
        await BootAsync();
    }

    /// <summary>Ends the hub in the middle of whatever it does, and starts it again.</summary>
    public async Task CrashAsync()
    {
        if (_node is not { } node || IsStopping) return;
        Count(Store is null ? "node crashes" : "node with a store crashes");
        HasCrashed = true;
        End(node);
        await BootAsync();
    }

    private void End(SimNode node)
    {
        node.Kill();
        _dead.Add(node);
        _node = null;
        foreach (var connection in _connections.Where(connection => connection.Node == node)) connection.Sever();
        foreach (var call in _calls.Where(call => call.Node == node).ToList())
        {
            call.IsWorking = false;
            _calls.Remove(call);
        }
    }

    private async Task BootAsync()
    {
        await DelayAsync(3000);
        IsStopping = false;
        _node = new SimNode(this, _options, s_catalog, Store);
    }

    /// <summary>Goes on until nothing is left to do.</summary>
    public void Run()
    {
        const int StepsMax = 300_000;
        var isAudited = false;
        while (Violation is null && Scheduler.Escape is null)
        {
            if (Scheduler.StepCount > StepsMax) Violate("I9: it does not come to rest");
            if (!Scheduler.IsIdle)
            {
                if (Random.Next(200) == 0) Clock.Advance(TimeSpan.FromMilliseconds(Random.Next(Random.Next(10) == 0 ? 5000 : 100)));
                Scheduler.RunOne();
                if (_node is not null) Money?.CheckStep(_node);
                continue;
            }
            CheckBounds();
            if (_actorCount == 0 && !isAudited)
            {
                isAudited = true;
                Spawn(() => new SimAuditor(this).ReadAllAsync());
                continue;
            }
            if (!Clock.AdvanceToNext()) break;
        }
        if (Scheduler.Escape is { } escape) Violate($"left the thread:\n{escape}");
        if (Violation is null) CheckRest();
    }

    public void Dispose()
    {
        foreach (var connection in _connections) connection.Dispose();
        foreach (var node in _dead) node.Dispose();
        _node?.Dispose();
        Money?.Dispose();
    }

    private async Task ActAsync(Func<Task> act)
    {
        try
        {
            await act();
        }
#pragma warning disable CA1031 // A fault of the simulation itself.
        catch (Exception error)
#pragma warning restore CA1031
        {
            Violate($"an actor threw {error}");
        }
        _actorCount--;
    }

    private void CheckBounds()
    {
        if (_node is { Table: var table })
        {
            if (table.KeptBytes > Limits.KeptBytesMax) Violate($"I6: {table.KeptBytes} bytes are kept");
            if (table.Count > Limits.Streams.GenerationsMax) Violate($"I6: {table.Count} answers are known");
        }
        foreach (var connection in _connections)
        {
            // What the pipe takes, one batch, and an event of any size.
            if (connection.UnreadBytes > PipeBytes + (2 * Limits.ReadBatchBytes) + (64 << 10)) Violate($"I6: {connection.UnreadBytes} bytes wait for one client");
        }
        foreach (var call in _calls)
        {
            if (!call.IsWorking || call.Story.Model == "m5") continue;
            var (facts, lag) = (call.Story.Facts, Clock.Lag - call.LagBefore);
            // Whoever has the engine continue an answer holds it until the engine has begun, even if their client has left meanwhile.
            bool IsThere(SimConnection connection) => connection.IsOpen && (call.IsSuspendable || !connection.IsDropped);
            if (call.Story.Connections.Any(IsThere)) facts.LeftAt = null;
            else if (call.Story.Connections.All(static connection => connection.IsGone)) facts.LeftAt ??= Clock.Elapsed;
            // A client may come and leave between two looks.
            foreach (var connection in call.Story.Connections) if (facts.LeftAt < connection.ClosedAt) facts.LeftAt = connection.ClosedAt;
            if (facts.LeftAt < call.Began) facts.LeftAt = call.Began;
            if (facts.LeftAt is not { } left || facts.OnDisconnect == "continue") continue;
            if (Clock.Elapsed - left > GraceOf(call) + lag || (call.IsSuspendable && facts.Key is not null && call.PiecesAlone > Limits.DetachedContentMax + 2))
                Violate(
                    $"I8: nobody reads story {call.Story.Number} since {left}, and it is worked on ({call.Act} since {call.Began}, {call.PiecesAlone} pieces; "
                    + $"{facts.OnDisconnect ?? "no policy"}): {string.Join("; ", call.Story.Connections)}");
        }
    }

    // How long somebody may work on what nobody reads.
    private TimeSpan GraceOf(SimCall call) => (call.Story.Facts, call.IsSuspendable) switch
    {
        ({ OnDisconnect: "cancel" }, false) => TimeSpan.Zero,
        ({ OnDisconnect: "cancel" } or { Key: null }, true) => SimEngine.Step,
        ({ Key: null }, false) => Limits.UnseenGrace,
        (_, true) => Limits.Detached + SimEngine.Step,
        _ => TimeSpan.MaxValue / 2,
    };

    private void CheckRest()
    {
        Ledger.Check();
        Money?.CheckRest(_node);
        if (_actorCount > 0) Violate($"I9: {_actorCount} actors wait for ever");
        foreach (var connection in _connections) if (connection.IsOpen) Violate($"I9: it is never answered: {connection}");
        if (_calls.Count > 0) Violate($"I9: {_calls.Count} calls of upstreams go on for ever");
        if (_node is not { Table: var table }) return;
        if (table.Count > 0 || table.KeptBytes > 0) Violate($"I14: {table.Count} answers with {table.KeptBytes} bytes have outlived their time");
        if (!IsStopping && Store is not null && Store.AnswerCount > 0) Violate($"I14: {Store.AnswerCount} answers have outlived their time in the store");
        if (Clock.PendingCount > 0) Violate($"{Clock.PendingCount} timers are left");
        foreach (var deployment in _node.Deployments)
            if (deployment.InFlight != 0) Violate($"{deployment.Upstream.Identity.Name} has {deployment.InFlight} attempts in flight");
    }
}
