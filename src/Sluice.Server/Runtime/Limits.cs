using Sluice.Streaming;

namespace Sluice.Server.Runtime;

/// <summary>Every bound of the server, with its unit and reason. Times pass on the <see cref="TimeProvider"/> of the hub.</summary>
public sealed record Limits
{
    /// <summary>
    /// Newest tokens of a local answer that have to be one short block again and again until the answer ends: 16 times the longest such block.
    /// </summary>
    public const int RepetitionWindow = 1024;

    /// <summary>
    /// Bytes of a request body. The default value is 32 MiB: a long conversation is one, and a handful of images in base64 fit.
    /// </summary>
    public int RequestBodyBytes { get; init; } = 32 << 20;

    /// <summary>
    /// Bytes of a body too large that are still read, so that the client gets its 413 and can use the connection again; beyond it
    /// the connection closes. The default value is 256 MiB.
    /// </summary>
    public long DiscardedBodyBytes { get; init; } = 256L << 20;

    /// <summary>
    /// Bytes of the bodies of all requests in work together; at most an eighth of the memory that the process may use. A request beyond it
    /// gets 503. The default value is 1 GiB: thirty of the largest, many thousands of usual ones.
    /// </summary>
    public long RequestBodiesBytes { get; init; } = 1L << 30;

    /// <summary>How long a whole body may take to come. The default value is 5 min: the largest at 1 Mbit/s.</summary>
    public TimeSpan RequestBodyRead { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Connections at a time, of a hub that is a program of its own; fewer where the process may open fewer files. The default value is 20,000:
    /// twice the answers that can run.
    /// </summary>
    public int ConnectionsMax { get; init; } = 20_000;

    /// <summary>How long a connection is without a request before another one can have its place. The default value is 1 s: a new one sends its first within that.</summary>
    public TimeSpan ConnectionIdle { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often the files of a certificate are looked at, when somebody connects. The default value is 1 s.</summary>
    public TimeSpan CertificateLook { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How long the response headers wait for the first event. Until then a failure is a real HTTP status, which every client
    /// can retry; after it silence would look like a dead server. The default value is 10 s.
    /// </summary>
    public TimeSpan HeadersHeld { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Silence after which a comment is sent. Proxies cut idle connections after 60 s and up; a client may give up after 300 lines
    /// without data, so not below 10 s. The default value is 15 s.
    /// </summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// Comments in a row after which a client gets an event, where the dialect has one: two minutes. Codex waits 300 s for an event, and
    /// doesn't count comments.
    /// </summary>
    public int KeepAliveBeats { get; init; } = 8;

    /// <summary>
    /// What an upstream may be held up in all, over one answer, for clients that have not read what the log would drop next: it sends a long
    /// answer at once, or an event as large as the log. The default value is 5 s: 6 MiB at 10 Mbit/s. A longer one would let a client
    /// that reads nothing hold the upstream's place.
    /// </summary>
    public TimeSpan ReaderGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long one write may be stuck before its connection is cut: the client takes nothing at all. The default value is 30 s.</summary>
    public TimeSpan WriteStalled { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Between an error event and the abort that follows it. An abort throws away what the server has not handed to the network yet,
    /// and a Node client what it has queued but not read: without this time every client misses the event. The default value is 200 ms.
    /// </summary>
    public TimeSpan ErrorEventLead { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Bytes copied from a log before they are flushed: what one reader that catches up holds in memory. The default value is 64 KiB, Kestrel's own output bound.</summary>
    public int ReadBatchBytes { get; init; } = 64 << 10;

    /// <summary>
    /// Silence in the middle of an answer that nobody else can go on with: longer than where there is a choice, for the alternative
    /// is an error. The default value is 60 s.
    /// </summary>
    public TimeSpan LastIdle { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>After a finish reason, until usage and the end have come. The answer is whole by then. The default value is 2 s.</summary>
    public TimeSpan AfterFinish { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long an upstream that has refused streams, or options for them, is asked without. The default value is 10 min.</summary>
    public TimeSpan RefusedStream { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Wait before the first retry of the same upstream; it doubles each time, and a half of it is random. The default value is 500 ms.</summary>
    public TimeSpan BackoffFirst { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The longest of these waits. The default value is 8 s, as in the SDKs.</summary>
    public TimeSpan BackoffMax { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>A longer <c>Retry-After</c> is not waited for but passed on: the client knows better whether it wants to. The default value is 10 s.</summary>
    public TimeSpan RetryAfterMax { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Attempts to go on with one answer that breaks off, those that come to nothing too. The default value is 4: another place, a fallback, and a beginning to
    /// go on from in two ways.
    /// </summary>
    public int RescueAttemptsMax { get; init; } = 4;

    /// <summary>How long an upstream is left alone whose account was refused: a wrong key, a spent quota. The default value is 30 s: somebody has to do something.</summary>
    public TimeSpan RejectedRest { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Faults in a row after which an upstream is left alone. The default value is 3: one request with its retries.</summary>
    public int BreakerFaults { get; init; } = 3;

    /// <summary>How long it is left alone before one request probes it; doubles with each probe that fails. The default value is 5 s.</summary>
    public TimeSpan BreakerOpenFirst { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest time that it is left alone. The default value is 20 s, so that it is back in use within half a minute.</summary>
    public TimeSpan BreakerOpenMax { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Bytes read of an upstream's error. The default value is 64 KiB; messages are a few hundred.</summary>
    public int ErrorBodyBytes { get; init; } = 64 << 10;

    /// <summary>How long an unwanted answer is read on where its upstream drains. The default value is 10 min, as long as a wanted one may take.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Age at which a connection to an upstream is no longer used, so that changes in DNS are seen. The default value is 10 min.</summary>
    public TimeSpan UpstreamConnectionLifetime { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a connection to an upstream is kept that nothing uses. The default value is one minute, as <see cref="HttpClient"/> has it.</summary>
    public TimeSpan UpstreamConnectionIdle { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Bytes that are read behind the end of an answer to use its connection again. The default value is 4 KiB.</summary>
    public int ResponseDrainBytes { get; init; } = 4 << 10;

    /// <summary>How long that may take; an aborted answer is never waited for longer. The default value is 20 ms.</summary>
    public TimeSpan ResponseDrain { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Characters of a schema that is compiled. The default value is 512 Ki: four times what OpenAI allows names and values.</summary>
    public int SchemaCharacters { get; init; } = 512 << 10;

    /// <summary>
    /// Compiled schemas that are kept. The default value is 32: the applications of one hub have a few each, and a large one takes some MiB.
    /// </summary>
    public int CachedGrammars { get; init; } = 32;

    /// <summary>How long an upstream is asked for its health, the connection included. The default value is 3 s: somebody waits at a terminal.</summary>
    public TimeSpan HealthProbe { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Between two looks at the configuration file, which has to be the same twice. The default value is 1 s; reading a few kilobytes takes microseconds.</summary>
    public TimeSpan ConfigurationPoll { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long an answer is kept after its end. The default value is 10 min: a client that has lost its network is back by then, or has given up.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Ended answers that are kept. The default value is 8,000, so that running ones always find room among <see cref="StreamLimits.GenerationsMax"/>.</summary>
    public int KeptAnswersMax { get; init; } = 8_000;

    /// <summary>Memory of ended answers in bytes. The default value is 64 MiB: 2,000 answers of 100 chunks, and all 8,000 of 20.</summary>
    public long KeptBytesMax { get; init; } = 64 << 20;

    /// <summary>How long an answer is kept that the local engine has stopped at. The default value is 60 min: somebody who travels is back, and memory is all that it takes.</summary>
    public TimeSpan SuspendedRetention { get; init; } = TimeSpan.FromMinutes(60);

    /// <summary>Such answers. The default value is 1,000: one every four seconds.</summary>
    public int SuspendedAnswersMax { get; init; } = 1_000;

    /// <summary>Their memory in bytes, their requests included. The default value is 64 MiB: 1,000 conversations of some pages.</summary>
    public long SuspendedBytesMax { get; init; } = 64 << 20;

    /// <summary>What an answer takes beside its log, in bytes, for the count. The default value is 2 KiB: objects, names, hashes.</summary>
    public int AnswerOverheadBytes { get; init; } = 2 << 10;

    /// <summary>Ids of answers no longer kept, which are told from unknown ones, and as many keys. The default value is 10,000: up to 8 MiB.</summary>
    public int ExpiredIdsMax { get; init; } = 10_000;

    /// <summary>How long they are. The default value is 24 h, as long as clients go on with what they have stored.</summary>
    public TimeSpan ExpiredIds { get; init; } = TimeSpan.FromHours(24);

    /// <summary>Connections that read one answer at a time. The default value is 4: two tabs, and what is left of two that were lost.</summary>
    public int ReadersPerAnswer { get; init; } = 4;

    /// <summary>How long an answer that nobody has seen anything of goes on without a reader: until after the first automatic retry of every SDK. The default value is 1.5 s.</summary>
    public TimeSpan UnseenGrace { get; init; } = TimeSpan.FromSeconds(1.5);

    /// <summary>How long after its reader has left such an answer goes to whoever makes the same request. The default value is 15 s: later retries, with their waits.</summary>
    public TimeSpan Adoptable { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long the local engine works on an answer with a key and without a reader. The default value is 60 s.</summary>
    public TimeSpan Detached { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Pieces of content, a token each in general, that it makes in that time. The default value is 2,000.</summary>
    public int DetachedContentMax { get; init; } = 2_000;

    /// <summary>How long a cursor may be ahead of its stream. The default value is 5 s, far beyond what two packets can overtake each other by.</summary>
    public TimeSpan CursorWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The same for an answer that goes on after a restart and has said nothing since: its client may have seen more than the store, and the prompt has to be read
    /// again first. The default value is 2 min, a long prompt on a slow machine.
    /// </summary>
    public TimeSpan RestoredCursorWait { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>
    /// How long an answer that is not stored outlives its end, and an agent's retry gets it: Codex comes back within 4 s, others within a
    /// minute.
    /// </summary>
    public TimeSpan ReplayedTurn { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a request waits for the end of the answer that it goes on from.</summary>
    public TimeSpan PreviousAnswerWait { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Answers, from the newest on, in which an item is looked for that a request refers to by an upstream's id. Clients refer to those of the
    /// conversation that they are in.
    /// </summary>
    public int ReferencedAnswersMax { get; init; } = 64;

    /// <summary>How long a key is remembered that was cancelled before its request came. The default value is 60 s: the request was on its way.</summary>
    public TimeSpan CancelledKey { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Such keys. The default value is 1,000: up to 600 KiB.</summary>
    public int CancelledKeysMax { get; init; } = 1_000;

    /// <summary>How long a cancel waits for the end of the answer. The default value is 2 s; a step of the engine takes a fraction of one.</summary>
    public TimeSpan CancelWait { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Between two commits to a store: what a killed process may lose of its answers. The default value is 100 ms.</summary>
    public TimeSpan StoreInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Between two tries of a commit that fails. The default value is 1 s: disks that are full are not free again sooner.</summary>
    public TimeSpan StoreRetry { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Between two commits to the ledger: what a killed process may lose of its rows, unless the ledger is strict. The default value is 100 ms.</summary>
    public TimeSpan LedgerInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Answers whose rows wait for a ledger that fails; beyond that keys with a budget begin none. The default value is 10,000: some 10 MB.</summary>
    public int LedgerPendingMax { get; init; } = 10_000;

    /// <summary>Longest answer that a cache keeps. The default value is 512 KiB: what is given again must fit into the memory of a stream.</summary>
    public int CachedAnswerBytes { get; init; } = 512 << 10;

    /// <summary>Answers in caches, of all models. The default value is 64 MiB.</summary>
    public long CachedBytesMax { get; init; } = 64 << 20;

    /// <summary>How long the ledger keeps rows of attempts. The default value is 90 days; the sums per hour stay.</summary>
    public TimeSpan LedgerAttempts { get; init; } = TimeSpan.FromDays(90);

    /// <summary>How long the ledger keeps rows of answers and of changes. The default value is 400 days: a year can be compared with the one before.</summary>
    public TimeSpan LedgerAnswers { get; init; } = TimeSpan.FromDays(400);

    /// <summary>Between two looks for keys and budgets that a command has changed. The default value is 500 ms.</summary>
    public TimeSpan LedgerPoll { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Bytes of events in one commit; what is over goes into the next one at once. The default value is 8 MiB: a tenth of a second's work for a slow disk.</summary>
    public int StoreBatchBytes { get; init; } = 8 << 20;

    /// <summary>Bytes that a store's file may grow to, unless <c>store_size</c> says otherwise; answers that ended first go first. The default value is 1 GiB: 100,000 usual answers.</summary>
    public long StoredBytesMax { get; init; } = 1L << 30;

    /// <summary>
    /// Memory of the events of all answers that are being made, in bytes, where there is a store: beyond it they stay in the store alone, and where that can't
    /// be, no new answers are begun. The default value is 256 MiB.
    /// </summary>
    public long HotBytesMax { get; init; } = 256L << 20;

    /// <summary>Bytes of each of them that stay in memory then. The default value is 64 KiB: what a reader that is not behind is about to read.</summary>
    public int HotBytesMin { get; init; } = 64 << 10;

    /// <summary>
    /// How long a hub that is told to stop lets answers run on, unless <c>drain</c> says otherwise. The default value is 30 s, what container platforms wait before
    /// they kill.
    /// </summary>
    public TimeSpan StopDrain { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>What the rest of stopping may take after that: error events, the store, connections. The default value is 10 s.</summary>
    public TimeSpan StopRest { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a hub of a cluster counts as there without renewing that. The default value is 10 s: a database that restarts takes a few.</summary>
    public TimeSpan ClusterLease { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between two renewals. The default value is 2 s: four may fail.</summary>
    public TimeSpan ClusterRenew { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Between two tries to find who makes an answer that is read here. The default value is 150 ms.</summary>
    public TimeSpan ClusterRetry { get; init; } = TimeSpan.FromMilliseconds(150);

    /// <summary>Between two looks for what nodes that are gone have left. The default value is 30 s.</summary>
    public TimeSpan ClusterSweep { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Answers that a hub takes over, or takes away, at a time. The default value is 100.</summary>
    public int ClusterPortion { get; init; } = 100;

    /// <summary>How long a hub of a cluster that is told to stop takes new requests: balancers learn of it seconds later. The default value is 10 s.</summary>
    public TimeSpan ClusterLead { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A connection to another hub. The default value is 1 s; they are near.</summary>
    public TimeSpan PeerConnect { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Silence after which a hub tells another one that it is there. The default value is 1 s.</summary>
    public TimeSpan PeerBeat { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Silence after which another hub counts as gone. The default value is 3 s.</summary>
    public TimeSpan PeerSilence { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>How long an answer of another hub is followed that nobody reads here any more. The default value is 1 s: a client that comes back.</summary>
    public TimeSpan PeerLinger { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Requests that wait for the hook before answers at a time; one beyond it goes as without a reply. The default value is 1,000: more wait for a hook that hangs.</summary>
    public int HookCallsMax { get; init; } = 1_000;

    /// <summary>Reports of ended answers that wait for the hook; one beyond it is dropped. The default value is 1,000: seconds of a busy hub.</summary>
    public int HookReportsMax { get; init; } = 1_000;

    /// <summary>Their bytes together. The default value is 64 MiB.</summary>
    public long HookReportsBytes { get; init; } = 64L << 20;

    /// <summary>Longest events of an answer that a report has; of a longer one it has only the figures. The default value is 1 MiB: what streams keep.</summary>
    public int HookResultBytes { get; init; } = 1 << 20;

    /// <summary>Reports that are sent at a time. The default value is 16.</summary>
    public int HookSenders { get; init; } = 16;

    /// <summary>How long reports are still sent when the hub stops. The default value is 5 s, half of <see cref="StopRest"/>.</summary>
    public TimeSpan HookRest { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Bounds of the logs.</summary>
    public StreamLimits Streams { get; init; } = new();
}
