using System.Globalization;

namespace Sluice.Tests.Simulation;

/// <summary>Somebody who asks, loses the connection, and comes back in one of the ways that there are.</summary>
internal sealed class SimClient(SimWorld world, Story story)
{
    private const string Chat = "/v1/chat/completions";
    private readonly Random _random = world.Random;
    private string? _id;
    private int _count;
    private bool _hasIds;

    // 0: nothing; 1: a key; 2: a key and a number; 3: ids of events.
    private readonly int _level = world.Random.Next(4);

    /// <summary>Asks until it has everything, or is told to stop, or has had enough.</summary>
    public async Task FollowAsync()
    {
        if (_level is 1 or 2 || _random.Next(8) == 0) story.Facts.Key = $"key-of-{story.Number}";
        if (_random.Next(6) == 0) story.Facts.OnDisconnect = _random.Next(2) == 0 ? "cancel" : "continue";
        _hasIds = _level == 3;
        var attemptsMax = _random.Next(1, 7);
        for (var attempt = 1; attempt <= attemptsMax; attempt++)
        {
            if (attempt > 1) await world.DelayAsync(_random.Next(10) switch { 0 => 20_000, 1 => 80_000, 2 when world.IsTight => 200_000, 3 => 900_000, 4 => 2_000, _ => 200 });
            var manner = attempt == attemptsMax ? new ReadManner() : Manner();
            var isGet = attempt > 1 && _id is not null && story.IsStream && (_level == 3 || (_level == 0 && _random.Next(3) == 0)) && _random.Next(2) == 0;
            var connection = isGet ? OpenGet() : OpenPost();
            var reply = new SimReply(world, connection, story, manner);
            var position = _count;
            var end = story.IsStream ? await reply.ReadStreamAsync(position, isGet || _hasIds) : await reply.ReadObjectAsync();
            if (reply.Status == 200 && reply.Id is { } id && _id is not null && _id != id && position > 0 && !story.Facts.IsShared)
                world.Violate($"I1: story {story.Number} went on in {id} behind {position} events of {_id}");
            _id = reply.Id ?? _id;
            if (reply.Status == 200) _count = reply.Count;
            if (end == ReplyEnd.Done) return;
            if (end == ReplyEnd.Refused)
            {
                new SimRefusal(world, story).Check(reply.Status, reply.Code, position);
                if (!reply.MayRetry && _random.Next(2) == 0) return;
            }
            // Nothing of it can be gone on with, or this client doesn't know how.
            if (end is ReplyEnd.Failed or ReplyEnd.Refused || _level <= 1) Restart();
        }
    }

    private void Restart()
    {
        // Another reader of the same key may be elsewhere.
        if (_level >= 2 && _count > 0 && story.Facts.Key is not null && story.Connections.Any(static connection => connection.IsOpen)) story.Facts.IsShared = true;
        _count = 0;
        if (_level == 3) _id = null;
    }

    private ReadManner Manner() => _random.Next(8) switch
    {
        0 => new ReadManner(LeavesBefore: _random.Next(4000)),
        1 => new ReadManner(LeavesAfterBytes: 0),
        2 => new ReadManner(LeavesAfterBytes: _random.Next(800), StopsReading: _random.Next(3) == 0),
        3 => new ReadManner(LeavesAfterBytes: _random.Next(3000), PartBytes: _random.Next(1, 40), PauseMilliseconds: _random.Next(60)),
        4 => new ReadManner(PartBytes: _random.Next(1, 200), PauseMilliseconds: _random.Next(300)),
        5 => new ReadManner(LeavesAfterBytes: _random.Next(6000), StopsReading: true),
        _ => new ReadManner(LeavesAfterBytes: _random.Next(6000)),
    };

    private SimConnection OpenPost()
    {
        var headers = new List<(string, string)>();
        if (story.Facts.Key is { } key) headers.Add(("Idempotency-Key", key));
        if (story.Facts.OnDisconnect is { } policy) headers.Add(("Sluice-On-Disconnect", policy));
        if (_hasIds) headers.Add(("Sluice-Event-Ids", "1"));
        if (!story.IsStream || _count == 0 || _level == 0)
        {
            // What this one has of an answer it can't name is worth nothing.
            if (_level != 0 || _id is null || _count == 0 || !story.IsStream || _random.Next(2) == 0) _count = 0;
            else headers.Add(("Last-Event-ID", $"{_id}:{_count}"));
        }
        else
        {
            headers.Add(("Last-Event-ID", _level == 2 && _random.Next(2) == 0 ? _count.ToString(CultureInfo.InvariantCulture) : $"{_id}:{_count}"));
        }
        return world.Open(story, story.Principal, "POST", Chat, story.Body, [.. headers]);
    }

    private SimConnection OpenGet() => _random.Next(2) == 0
        ? world.Open(story, story.Principal, "GET", $"{Chat}/{_id}?stream=true&starting_after={_count}", [])
        : world.Open(story, story.Principal, "GET", $"{Chat}/{_id}?stream=true", [], ("Last-Event-ID", $"{_id}:{_count}"));
}
