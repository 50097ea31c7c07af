using System.Text;
using System.Text.Json;

namespace Sluice.Tests.Simulation;

/// <summary>How a client got on with one reply.</summary>
internal enum ReplyEnd
{
    /// <summary>All of it has come.</summary>
    Done,

    /// <summary>It was told that there is no more.</summary>
    Failed,

    /// <summary>The connection broke, or the client left.</summary>
    Cut,

    /// <summary>A status that says no.</summary>
    Refused,
}

/// <summary>How a client reads.</summary>
/// <param name="LeavesAfterBytes">Of the body.</param>
/// <param name="LeavesBefore">Milliseconds after which it leaves if nothing has come; null waits.</param>
/// <param name="PartBytes">Read at a time.</param>
/// <param name="PauseMilliseconds">At most, between two reads.</param>
/// <param name="StopsReading">Whether it stops at that place and only leaves much later.</param>
internal sealed record ReadManner(int LeavesAfterBytes = int.MaxValue, int? LeavesBefore = null, int PartBytes = int.MaxValue, int PauseMilliseconds = 0, bool StopsReading = false);

/// <summary>One reply, read as a client does that knows no more than the standard: what is not whole at a cut was never there.</summary>
internal sealed class SimReply(SimWorld world, SimConnection connection, Story story, ReadManner manner)
{
    private readonly List<byte> _pending = [];
    private int _bytes;
    private AnswerTrace? _trace;
    private bool _hasDone;
    private bool _hasFailed;

    /// <summary>Of the answer; null until the reply began.</summary>
    public string? Id => _trace?.Id;

    /// <summary>Events that the client has, those before this reply included.</summary>
    public int Count { get; private set; }

    public int Status { get; private set; }

    /// <summary>Of an error; null without.</summary>
    public string? Code { get; private set; }

    public bool MayRetry { get; private set; } = true;

    /// <summary>Where the answer stands, of its object; null before.</summary>
    public string? State { get; private set; }

    /// <summary>Reads an event stream.</summary>
    /// <param name="position">Events that the client has, and has said so.</param>
    /// <param name="hasIds">Whether it has asked for ids.</param>
    public async Task<ReplyEnd> ReadStreamAsync(int position, bool hasIds)
    {
        Count = position;
        if (!await WaitForHeadersAsync()) return ReplyEnd.Cut;
        if (Status == 204) return ReplyEnd.Done;
        if (Status != 200) return await ReadErrorAsync();
        _trace = world.Ledger.Trace(connection.Headers["Sluice-Stream-Id"].ToString(), story);
        story.Facts.IsSeen = true;
        var (heardAt, lagThen, heard) = (world.Clock.Elapsed, world.Clock.Lag, Count);
        while (true)
        {
            if (_bytes >= manner.LeavesAfterBytes)
            {
                // One that stops reading keeps its place in the world, until the hub cuts it off or it leaves.
                if (manner.StopsReading) await world.DelayAsync(120_000);
                connection.Drop();
                world.Count(manner.StopsReading ? "client stops reading" : "client leaves");
                return ReplyEnd.Cut;
            }
            if (manner.PauseMilliseconds > 0) await world.DelayAsync(manner.PauseMilliseconds);
            var (from, lag) = (world.Clock.Elapsed, world.Clock.Lag);
            var (bytes, end) = await connection.ReadAsync(int.Min(manner.PartBytes, manner.LeavesAfterBytes - _bytes));
            var silence = world.Clock.Elapsed - from - (world.Clock.Lag - lag);
            if (silence > world.Limits.HeartbeatInterval + TimeSpan.FromSeconds(5)) world.Violate($"I9: a reader of {Id} heard nothing for {silence}");
            _bytes += bytes.Length;
            _pending.AddRange(bytes);
            TakeBlocks(hasIds);
            if (Count > heard) (heardAt, lagThen, heard) = (world.Clock.Elapsed, world.Clock.Lag, Count);
            var unheard = world.Clock.Elapsed - heardAt - (world.Clock.Lag - lagThen);
            // The engine is never silent for longer than that, so nobody is at it.
            if (story.Model == SimWorld.LocalModel && manner.PauseMilliseconds == 0 && end == BodyEnd.None && unheard > SimEngine.LongestPause)
                world.Violate($"I9: a reader of {Id} has heard nothing but heartbeats for {unheard}");
            if (end == BodyEnd.None) continue;
            if (end == BodyEnd.Broken) world.Count(_hasFailed ? "reply failed" : "reply broken");
            if (end == BodyEnd.Broken) return _hasFailed ? ReplyEnd.Failed : ReplyEnd.Cut;
            world.Count("reply done");
            if (!_hasDone) world.Violate($"I4: a reply with {Id} ended in order, and without [DONE]");
            if (_pending.Count > 0) world.Violate($"I4: a reply with {Id} ended in the middle of an event");
            return ReplyEnd.Done;
        }
    }

    /// <summary>Reads a completion as one object.</summary>
    public async Task<ReplyEnd> ReadObjectAsync()
    {
        if (!await WaitForHeadersAsync()) return ReplyEnd.Cut;
        if (Status != 200) return await ReadErrorAsync();
        var (text, end) = await connection.ReadToEndAsync();
        if (end == BodyEnd.Broken) return ReplyEnd.Cut;
        CheckObject(text, isSoFar: false);
        return ReplyEnd.Done;
    }

    /// <summary>Reads the object of an answer as it is.</summary>
    public async Task<ReplyEnd> ReadStoredAsync()
    {
        if (!await WaitForHeadersAsync()) return ReplyEnd.Cut;
        if (Status != 200) return await ReadErrorAsync();
        var (text, end) = await connection.ReadToEndAsync();
        if (end == BodyEnd.Broken) return ReplyEnd.Cut;
        CheckObject(text, isSoFar: true);
        return ReplyEnd.Done;
    }

    private async Task<bool> WaitForHeadersAsync()
    {
        if (manner.LeavesBefore is { } milliseconds)
        {
            world.Spawn(async () =>
            {
                await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), world.Clock);
                if (connection.HasStarted) return;
                world.Count("client leaves before headers");
                connection.Drop();
            });
        }
        var (from, lag) = (world.Clock.Elapsed, world.Clock.Lag);
        await connection.Started;
        if (!connection.HasStarted || connection.IsDropped) return false;
        var silence = world.Clock.Elapsed - from - (world.Clock.Lag - lag);
        // Headers of a stream are held for so long, a cursor that is ahead for so long, and a request is on its way.
        // The engine has to stop before it can continue, and after a restart it makes anew what a client has seen and the store has not.
        var longest = world.Limits.HeadersHeld + world.Limits.CursorWait + TimeSpan.FromSeconds(1);
        if (story.EngineCallCount > 0) longest += TimeSpan.FromSeconds(1) + (world.EndCount > 0 ? world.Limits.RestoredCursorWait : TimeSpan.Zero);
        if (story.IsStream && silence > longest) world.Violate($"I9: a client of story {story.Number} waited {silence} for headers");
        Status = connection.StatusCode;
        world.Scheduler.Note(Status);
        if (Status is not 200) world.Count($"status {Status}");
        else if (connection.Headers["Sluice-Stream-Attempt"].ToString() is { Length: > 0 } way) world.Count(way);
        return true;
    }

    private async Task<ReplyEnd> ReadErrorAsync()
    {
        var (text, end) = await connection.ReadToEndAsync();
        if (end == BodyEnd.Broken) return ReplyEnd.Cut;
        using var document = JsonDocument.Parse(text);
        Code = document.RootElement.GetProperty("error").GetProperty("code").GetString();
        MayRetry = connection.Headers["x-should-retry"] != "false";
        return ReplyEnd.Refused;
    }

    private void TakeBlocks(bool hasIds)
    {
        while (System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_pending).IndexOf("\n\n"u8) is >= 0 and var end)
        {
            var block = Encoding.UTF8.GetString([.. _pending.Take(end)]);
            _pending.RemoveRange(0, end + 2);
            var (data, id) = ((string?)null, (string?)null);
            foreach (var line in block.Split('\n'))
            {
                if (line.StartsWith("data: ", StringComparison.Ordinal)) data = line[6..];
                else if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
                else if (!line.StartsWith(':')) world.Violate($"I12: a line that is nothing: '{line}'");
            }
            if (data is null && id is not null) world.Violate("I12: an id without data");
            if (data is null && hasIds && Count > 0) world.Violate("I12: a blank line behind an id, and no data");
            if (data is not null) Take(data, id, hasIds);
        }
    }

    private void Take(string data, string? id, bool hasIds)
    {
        if (_hasDone || _hasFailed) world.Violate($"I4: {Id} goes on after its end: {data}");
        if (data == "[DONE]")
        {
            _hasDone = true;
            world.Ledger.Done(_trace!, Count);
            return;
        }
        if (data.StartsWith("{\"error\"", StringComparison.Ordinal))
        {
            _hasFailed = true;
            // That this one reader was too slow, or the store can't give it the rest, says nothing about the answer.
            var isItsOwn = data.Contains("too slow", StringComparison.Ordinal) || data.Contains("events_dropped", StringComparison.Ordinal);
            if (!isItsOwn) world.Ledger.Fail(_trace!);
            else if (!world.IsTight && !world.HasStoreFaults) world.Violate($"I6: a reader of {Id} has lost its place");
            return;
        }
        Count++;
        if (hasIds != id is not null || (id is not null && id != $"{Id}:{Count}")) world.Violate($"I12: event {Count} of {Id} has the id '{id}'");
        world.Ledger.Event(_trace!, Count, data);
    }

    private void CheckObject(string text, bool isSoFar)
    {
        using var document = JsonDocument.Parse(text);
        var completion = document.RootElement;
        var state = isSoFar ? completion.GetProperty("sluice").GetProperty("state").GetString() : "completed";
        State = state;
        var isCancelled = completion.TryGetProperty("sluice", out var own) && own.TryGetProperty("cancelled", out _);
        var isCut = own.ValueKind == JsonValueKind.Object && own.TryGetProperty("limit", out _);
        var isWhole = state == "completed" && !isCancelled && !isCut;
        var texts = completion.GetProperty("choices").EnumerateArray().Select(choice =>
        {
            var message = choice.GetProperty("message");
            if (message.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array)
            {
                // Arguments that nothing has come of are an object without members.
                return calls[0].GetProperty("function").GetProperty("arguments").GetString() is { } arguments and not "{}" ? arguments : "";
            }
            return message.GetProperty("content").GetString() ?? "";
        }).ToList();
        if (texts.Count == 0 && isSoFar) return;
        var fits = Enumerable.Range(0, int.Max(1, story.CallCount)).Any(call =>
            texts.Select((said, choice) => isWhole ? said == story.Text(call, choice) : story.Text(call, choice).StartsWith(said, StringComparison.Ordinal)).All(static fit => fit));
        if (!fits) world.Violate($"I1: an object of story {story.Number} in state {state} says {text}");
        if (isWhole && !world.HasUpstreamFaults && isSoFar
            && own.GetProperty("billing").GetProperty("completion_tokens").GetInt32() is var tokens && tokens != story.TokenCount && !own.GetProperty("billing").GetProperty("estimated").GetBoolean())
            world.Violate($"I10: story {story.Number} has {story.TokenCount} tokens, and {tokens} are billed");
    }
}
