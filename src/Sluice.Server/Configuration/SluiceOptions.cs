using Sluice.Inference.Sampling;
using Sluice.Server.Prices;
using Sluice.Server.Runtime;

namespace Sluice.Server.Configuration;

/// <summary>What the user wrote, validated. Immutable; the defaults are those of a hub without a configuration.</summary>
public sealed record SluiceOptions
{
    /// <summary>Addresses to listen on, at least one. The default value is <c>http://127.0.0.1:7070</c>.</summary>
    public IReadOnlyList<ListenAddress> Listen { get; init; } = [ListenAddress.Default];

    /// <summary>The certificate of the addresses with <see cref="ListenAddress.IsHttps"/>; null only where there is none.</summary>
    public CertificateOptions? Certificate { get; init; }

    /// <summary>The models to serve, ids and aliases unique. The default value, null, serves every GGUF file of the model folders.</summary>
    public IReadOnlyList<ModelOptions>? Models { get; init; }

    /// <summary>Keys of which a request must bear one. The default value is none: everyone may ask, and all are one owner.</summary>
    public IReadOnlyList<ApiKey> ApiKeys { get; init; } = [];

    /// <summary>Keys with limits, beside <see cref="ApiKeys"/>. The default value is none.</summary>
    public IReadOnlyList<KeyOptions> Keys { get; init; } = [];

    /// <summary>Tokens of an identity provider that open the hub too; null for none.</summary>
    public JwtOptions? Jwt { get; init; }

    /// <summary>Which texts go into spans. The default value, null, is none.</summary>
    public ContentOptions? Content { get; init; }

    /// <summary>Where administrators ask for usage; null for nowhere.</summary>
    public AdminOptions? Admin { get; init; }

    /// <summary>Whether the configuration has a key of any kind.</summary>
    public bool HasKeys => ApiKeys.Count + Keys.Count > 0 || Jwt is not null;

    /// <summary>Groups of keys. The default value is none.</summary>
    public IReadOnlyList<ProjectOptions> Projects { get; init; } = [];

    /// <summary>What all keys together may use. The default value is anything.</summary>
    public LimitOptions Hub { get; init; } = LimitOptions.None;

    /// <summary>What tokens cost. The default value prices nothing.</summary>
    public PriceTable Prices { get; init; } = PriceTable.Empty;

    /// <summary>Where it is written down who used what, and where keys are that commands make. The default value, null, is nowhere.</summary>
    public LedgerOptions? Ledger { get; init; }

    /// <summary>
    /// Whether it is said in so many words that no key is needed, as <c>api_keys: []</c> does in a file. Only then can a hub that has keys
    /// lose them while it runs. The default value is false.
    /// </summary>
    public bool AllowsEveryone { get; init; }

    /// <summary>
    /// Host names, without port, under which the hub may be addressed beside loopback and its listen addresses; <c>*</c> is any.
    /// The default value is none.
    /// </summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>Browser origins beside loopback that may read answers, such as <c>https://chat.example.com</c>; <c>*</c> is any. The default value is none.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Bytes that loaded models may take together. The default value, null, is 80 % of the memory that the process may use.</summary>
    public long? MemoryBudgetBytes { get; init; }

    /// <summary>Where answers are kept after their end. The default value is <see cref="StoreKind.Memory"/>.</summary>
    public StoreKind Store { get; init; }

    /// <summary>Full path of the store's file, which only <see cref="StoreKind.Sqlite"/> has. The default value, null, is <c>sluice/answers.db</c> in the user's data folder.</summary>
    public string? StorePath { get; init; }

    /// <summary>The other hubs that this one works with; null for none. With it <see cref="Store"/> is <see cref="StoreKind.Postgres"/>.</summary>
    public ClusterOptions? Cluster { get; init; }

    /// <summary>Bytes that this file may grow to. The default value, null, is <see cref="Limits.StoredBytesMax"/>.</summary>
    public long? StoreSizeBytes { get; init; }

    /// <summary>Whether a hub that is a program of its own has a page for browsers at its root. The default value is true.</summary>
    public bool Console { get; init; } = true;

    /// <summary>Who waits for the sockets of clients and of upstreams that are reached over plain TCP.</summary>
    public TransportKind Transport { get; init; }

    /// <summary>Who is asked before an answer, and told after it. The default value is nobody.</summary>
    public AnswerHooks Hooks { get; init; } = AnswerHooks.None;

    /// <summary>
    /// How long requests are still taken when the hub is told to stop, while <c>/readyz</c> says that it does. The default value, null, is
    /// none, and <see cref="Limits.ClusterLead"/> in a cluster.
    /// </summary>
    public TimeSpan? StopDelay { get; init; }

    /// <summary>How long answers run on when the hub is told to stop. The default value, null, is <see cref="Limits.StopDrain"/>.</summary>
    public TimeSpan? Drain { get; init; }
}

/// <summary>Where answers are kept after their end.</summary>
public enum StoreKind
{
    /// <summary>In memory: they go with the process.</summary>
    Memory,

    /// <summary>In an SQLite file too.</summary>
    Sqlite,

    /// <summary>In the database of a cluster too.</summary>
    Postgres,

    /// <summary>Nowhere: an answer goes with the last one who reads it.</summary>
    Off,
}

/// <summary>One model that the hub serves: by its own engine, or by upstreams.</summary>
/// <param name="Id">Name to ask with.</param>
/// <param name="Gguf">Path of the file: absolute, or relative to the configuration's folder, or a bare file name in a model folder. Null where <see cref="Route"/> is set.</param>
public sealed record ModelOptions(string Id, string? Gguf)
{
    /// <summary>Other names for the same model. The default value is none.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>The upstreams; null where <see cref="Gguf"/> is set.</summary>
    public ModelRouteOptions? Route { get; init; }

    /// <summary>Names of models that are asked, in order and once each, when this one can't answer. The default value is none.</summary>
    public IReadOnlyList<string> Fallbacks { get; init; } = [];

    /// <summary>Whether answers are kept after their end. The default value is true.</summary>
    public bool KeepsAnswers { get; init; } = true;

    /// <summary>Null, the default value, makes every answer anew.</summary>
    public CacheOptions? Cache { get; init; }

    /// <summary>
    /// Tokens that an answer holds of its budgets beside what is seen of it, for models that think unseen; not of <see cref="Gguf"/>. The
    /// default value is 0.
    /// </summary>
    public int ReasoningHold { get; init; }

    /// <summary>What holds for requests that leave it out; only of <see cref="Gguf"/>. The default value is what the file recommends.</summary>
    public SamplingDefaults Defaults { get; init; } = SamplingDefaults.None;

    /// <summary>Whether an answer that only repeats is ended; only of <see cref="Gguf"/>. The default value is true.</summary>
    public bool EndsRepetition { get; init; } = true;

    /// <summary>Most tokens of prompt and answer together; only of <see cref="Gguf"/>. The default value is null: those of the file.</summary>
    public int? Context { get; init; }

    /// <summary>Threads that compute; only of <see cref="Gguf"/>. The default value is null: the number of processors.</summary>
    public int? Threads { get; init; }

    /// <summary>How long it stays in memory when nobody uses it; only of <see cref="Gguf"/>. The default value is null: until its memory is needed.</summary>
    public TimeSpan? KeepAlive { get; init; }

    /// <summary>In what keys and values are kept; only of <see cref="Gguf"/>. The default value is half precision.</summary>
    public Inference.Transformer.KvCacheType CacheType { get; init; }

    /// <summary>Where the configuration names the file or the upstreams; null without a configuration file.</summary>
    public SourcePosition? Position { get; init; }
}

/// <summary>A place in a configuration file; line and column count from 1.</summary>
public sealed record SourcePosition(string File, int Line, int Column)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{File}:{Line}:{Column}");
}
