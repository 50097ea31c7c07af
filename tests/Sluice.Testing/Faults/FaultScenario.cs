namespace Sluice.Testing.Faults;

/// <summary>What the servers do.</summary>
/// <param name="Server">The server that is asked.</param>
/// <param name="Call">The number of the call at it, from 1.</param>
/// <param name="Reply">Where to answer.</param>
public delegate Task FaultScript(FaultyServer Server, int Call, UpstreamReply Reply);

/// <summary>What is checked beside the answer's being complete.</summary>
/// <param name="Answer">What the client got.</param>
/// <param name="Primary">The faulty server.</param>
/// <param name="Fallback">The other one.</param>
/// <returns>What isn't met, or null.</returns>
public delegate string? FaultCheck(FaultAnswer Answer, FaultyServer Primary, FaultyServer Fallback);

/// <summary>
/// One of the sixteen faults of FailoverBench (methodology v0.1), with its timings and thresholds: an answer of 60 tokens, two retries and one fallback.
/// </summary>
/// <param name="Id"><c>S01</c> to <c>S16</c>.</param>
/// <param name="Title">What is wrong.</param>
/// <param name="Primary">What the faulty server does.</param>
/// <param name="Conduct">What must hold.</param>
public sealed record FaultScenario(string Id, string Title, FaultScript Primary, FaultCheck Conduct)
{
    private const int CutAfter = 40;

    /// <summary>What the other server does: the whole answer, by default.</summary>
    public FaultScript Fallback { get; init; } = static (server, _, reply) => server.AnswerAsync(reply);

    /// <summary>Whether the right end is the upstream's refusal and not an answer.</summary>
    public bool IsRefusal { get; init; }

    /// <summary>Requests, one every <see cref="Interval"/>.</summary>
    public int RequestCount { get; init; } = 1;

    /// <summary>Between the starts of two requests.</summary>
    public TimeSpan Interval { get; init; }

    /// <summary>Whether a request right after must be answered too.</summary>
    public bool AsksAgain { get; init; }

    /// <summary>In the order of the bench.</summary>
    public static IReadOnlyList<FaultScenario> All { get; } =
    [
        new("S01", "429 with Retry-After: 2", Once((_, reply) => Limit(reply, ("Retry-After", "2"))),
            static (_, primary, _) => Require(primary.Calls.Count < 2 || primary.Calls[1] - primary.Calls[0] >= Seconds(1.8), "retried before the time")
                ?? Require(CountWithin(primary, 1.5) <= 2, "more than 2 attempts in 1.5 s")),
        new("S02", "429 without a time, again and again", (_, _, reply) => Limit(reply),
            static (_, primary, _) => Require(CountWithin(primary, 3) <= 4, "more than 4 attempts in 3 s") ?? Require(primary.Calls.Count <= 6, "more than 6 attempts")),
        new("S03", "500 once", Once((_, reply) => FaultyServer.RefuseAsync(reply, 500, "oops", "server_error", "internal")),
            static (_, primary, fallback) => Require((primary.Calls.Count, fallback.Calls.Count) == (2, 0), "the same server was not asked once more")),
        new("S04", "503 for good", (_, _, reply) => FaultyServer.RefuseAsync(reply, 503, "down", "server_error", "unavailable"), AtMostSix),
        new("S05", "a reset before the headers", Once((_, reply) => Cut(reply)), AtMostSix),
        new("S06", "no response at all", (_, _, reply) => reply.StallAsync(),
            static (answer, primary, _) => Require(answer.Wall <= Seconds(100), "took more than 100 s") ?? Require(primary.Calls.Count == 1, "the silent server was asked again")),
        new("S07", "the first token after 20 s", async (server, _, reply) =>
        {
            await reply.EventAsync(ScriptedUpstream.Role());
            await server.DelayAsync(Seconds(20), reply);
            await server.AnswerAsync(reply);
        }, static (answer, _, _) => Require(answer.Wall <= Seconds(15), "took more than 15 s")),
        new("S08", "a cut after 40 of 60 tokens", async (server, _, reply) =>
        {
            await server.TokensAsync(reply, 0, CutAfter);
            await reply.CutAsync();
        }, AtMostSix),
        new("S09", "a stall of 30 s after 40 tokens", async (server, call, reply) =>
        {
            await server.TokensAsync(reply, 0, CutAfter);
            if (call == 1) await server.DelayAsync(Seconds(30), reply);
            await server.TokensAsync(reply, CutAfter, FaultyServer.TokenCount);
            await server.EndAsync(reply);
            await reply.EventAsync("[DONE]");
        }, static (answer, _, _) => Require(answer.Wall <= Seconds(45), "took more than 45 s")) { AsksAgain = true },
        new("S10", "a malformed chunk after 40 tokens", async (server, _, reply) =>
        {
            await server.TokensAsync(reply, 0, CutAfter);
            await reply.EventAsync("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tok");
            await server.TokensAsync(reply, CutAfter, FaultyServer.TokenCount);
            await server.EndAsync(reply);
            await reply.EventAsync("[DONE]");
        }, AtMostSix),
        new("S11", "no [DONE]", async (server, _, reply) =>
        {
            await server.TokensAsync(reply, 0, FaultyServer.TokenCount);
            await server.EndAsync(reply);
            await reply.StallAsync();
        }, static (answer, _, _) => Require(answer.Wall <= Seconds(8), "took more than 8 s") ?? Require(answer.HasUsage, "has no usage")),
        new("S12", "the prompt is too long", (_, _, reply) => FaultyServer.RefuseAsync(
            reply, 400, "This model's maximum context length is 4096 tokens.", "invalid_request_error", "context_length_exceeded"),
            static (_, primary, _) => Require(primary.Calls.Count == 1, "the same model was asked again")),
        new("S13", "refused by a content filter", (_, _, reply) => FaultyServer.RefuseAsync(
            reply, 400, "The prompt was filtered.", "invalid_request_error", "content_filter"),
            static (answer, primary, fallback) => Require((primary.Calls.Count, fallback.Calls.Count) == (1, 0), "the refusal was routed around")
                ?? Require(answer.Error?.Contains("The prompt was filtered.", StringComparison.Ordinal) == true && answer.Error.Contains("content_filter", StringComparison.Ordinal), "the reason is lost"))
            { IsRefusal = true },
        new("S14", "a cut, and a fallback that rejects prefill", async (server, _, reply) =>
        {
            await server.TokensAsync(reply, 0, CutAfter);
            await reply.CutAsync();
        }, static (answer, _, _) => Require(answer.Error?.Contains("prefill", StringComparison.Ordinal) != true, "the error is the one of the prefill"))
        {
            Fallback = static (server, _, reply) => server.LastBody.Contains("\"assistant\"", StringComparison.Ordinal)
                ? FaultyServer.RefuseAsync(reply, 400, "This model does not support assistant prefill.", "invalid_request_error", "prefill")
                : server.AnswerAsync(reply),
        },
        new("S15", "60 s of outages, a request every 4 s", (server, _, reply) => server.Elapsed < Seconds(60)
            ? FaultyServer.RefuseAsync(reply, 503, "down", "server_error", "unavailable")
            : server.AnswerAsync(reply),
            static (_, primary, _) => Require(primary.Calls.Any(call => call >= Seconds(60) && call <= Seconds(90)), "not back at the primary within 30 s")
                ?? Require(primary.Calls.Count(call => call < Seconds(60)) <= 45, "more than 45 attempts at a server that is down"))
            { RequestCount = 20, Interval = Seconds(4) },
        new("S16", "what is said of an answer by the fallback", (_, _, reply) => FaultyServer.RefuseAsync(reply, 503, "down", "server_error", "unavailable"),
            static (answer, primary, fallback) => AtMostSix(answer, primary, fallback) ?? Require(answer.Model == "fallback", "names another model") ?? Require(answer.HasUsage, "has no usage")),
    ];

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    private static string? Require(bool isMet, string problem) => isMet ? null : problem;

    private static string? AtMostSix(FaultAnswer answer, FaultyServer primary, FaultyServer fallback) => Require(primary.Calls.Count <= 6, "more than 6 attempts");

    private static int CountWithin(FaultyServer server, double seconds) => server.Calls.Count(call => call - server.Calls[0] <= Seconds(seconds));

    private static FaultScript Once(Func<FaultyServer, UpstreamReply, Task> fault) =>
        (server, call, reply) => call == 1 ? fault(server, reply) : server.AnswerAsync(reply);

    private static Task Limit(UpstreamReply reply, params (string Name, string Value)[] headers) =>
        FaultyServer.RefuseAsync(reply, 429, "slow down", "requests", "rate_limit_exceeded", headers);

    private static Task Cut(UpstreamReply reply)
    {
        reply.Cut();
        return Task.CompletedTask;
    }
}
