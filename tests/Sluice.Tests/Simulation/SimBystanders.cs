using System.Text.RegularExpressions;
using System.Text.Json;

namespace Sluice.Tests.Simulation;

/// <summary>Those who do something to an answer beside the client that has asked for it.</summary>
internal sealed class SimBystanders(SimWorld world, Story story)
{
    private const string Chat = "/v1/chat/completions";
    private readonly Random _random = world.Random;

    /// <summary>Sends some of them, or nobody.</summary>
    public void Send()
    {
        if (story.IsStream && _random.Next(4) == 0) world.Spawn(ReadTooAsync);
        if (_random.Next(5) == 0) world.Spawn(CancelAsync);
        if (_random.Next(12) == 0) world.Spawn(DeleteAsync);
        if (_random.Next(4) == 0) world.Spawn(ProbeAsync);
        if (story.IsStream && _random.Next(6) == 0) world.Spawn(LieAsync);
        if (_random.Next(4) == 0) world.Spawn(LookAsync);
        if (_random.Next(10) == 0) world.Spawn(StealAsync);
    }

    private string? Id => world.Ledger.Find(story)?.Id;

    // A second tab.
    private async Task ReadTooAsync()
    {
        await world.DelayAsync(4000);
        if (Id is not { } id) return;
        var position = _random.Next(3) == 0 ? 0 : _random.Next(1 + world.Ledger.Find(story)!.Events.Count);
        var manner = _random.Next(3) switch { 0 => new ReadManner(LeavesAfterBytes: _random.Next(2000), StopsReading: true), 1 => new ReadManner(PartBytes: 50, PauseMilliseconds: 100), _ => new ReadManner() };
        var reply = new SimReply(world, world.Open(story, story.Principal, "GET", $"{Chat}/{id}?stream=true&starting_after={position}", []), story, manner);
        if (await reply.ReadStreamAsync(position, hasIds: true) == ReplyEnd.Refused) new SimRefusal(world, story).Check(reply.Status, reply.Code, position);
    }

    private async Task CancelAsync()
    {
        await world.DelayAsync(_random.Next(2) == 0 ? 20 : 5000);
        // By key it may come before the request does.
        var byKey = story.Facts.Key is { } && (_random.Next(2) == 0 || Id is null);
        if (!byKey && Id is null) return;
        story.Facts.IsCancelled = true;
        var connection = byKey
            ? world.Open(null, story.Principal, "POST", "/v1/cancel", [], ("Idempotency-Key", story.Facts.Key!))
            : world.Open(null, story.Principal, "POST", $"{Chat}/{Id}/cancel", []);
        var reply = new SimReply(world, connection, story, new ReadManner());
        await connection.Started;
        // The key may be another request's by then.
        if (connection.StatusCode == 202 || (byKey && story.Facts.IsStolen)) return;
        if (await reply.ReadStoredAsync() == ReplyEnd.Refused) CheckByHand(reply);
        if (reply.State == "suspended") world.Violate($"story {story.Number} was cancelled, and could be continued");
    }

    private async Task DeleteAsync()
    {
        await world.DelayAsync(6000);
        if (Id is not { } id) return;
        story.Facts.IsDeleted = true;
        var connection = world.Open(null, story.Principal, "DELETE", $"{Chat}/{id}", []);
        var (status, _) = await ReadAsync(connection);
        if (status is not (0 or 200 or 404 or 410) && !(status == 503 && (world.HasStoreFaults || world.IsStopping || world.Money is not null))) world.Violate($"DELETE of {id}: {status}");
        if (status != 200) return;
        // And not even a restart brings it back.
        await world.DelayAsync(_random.Next(2) == 0 ? 0 : 20_000);
        var (again, _) = await ReadAsync(world.Open(null, story.Principal, "GET", $"{Chat}/{id}", []));
        if (again is not (0 or 404)) world.Violate($"I14: {id} was deleted, and GET answers {again}");
    }

    // Somebody else, who may have guessed an id.
    private async Task ProbeAsync()
    {
        await world.DelayAsync(4000);
        var id = Id ?? "chatcmpl-00000000000000000000000000";
        var other = $"key-{(story.Principal[^1] - '0' + 1) % 3}";
        var cursor = ("Last-Event-ID", $"{id}:{_random.Next(4)}");
        var connection = _random.Next(6) switch
        {
            0 => world.Open(null, other, "GET", $"{Chat}/{id}", []),
            1 => world.Open(null, other, "GET", $"{Chat}/{id}?stream=true", []),
            2 => world.Open(null, other, "POST", $"{Chat}/{id}/cancel", []),
            3 => world.Open(null, other, "DELETE", $"{Chat}/{id}", []),
            4 => world.Open(null, other, "POST", Chat, Another(isStream: true, other).Body, cursor, ("Sluice-Event-Ids", "1")),
            _ => world.Open(null, other, "POST", "/v1/cancel", [], ("Idempotency-Key", $"key-of-{story.Number}")),
        };
        var isByKey = connection.Context.Request.Path == "/v1/cancel";
        var (status, text) = await ReadAsync(connection);
        if (status != (isByKey ? 202 : 404) && status != 0 && !(world.IsStopping && status == 503)) world.Violate($"I11: somebody else gets {status} of {id}: {text}");
    }

    // A cursor that no event of the stream has.
    private async Task LieAsync()
    {
        await world.DelayAsync(4000);
        if (Id is not { } id) return;
        // It waits for events like a reader, and holds the answer as one does.
        var connection = world.Open(story, story.Principal, "GET", $"{Chat}/{id}?stream=true&starting_after={1000 + _random.Next(10)}", []);
        var (status, text) = await ReadAsync(connection);
        // An answer that is suspended is continued for it, which the engine may refuse.
        var isRefused = status == 503 && story.EngineCallCount > 0 && (world.HasUpstreamFaults || world.IsStopping);
        if (status is not (0 or 400 or 404 or 409 or 410 or 429) && !isRefused) world.Violate($"a cursor beyond every end of {id} gets {status} {text}");
    }

    private async Task LookAsync()
    {
        await world.DelayAsync(5000);
        if (Id is not { } id) return;
        var reply = new SimReply(world, world.Open(null, story.Principal, "GET", $"{Chat}/{id}", []), story, new ReadManner());
        if (await reply.ReadStoredAsync() == ReplyEnd.Refused) CheckByHand(reply);
    }

    // Another request under the same key.
    private async Task StealAsync()
    {
        await world.DelayAsync(3000);
        if (story.Facts.Key is not { } key || Id is null) return;
        story.Facts.IsStolen = true;
        var another = Another(isStream: false, story.Principal, key);
        var connection = world.Open(another, story.Principal, "POST", Chat, another.Body, ("Idempotency-Key", key));
        var (status, text) = await ReadAsync(connection);
        if (status == 200 && Regex.IsMatch(text, $@"\bs{story.Number}c\d+k")) world.Violate($"I3: another request was given the answer of story {story.Number}: {text}");
    }

    // A story of its own.
    private Story Another(bool? isStream, string principal, string? key = null)
    {
        var another = new Story(world.Stories.Count, _random, hasUpstreamFaults: false, isStream, principal);
        another.Facts.Key = key;
        world.Stories.Add(another);
        return another;
    }

    private void CheckByHand(SimReply reply)
    {
        var isExpected = reply.Status switch
        {
            404 or 410 when world.EndCount > 0 && (world.Store is null || world.HasCrashed || world.HasStoreFaults) => true,
            404 => story.Facts.IsDeleted,
            410 => world.IsTight || world.Clock.Elapsed > world.Limits.Retention,
            503 => world.HasStoreFaults || world.IsStopping,
            _ => false,
        };
        if (!isExpected) world.Violate($"story {story.Number}: {reply.Status} {reply.Code}");
    }

    private static async Task<(int Status, string Text)> ReadAsync(SimConnection connection)
    {
        await connection.Started;
        if (!connection.HasStarted) return (0, "");
        var (text, _) = await connection.ReadToEndAsync();
        if (text.StartsWith('{')) JsonDocument.Parse(text).Dispose();
        return (connection.StatusCode, text);
    }
}

/// <summary>Reads every answer that is kept once more in the end.</summary>
internal sealed class SimAuditor(SimWorld world)
{
    public async Task ReadAllAsync()
    {
        foreach (var trace in world.Ledger.Answers.ToList())
        {
            var connection = world.Open(trace.Story, trace.Story.Principal, "GET", $"/v1/chat/completions/{trace.Id}?stream=true&starting_after=0", []);
            var reply = new SimReply(world, connection, trace.Story, new ReadManner());
            var end = await reply.ReadStreamAsync(0, hasIds: true);
            if (end == ReplyEnd.Refused) new SimRefusal(world, trace.Story).Check(reply.Status, reply.Code, 0);
            if (end == ReplyEnd.Done && reply.Count < trace.Events.Count) world.Violate($"I1: {trace.Id} has {reply.Count} events, and somebody has {trace.Events.Count}");
        }
    }
}
